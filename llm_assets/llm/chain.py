"""The model chain: models in the order of preference, and what makes the next one take over.

A model is passed over while it cools down, when the request does not fit its context, when it failed for
good, or when the budget does not bear it. A request can also ask for the models behind one whose answer was
of no use. The last resort `cached` is the last answer kept for the same subject. The journal is asked for
every model of the chain before any model is asked for an answer, so a run that is repeated takes the answers
it has, whichever model gave them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llm_assets.errors import (
    BudgetExceeded,
    CallFailed,
    ContextTooLong,
    CredentialsRefused,
    LLMAssetsError,
    Overloaded,
    RequestRejected,
    RequestTooDear,
    RequestTooLarge,
    RunStopped,
    SchemaTooComplex,
)
from llm_assets.llm.caller import ask
from llm_assets.llm.context import first_place, require_context, surely_fits
from llm_assets.llm.journal import journal_keys
from llm_assets.llm.requests import ChatRequest, Request
from llm_assets.llm.services import Call, Found, Link, Services, Tally
from llm_assets.llm.tokens import TokenCounter
from llm_assets.llm.waiting import ModelCooling

# What a 4xx says about the model rather than about the request.
_MODEL_CODES = ("model_not_found", "model_not_available", "unsupported_model", "unsupported_parameter")
_FORBIDDEN = 403  # by a region or a policy of one model or proxy: another may do it
# So many calls may end with 403 before anything is answered: then it is not about one of them.
_MOST_FORBIDDEN = 20
_BEYOND_BUDGET = (BudgetExceeded, RequestTooDear)


class Asked(NamedTuple):
    """The models that may answer a request, in order, and the journal key of the request at each of them."""

    links: tuple[Link, ...]
    keys: list[bytes]


class ModelChain:
    """The models for one endpoint."""

    def __init__(
        self, services: Services, links: tuple[Link, ...], *, cached: bool, counter: TokenCounter
    ) -> None:
        self._services = services
        self._links = links
        self._models = [(link.model, link.server) for link in links]
        self._cached = cached
        self._counter = counter

    def asked(self, request: Request) -> Asked:
        """Who may answer: all models, or those behind the one that was of no use."""
        links = self._links_for(request)
        return Asked(links, journal_keys(request, self._models[-len(links) :]))

    def _links_for(self, request: Request) -> tuple[Link, ...]:
        after = request.after_model if isinstance(request, ChatRequest) else None
        if after is None:
            return self._links
        behind = self._links[first_place([link.model.model for link in self._links], after) :]
        if not behind:
            raise RequestRejected(f"no model of the chain comes behind {after}")
        return behind

    async def answer(self, request: Request, asked: Asked, tally: Tally) -> Found:
        """The answer in the journal, or else of the first model that gives one.

        Raises RunStopped when going on is pointless, else the error of the last model that was asked.
        """
        # The journal is asked again right before sending. Where nothing is in the way that is soon enough.
        look_first = not self._services.limiter.is_flowing(asked.links[0].pool)
        if look_first and (entry := await self._services.journal.find(asked.keys)):
            return Found(entry, from_journal=True)
        while True:
            try:
                return await self._walk(request, asked, tally, looked=look_first)
            except ModelCooling as cooling:
                # Nothing else is left to ask. An outage in the middle of work is waited out; where nothing
                # has ever answered, the address is more likely wrong than the provider down.
                late = self._services.clock.now() + cooling.seconds > tally.give_up_at
                if late or not self._services.answered:
                    raise Overloaded(f"no model answers: {cooling.reason}") from cooling
                await self._services.clock.sleep(cooling.seconds)
                tally.wait_seconds += cooling.seconds
                self._services.metrics.waited("cool_down", cooling.seconds)

    async def _walk(self, request: Request, asked: Asked, tally: Tally, *, looked: bool) -> Found:
        errors: list[LLMAssetsError] = []
        for link, key in zip(asked.links, asked.keys, strict=True):
            if errors and isinstance(errors[-1], _BEYOND_BUDGET) and self._stops_at_budget():
                break
            reason = _reason(request, errors)
            try:
                if isinstance(request, ChatRequest) and not surely_fits(request, link.model):
                    await require_context(request, link.model, self._counter)
                wire = link.provider.build(request, link.model)
                return await self._ask(Call(link, request, wire, key, asked.keys, tally, reason))
            except _BEYOND_BUDGET as error:
                if isinstance(error, BudgetExceeded) or link is not self._links[-1]:
                    self._services.budget.warnings.passed_over(link.model.model, error)
                errors.append(error)
            except ModelCooling as error:
                errors.append(error)
            except CallFailed as error:
                if not _another_model_may_help(error):
                    raise
                errors.append(error)
        if not looked and (entry := await self._services.journal.find(asked.keys)):
            return Found(entry, from_journal=True)
        return await self._last_resort(request, errors)

    async def _ask(self, call: Call) -> Found:
        """A provider may know another way to ask for what a schema is refused for."""
        try:
            return await ask(self._services, call)
        except SchemaTooComplex:
            wire = call.link.provider.build(call.request, call.link.model)
            if wire.body == call.wire.body:
                raise
            return await ask(self._services, call._replace(wire=wire))

    def _stops_at_budget(self) -> bool:
        return self._services.config.budget.when_exceeded == "stop"

    async def _last_resort(self, request: Request, errors: list[LLMAssetsError]) -> Found:
        if self._may_be_cached(request, errors) and request.subject is not None:
            servers = {link.server for link in self._links}
            entry = await self._services.journal.find_latest(request.subject, servers)
            if entry is not None:
                reason = f"cached: {_reason(request, errors)}"
                return Found(entry._replace(fallback_reason=reason), from_journal=True)
        error = _worst(errors)
        raise self._forbidden_too_often(error) or error

    def _forbidden_too_often(self, error: LLMAssetsError) -> CredentialsRefused | None:
        """A 403 may be about one prompt. A server that has nothing but 403 for us does not want us at all."""
        services = self._services
        if services.answered or not isinstance(error, RequestRejected) or error.http_status != _FORBIDDEN:
            return None
        services.forbidden += 1
        if services.forbidden < _MOST_FORBIDDEN:
            return None
        return CredentialsRefused(
            f"{services.forbidden} requests were forbidden and none has been answered; the last: "
            f"{error.message}",
            error.http_status,
            error.code,
            error.request_id,
        )

    def _may_be_cached(self, request: Request, errors: list[LLMAssetsError]) -> bool:
        """An older answer stands in for one that cannot be had now, not for one that was of no use or that
        can never be had in one piece."""
        too_long = all(isinstance(error, ContextTooLong | RequestTooLarge) for error in errors)
        was_answered = isinstance(request, ChatRequest) and request.after_model is not None
        return self._cached and not too_long and not was_answered and not self._stopped_by_budget(errors)

    def _stopped_by_budget(self, errors: list[LLMAssetsError]) -> bool:
        return self._stops_at_budget() and any(isinstance(error, _BEYOND_BUDGET) for error in errors)


def _another_model_may_help(error: CallFailed) -> bool:
    if isinstance(error, RunStopped):
        return False
    if isinstance(error, SchemaTooComplex):
        return True
    if not isinstance(error, RequestRejected) or error.http_status == _FORBIDDEN:
        return True
    return (error.code or "") in _MODEL_CODES


_REASONS: tuple[tuple[type[LLMAssetsError], str], ...] = (
    (BudgetExceeded, "budget"),
    (ModelCooling, "cooling_down"),
    (RequestTooDear, "budget"),
    (ContextTooLong, "context_too_long"),
    (RequestTooLarge, "larger_than_limit"),
)


def _reason(request: Request, errors: list[LLMAssetsError]) -> str | None:
    """Why the first model did not answer, in a word that can be counted, or the error's own name."""
    if isinstance(request, ChatRequest) and request.after_model is not None:
        return request.after_reason or "no_use"
    if not errors:
        return None
    first = errors[0]
    for kind, word in _REASONS:
        if isinstance(first, kind):
            return word
    name = type(first).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _worst(errors: list[LLMAssetsError]) -> LLMAssetsError:
    """What to tell: a budget that is spent stops the run, a model that cools down is waited for."""
    kinds: tuple[Callable[[LLMAssetsError], bool], ...] = (
        lambda error: isinstance(error, BudgetExceeded),
        lambda error: isinstance(error, ModelCooling),
    )
    for is_kind in kinds:
        for error in errors:
            if is_kind(error):
                return error
    return errors[-1]
