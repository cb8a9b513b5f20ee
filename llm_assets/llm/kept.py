"""What the journal would answer for nothing: known before anything is asked, without a key, and without a
trace. Nothing is sent, nothing is booked, and looking is no hit.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

from llm_assets.clock import SystemClock
from llm_assets.errors import ConfigurationError, ContextTooLong
from llm_assets.llm.assemble import server_of, store_of
from llm_assets.llm.budget import Budget
from llm_assets.llm.context import first_place, require_context, surely_fits
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.journal import Journal
from llm_assets.llm.journal_keys import journal_keys, shape_of
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.outcomes import answered, failed
from llm_assets.llm.requests import ChatRequest, Endpoint, Outcome, Request
from llm_assets.llm.services import Found, Tally
from llm_assets.llm.state import State
from llm_assets.llm.tokens import TokenCounter

_PATIENCE_SECONDS = 5.0


class KeptAnswers:
    """The answers that the models of a configuration have given before; none without a journal."""

    def __init__(self, journal: Journal | None, config: ClientConfig, counter: TokenCounter) -> None:
        self._journal = journal
        self._counter = counter
        self._chains: dict[Endpoint, list[tuple[ModelConfig, str]]] = {
            "chat": _served(config, config.chat),
            "transcription": _served(config, config.transcription),
        }

    async def are_answered(self, requests: Sequence[Request]) -> list[bool]:
        """Which of the requests some model of the chain has answered: they would cost nothing now.

        Raises StateUnavailable, and ConfigurationError for an empty chain.
        """
        keys = [self._keys(request) for request in requests]
        if self._journal is None:
            return [False] * len(keys)
        known = await self._journal.known([key for some in keys for key in some])
        return [not known.isdisjoint(some) for some in keys]

    async def outcome(self, request: ChatRequest) -> Outcome | None:
        """What calling for it would give without asking anybody: the answer that is kept, or that it is too
        long for every model. None when a model would be asked. Raises as `are_answered`.
        """
        now = time.time()
        asked_nobody = Tally(now, now)
        entry = await self._journal.look(self._keys(request)) if self._journal else None
        if entry is not None:
            return answered(request, Found(entry, from_journal=True), asked_nobody, now)
        error = await self.too_long(request)
        return error and failed(request, error, asked_nobody, now)

    async def heard(self, subjects: Sequence[str]) -> set[str]:
        """Those of `subjects` that a transcription model of the chain has answered, however it was asked.

        Raises StateUnavailable.
        """
        if self._journal is None:
            return set()
        return await self._journal.known_subjects(subjects, self._chains["transcription"])

    async def too_long(self, request: ChatRequest) -> ContextTooLong | None:
        """Why no model of the chain takes a request in one piece; None where one does."""
        error = None
        for model, _ in self._models(request):
            if surely_fits(request, model):
                return None
            try:
                await require_context(request, model, self._counter)
            except ContextTooLong as too_long:
                error = too_long
            else:
                return None
        return error

    def _keys(self, request: Request) -> tuple[bytes, ...]:
        models = self._models(request)
        return journal_keys(request, [shape_of(model, server, request.endpoint) for model, server in models])

    def _models(self, request: Request) -> list[tuple[ModelConfig, str]]:
        models = self._chains[request.endpoint]
        if not models:
            raise ConfigurationError(f"the {request.endpoint} chain names no model; give it at least one")
        after = request.after_model if isinstance(request, ChatRequest) else None
        if after is None:
            return models
        return models[first_place([model.model for model, _ in models], after) :]


@asynccontextmanager
async def open_kept(config: ClientConfig) -> AsyncGenerator[tuple[KeptAnswers, Decimal]]:
    """The answers kept in the state of a configuration, and the US dollars that all runs of today have spent
    under its cap per day: 0 without one. A state that is not there yet holds nothing, and is not made.

    Raises StateUnavailable, and ConfigurationError when the state cannot be used.
    """
    async with AsyncExitStack() as stack:
        journal, spent = None, Decimal(0)
        if config.state is not None and ("://" in config.state or os.path.exists(config.state)):  # noqa: ASYNC240 - nothing else runs yet
            database = make_database(config.state)
            state = await stack.enter_async_context(State(database, patience_seconds=_PATIENCE_SECONDS))
            journal = Journal(state, run_id="", owner="")
            spent = await _spent_today(config, state, stack)
        yield KeptAnswers(journal, config, TokenCounter()), spent


async def _spent_today(config: ClientConfig, state: State, stack: AsyncExitStack) -> Decimal:
    clock = SystemClock()
    of_the_day = config.budget.model_copy(update={"usd_per_run": None, "tokens_per_run": None})
    budget = Budget(
        store_of(config, state, clock, stack),
        of_the_day,
        run_id="",
        owner="",
        timezone=config.timezone,
        now=clock.now,
    )
    return (await budget.spent_usd()).get("day", Decimal(0))


def _served(config: ClientConfig, chain: Iterable[ModelConfig | str]) -> list[tuple[ModelConfig, str]]:
    return [(entry, server_of(entry, config)) for entry in chain if isinstance(entry, ModelConfig)]
