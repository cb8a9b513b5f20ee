"""The model chain: models in the order of preference, and what makes the next one take over.

A model is passed over while it cools down, when the request does not fit its context, when it failed for
good, or when the budget does not bear it. A request can also ask for the models behind one whose answer was
of no use. The last resort `cached` is the last answer kept for the same subject. The journal is asked for
every model of the chain before any model is asked for an answer, so a run that is repeated takes the answers
it has, whichever model gave them.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.errors import (
    BudgetExceeded,
    CallFailed,
    ContextTooLong,
    LLMAssetsError,
    Overloaded,
    RequestRejected,
    RequestTooLarge,
)
from llm_assets.llm.caller import ask
from llm_assets.llm.context import first_place, require_context, surely_fits
from llm_assets.llm.fallback import (
    BEYOND_BUDGET,
    another_model_may_help,
    fallback_reason,
    worst,
)
from llm_assets.llm.journal_keys import journal_keys, shape_of
from llm_assets.llm.never_answered import what_stops_the_run
from llm_assets.llm.requests import ChatRequest, Endpoint, Request
from llm_assets.llm.same import SameRequests
from llm_assets.llm.services import Call, Found, Link, Services, Tally
from llm_assets.llm.tokens import TokenCounter
from llm_assets.llm.waiting import ModelCooling


class ModelChain:
    """The models for one endpoint."""

    def __init__(
        self,
        services: Services,
        endpoint: Endpoint,
        links: tuple[Link, ...],
        *,
        cached: bool,
        counter: TokenCounter,
    ) -> None:
        self._services = services
        self._links = links
        self._shapes = [shape_of(link.model, link.server, endpoint) for link in links]
        self._cached = cached
        self._counter = counter
        self._same = SameRequests()

    async def answer(self, request: Request, tally: Tally) -> Found:
        """The answer in the journal, or else of the first model that gives one.

        Identical requests at the same time make one call.
        Raises RunStopped when going on is pointless, else the error of the last model that was asked.
        """
        links = self._links_for(request)
        keys = journal_keys(request, self._shapes[-len(links) :])
        key = keys[0]
        while not self._same.begin(key):
            tally.same_as = keys
            if (shared := await self._same.found(key)) is not None:
                self._services.metrics.shared()
                return shared._replace(from_journal=True)
        tally.same_as = ()
        try:
            found = await self._answer(request, links, keys, tally)
        except BaseException as error:
            self._same.end(key, error)
            raise
        self._same.end(key, found)
        return found

    def _links_for(self, request: Request) -> tuple[Link, ...]:
        """Who may answer: all models, or those behind the one that was of no use."""
        after = request.after_model if isinstance(request, ChatRequest) else None
        if after is None:
            return self._links
        behind = self._links[first_place([link.model.model for link in self._links], after) :]
        if not behind:
            raise RequestRejected(f"no model of the chain comes behind {after}")
        return behind

    async def _answer(
        self, request: Request, links: tuple[Link, ...], keys: tuple[bytes, ...], tally: Tally
    ) -> Found:
        services = self._services
        # The journal is asked again right before sending. Where nothing is in the way that is soon enough.
        look_first = not services.limiter.is_flowing(links[0].pool)
        if look_first and (entry := await services.journal.find(keys)):
            return Found(entry, from_journal=True)
        while True:
            errors: tuple[LLMAssetsError, ...] = ()
            for place in range(len(links)):
                link, key = links[place], keys[place]
                if errors and isinstance(errors[-1], BEYOND_BUDGET) and self._stops_at_budget():
                    break
                reason = fallback_reason(request, errors)
                try:
                    if isinstance(request, ChatRequest) and not surely_fits(request, link.model):
                        await require_context(request, link.model, self._counter)
                    wire = link.provider.build(request, link.model)
                    return await ask(services, Call(link, request, wire, key, keys, tally, reason))
                except (ModelCooling, CallFailed, *BEYOND_BUDGET) as error:
                    self._judge(link, error)
                    errors += (error,)
            if not look_first and (entry := await services.journal.find(keys)):
                return Found(entry, from_journal=True)
            try:
                return await self._last_resort(request, links, errors)
            except ModelCooling as cooling:
                await self._wait_out(cooling, tally)

    def _judge(self, link: Link, error: LLMAssetsError) -> None:
        """Raise the error where no other model can be asked after it."""
        if isinstance(error, BEYOND_BUDGET):
            if isinstance(error, BudgetExceeded) or link is not self._links[-1]:
                self._services.budget.warnings.passed_over(link.model.model, error)
        elif isinstance(error, CallFailed) and not another_model_may_help(error):
            raise error

    async def _wait_out(self, cooling: ModelCooling, tally: Tally) -> None:
        """Nothing else is left to ask. An outage in the middle of work is waited out; where nothing
        has ever answered, the address is more likely wrong than the provider down."""
        services = self._services
        late = services.clock.now() + cooling.seconds > tally.give_up_at
        if late or not services.answered:
            raise Overloaded(f"no model answers: {cooling.reason}") from cooling
        await services.clock.sleep(cooling.seconds)
        services.waited(tally, "cool_down", cooling.seconds)

    def _stops_at_budget(self) -> bool:
        return self._services.config.budget.when_exceeded == "stop"

    async def _last_resort(
        self, request: Request, links: Sequence[Link], errors: Sequence[LLMAssetsError]
    ) -> Found:
        if self._may_be_cached(request, errors) and request.subject is not None:
            servers = {link.server for link in self._links}
            entry = await self._services.journal.find_latest(request.subject, servers)
            if entry is not None:
                reason = f"cached: {fallback_reason(request, errors)}"
                return Found(entry._replace(fallback_reason=reason), from_journal=True)
        error = worst(errors)
        if isinstance(error, BudgetExceeded) and self._services.unanswered:
            raise self._spent_for_nothing(error) from error
        raise what_stops_the_run(self._services, request, links, errors, error) or error

    def _spent_for_nothing(self, error: BudgetExceeded) -> BudgetExceeded:
        """A part of the budget went for answers that were none: who raises it would lose that as well."""
        services = self._services
        return BudgetExceeded(
            f"{error}; {services.unanswered:,} requests of this client may have been billed without a whole "
            f"answer and count at their worst case, the last one: {services.unanswered_for}"
        )

    def _may_be_cached(self, request: Request, errors: Sequence[LLMAssetsError]) -> bool:
        """An older answer stands in for one that cannot be had now, not for one that was of no use or that
        can never be had in one piece."""
        too_long = all(isinstance(error, ContextTooLong | RequestTooLarge) for error in errors)
        was_answered = isinstance(request, ChatRequest) and request.after_model is not None
        return self._cached and not too_long and not was_answered and not self._stopped_by_budget(errors)

    def _stopped_by_budget(self, errors: Sequence[LLMAssetsError]) -> bool:
        return self._stops_at_budget() and any(isinstance(error, BEYOND_BUDGET) for error in errors)
