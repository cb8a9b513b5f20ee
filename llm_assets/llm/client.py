"""One call, or many calls as a stream of outcomes, through limits, budget, model chain, retry and journal.

A client belongs to the event loop that enters it. A call never raises for its own failure: that is an
outcome. It raises only what ends the run (RunStopped), a lost state store, or a configuration that cannot
work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import AsyncExitStack
from decimal import Decimal
from types import AsyncGeneratorType, TracebackType
from typing import Self

from llm_assets.clock import Clock, SystemClock
from llm_assets.errors import CallFailed, ClientClosed, ConfigurationError, RunStopped, StateUnavailable
from llm_assets.llm.assemble import make_chains, open_services
from llm_assets.llm.chain import ModelChain
from llm_assets.llm.checked import no_request, require_usable
from llm_assets.llm.closing import CallsUnderWay, drain, give_up_what_is_overdue
from llm_assets.llm.kept import KeptAnswers
from llm_assets.llm.metrics import Metrics
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.outcomes import answered, failed
from llm_assets.llm.requests import Endpoint, Outcome, Request
from llm_assets.llm.services import Services, Tally
from llm_assets.llm.stream import stream
from llm_assets.llm.tokens import TokenCounter

_LOG = logging.getLogger(__name__)
_SIGN_OF_LIFE_SECONDS = 20.0
_CLOSED = "the client is closed, so this was not sent; ask again with another client"


class LLMClient:
    """Calls to language and transcription models. An async context manager.

    `run_id` names the run whose budget counts. Calls of a client with a higher `priority` go first among
    all clients that share a quota. `drain_seconds` is how long closing waits for answers that are on their
    way and so are being paid for, also when the reason is a cancellation; a second cancellation (Ctrl-C
    pressed again) gives them up.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        run_id: str = "",
        priority: int = 0,
        drain_seconds: float = 30.0,
        clock: Clock | None = None,
        warn: Callable[[str], None] = _LOG.warning,
    ) -> None:
        self._config = config
        self._run_id = run_id or uuid.uuid4().hex
        self._priority = priority
        self._drain_seconds = drain_seconds
        self._clock = clock or SystemClock()
        self._warn = warn
        self._stack = AsyncExitStack()
        self._counter = TokenCounter()
        self._services: Services | None = None
        self._chains: dict[Endpoint, ModelChain] = {}
        self._heart: asyncio.Task[None] | None = None
        self._calls = CallsUnderWay()
        self._runs: set[AsyncGenerator[Outcome]] = set()
        self._closed = False
        self.metrics = Metrics()

    async def __aenter__(self) -> Self:
        """Raises ConfigurationError when a model cannot be asked, StateUnavailable without its state."""
        if self._services is not None:
            raise RuntimeError("the client is open already; make another one")
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(
                open_services(
                    self._config, self._run_id, self._priority, self._clock, self.metrics, self._warn
                )
            )
            self._chains = make_chains(services, self._counter)
            self._services, self._closed = services, False
            self._stack = stack.pop_all()
        self._heart = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Turn away the calls that wait, wait a bounded time for answers on their way, close everything."""
        if self._heart is not None:
            self._heart.cancel()
        try:
            if self._services is not None:
                self._services.closing = True  # nothing new is sent from now on
                self._calls.turn_away_who_waits()
                by_cancellation = kind is not None and not issubclass(kind, Exception)
                await drain(self._services, self._drain_seconds, self._warn, say_so=by_cancellation)
                await self._calls.ended()
                await self._stop_runs()
        finally:
            self._services, self._closed = None, True
            await self._stack.aclose()

    async def call(self, request: Request) -> Outcome:
        """Ask the chain for one answer. Identical requests at the same time make one call.

        Raises RunStopped, StateUnavailable or ConfigurationError, and TypeError for what is no request; any
        other failure is in the outcome.
        Once the client closes, that is ClientClosed for whatever is not on the wire yet, and for what was
        sent and is given up: the message says which.
        """
        services = self._require_services()
        services.require_open()
        now = services.clock.now()
        tally = Tally(started_at=now, give_up_at=now + self._config.retry.deadline_seconds)
        chain = self._chain_of(request)
        task = asyncio.current_task()
        assert task is not None
        already = task.cancelling()
        self._calls.begin(task, tally)
        self.metrics.start()
        try:
            found = await chain.answer(require_usable(request), tally)
        except CallFailed as error:
            if isinstance(error, RunStopped):
                self.metrics.stop()
                raise
            outcome = failed(request, error, tally, services.clock.now())
        except BaseException as error:
            self.metrics.stop()
            if isinstance(error, asyncio.CancelledError) and self._calls.is_turned_away(task, already):
                services.require_open(tally)
            raise
        else:
            outcome = answered(request, found, tally, services.clock.now())
        finally:
            self._calls.end(task)
        self.metrics.add(outcome)
        return outcome

    async def spent_of_budget(self) -> dict[str, Decimal]:
        """US dollars spent under the caps: by the whole `run`, and by all runs of the `day`.

        Raises StateUnavailable.
        """
        return await self._require_services().budget.spent_usd()

    @property
    def kept(self) -> KeptAnswers:
        """What the journal would answer for nothing, for whoever wants to know before asking."""
        services = self._require_services()
        return KeptAnswers(services.journal, self._config, self._counter)

    async def run(
        self,
        requests: Iterable[Request] | AsyncIterable[Request],
        *,
        progress: Callable[[Outcome], None] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Call for every request and yield outcomes as they finish, reading the input only as needed.

        Closing the client ends it. Raises what `call` does, and TypeError for what is no request.
        """
        outcomes = stream(self.call, requests, concurrency=self._config.max_concurrency)
        self._runs.add(outcomes)
        try:
            async for outcome in outcomes:
                if progress is not None:
                    progress(outcome)
                yield outcome
                if outcomes not in self._runs:
                    raise ClientClosed(_CLOSED)
        finally:
            if outcomes in self._runs:  # else the client closes it
                self._runs.discard(outcomes)
                await outcomes.aclose()

    async def _stop_runs(self) -> None:
        """Those that nobody reads just now; the others end with the error of their calls."""
        for outcomes in list(self._runs):
            if isinstance(outcomes, AsyncGeneratorType) and not outcomes.ag_running:
                self._runs.discard(outcomes)
                await outcomes.aclose()

    def _require_services(self) -> Services:
        if self._services is not None:
            return self._services
        if self._closed:
            raise ClientClosed(_CLOSED)
        raise RuntimeError("the client is not open: use it as an async context manager, within its block")

    def _chain_of(self, request: Request) -> ModelChain:
        try:
            chain = self._chains.get(request.endpoint)
        except AttributeError:
            raise no_request(request) from None
        if chain is None:
            raise ConfigurationError(f"the {request.endpoint} chain names no model; give it at least one")
        return chain

    async def _beat(self) -> None:
        """Give up what is overdue, and keep what is reserved and was sent while calls take long."""
        services, loop = self._services, asyncio.get_running_loop()
        assert services is not None
        sign_at = loop.time() + _SIGN_OF_LIFE_SECONDS
        while True:
            await asyncio.sleep(min(give_up_what_is_overdue(services), sign_at - loop.time()))
            if loop.time() < sign_at:
                continue
            # A store that is gone is noticed by the calls that need it; the next beat tries again.
            with contextlib.suppress(StateUnavailable):
                await services.journal.show_alive()
                await services.budget.flush()
            sign_at = loop.time() + _SIGN_OF_LIFE_SECONDS
