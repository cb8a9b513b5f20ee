"""Puts a client together from its configuration: state, limits, budget, transport, providers and chains."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from llm_assets.clock import Clock
from llm_assets.errors import ConfigurationError
from llm_assets.llm.budget import Budget
from llm_assets.llm.chain import ModelChain
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.journal import Journal
from llm_assets.llm.limits import Limiter
from llm_assets.llm.metrics import Metrics
from llm_assets.llm.models import CACHED, ClientConfig, ModelConfig
from llm_assets.llm.pools.values import Client
from llm_assets.llm.providers.select import make_provider
from llm_assets.llm.quota.base import QuotaStore
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.quota.memory import MemoryQuota
from llm_assets.llm.quota.redis import RedisQuota
from llm_assets.llm.requests import Endpoint
from llm_assets.llm.services import Link, Services
from llm_assets.llm.state import State
from llm_assets.llm.tokens import TokenCounter
from llm_assets.llm.transport import Transport, is_loopback

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def open_services(
    config: ClientConfig,
    run_id: str,
    priority: int,
    clock: Clock,
    metrics: Metrics,
    warn: Callable[[str], None],
) -> AsyncGenerator[Services]:
    """Everything the models of a client share, open until the context ends.

    Raises StateUnavailable when the state cannot be opened, ConfigurationError when it cannot be used.
    """
    owner = uuid.uuid4().hex
    if (problem := unknown_limits(config)) is not None:
        warn(problem)
    async with AsyncExitStack() as stack:
        patience = config.state_patience_seconds
        database = make_database(config.state)
        state = await stack.enter_async_context(State(database, patience_seconds=patience))
        store = store_of(config, state, clock, stack)
        limiter = Limiter(store, Client(id=owner, priority=priority), headroom=config.headroom, warn=warn)
        metrics.quota = limiter.used
        budget = Budget(
            store,
            config.budget,
            run_id=run_id,
            owner=owner,
            timezone=config.timezone,
            now=clock.now,
            warn=warn,
        )
        transport = Transport(
            connect_timeout_seconds=config.retry.connect_timeout_seconds,
            read_timeout_seconds=config.retry.read_timeout_seconds,
            max_connections=config.max_concurrency,
        )
        journal = Journal(state, run_id=run_id, owner=owner)
        await stack.enter_async_context(transport)
        stack.push_async_callback(budget.aclose)
        stack.push_async_callback(limiter.aclose)
        await stack.enter_async_context(journal)
        yield Services(config, clock, transport, limiter, budget, journal, metrics, run_id)


def make_chains(services: Services, counter: TokenCounter) -> dict[Endpoint, ModelChain]:
    """The chains that name at least one model. Raises ConfigurationError when one cannot be asked."""
    config = services.config
    configured: dict[Endpoint, tuple[ModelConfig | str, ...]] = {
        "chat": config.chat,
        "transcription": config.transcription,
    }
    chains: dict[Endpoint, ModelChain] = {}
    for endpoint, entries in configured.items():
        links = tuple(_link(entry, config) for entry in entries if isinstance(entry, ModelConfig))
        if links:
            chains[endpoint] = ModelChain(
                services, endpoint, links, cached=CACHED in entries, counter=counter
            )
    if not chains:
        raise ConfigurationError("neither chat nor transcription names a model; one of them has to")
    return chains


def unknown_limits(config: ClientConfig) -> str | None:
    """What to say of limits that no model draws on: a name that is written wrong limits nothing."""
    models = [entry for entry in (*config.chat, *config.transcription) if isinstance(entry, ModelConfig)]
    pools = {model.pool or model.model for model in models}
    unknown = sorted(config.limits.keys() - pools)
    if not unknown:
        return None
    return (
        f"limits are configured for {', '.join(unknown)}, which no model of the chains draws on; "
        f"the names are {', '.join(sorted(pools))}"
    )


def _link(model: ModelConfig, config: ClientConfig) -> Link:
    provider = make_provider(model, config)
    server = server_of(model, config)
    pool = model.pool or model.model
    return Link(
        model=model,
        provider=provider,
        pool=f"{server}/{pool}",
        server=server,
        limits=model.limits or config.limits.get(pool),
    )


def server_of(model: ModelConfig, config: ClientConfig) -> str:
    """Whose a model's answers are, as the journal keeps it."""
    base_url = model.base_url or (config.base_url if model.provider == "openai" else None)
    return server_name(base_url) if base_url else model.provider


def server_name(base_url: str) -> str:
    """The name under which a server's answers and limits are kept.

    A server on this machine that is known by its path keeps its name when it comes back on another port.
    """
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    if is_loopback(parts.hostname):
        named_by_path = path not in ("", "/v1")
        return f"localhost{path}" if named_by_path else f"localhost:{parts.port}{path}"
    return f"{parts.netloc.rpartition('@')[2]}{path}"


def store_of(config: ClientConfig, state: State, clock: Clock, stack: AsyncExitStack) -> QuotaStore:
    """Where limits and budget live; what has to be closed goes onto the stack."""
    if config.quota:
        try:
            redis = RedisQuota(config.quota, patience_seconds=config.state_patience_seconds)
        except ValueError as error:
            raise ConfigurationError(f"the quota is not the URL of a Redis server: {error}") from None
        stack.push_async_callback(redis.aclose)
        return redis
    return DatabaseQuota(state) if config.state is not None else MemoryQuota(clock)
