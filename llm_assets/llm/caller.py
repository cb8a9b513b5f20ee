"""One model, one request, until there is an answer or no hope of one: reserve, wait, send, settle, keep.

The order matters. A place in the quota comes first and money is held last, so that it stands for calls on
the wire and nothing else. The intent is noted before anything is sent, and the answer is in the journal
before anybody sees it. From the moment of sending the exchange runs as a task of its own: whoever waited
may be cancelled, what is being paid for is still kept.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from llm_assets.clock import Clock
from llm_assets.errors import (
    CallFailed,
    ClientClosed,
    ConnectionFailed,
    Overloaded,
    PriceUnknown,
    RateLimited,
    StateUnavailable,
)
from llm_assets.llm.buckets import Kind
from llm_assets.llm.budget import Budget
from llm_assets.llm.concurrency import Window
from llm_assets.llm.journal import AskedElsewhere, Journal
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.ledger import NOTHING, Reservation, Spending
from llm_assets.llm.limits import Limiter
from llm_assets.llm.metrics import Metrics
from llm_assets.llm.models import ClientConfig, Limits, ModelConfig
from llm_assets.llm.pools import Grant, Return, Want
from llm_assets.llm.pricing import price_of
from llm_assets.llm.providers.base import DimensionReport, LimitReport, Provider
from llm_assets.llm.requests import Answer, ChatRequest, Request
from llm_assets.llm.retry import (
    back_off_seconds,
    is_mendable,
    may_have_been_billed,
    pause_after,
    wait_seconds,
)
from llm_assets.llm.sizes import OutputSizes, worst_case
from llm_assets.llm.transport import HttpRequest, HttpResponse, Transport

_LOG = logging.getLogger(__name__)
# How soon to try again to keep an answer when the journal is out of reach.
_KEEP_AGAIN_SECONDS = 0.5
# So many refusals without a word on when to come back are no attempts: a crowd passes, a closed door not.
_FREE_REFUSALS = 3
_NO_WHOLE_ANSWER = "no whole answer came within the deadline"
# How often to look whether another process has got the answer to the same request.
_LOOK_AGAIN_SECONDS = 0.1
_LOOK_AGAIN_AT_LEAST_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Link:
    """One model of a chain, ready to be asked. `server` says whose answers these are, for the journal."""

    model: ModelConfig
    provider: Provider
    pool: str
    server: str
    limits: Limits | None


@dataclass(slots=True)
class Tally:
    """What one logical call has been through so far, over all attempts and models.

    `on_the_wire` while its request is sent and nothing but the answer is waited for.
    """

    started_at: float
    give_up_at: float
    attempts: int = 0
    rate_limited: int = 0
    wait_seconds: float = 0.0
    http_status: int | None = None
    request_id: str | None = None
    latency_seconds: float = 0.0
    uninformed_refusals: int = 0
    on_the_wire: bool = False


@dataclass(slots=True)
class Exchange:
    """A request on the wire: its task, and the moment at which it is given up."""

    task: asyncio.Task[None]
    give_up_at: float


@dataclass(slots=True)
class Services:
    """What all models of a client share. `on_the_wire` are the exchanges that have been sent, by the journal
    key of the request: no key is there twice.

    `answered` says whether any model has answered this client yet, `forbidden` counts the calls
    that ended with 403 until then. `closing` says that nothing new is sent.
    """

    config: ClientConfig
    clock: Clock
    transport: Transport
    limiter: Limiter
    budget: Budget
    journal: Journal
    metrics: Metrics
    run_id: str
    sizes: OutputSizes = field(default_factory=OutputSizes)
    windows: dict[str, Window] = field(default_factory=dict[str, Window])
    on_the_wire: dict[bytes, Exchange] = field(default_factory=dict[bytes, Exchange])
    answered: bool = False
    forbidden: int = 0
    closing: bool = False

    def require_open(self) -> None:
        """Raises ClientClosed once the client is closing."""
        if self.closing:
            raise ClientClosed("the client is closing, so this was not sent; ask again with another client")

    def window(self, link: Link) -> Window:
        window = self.windows.get(link.pool)
        if window is None:
            window = self.windows[link.pool] = Window(self.config.max_concurrency)
            if link.limits is not None:
                window.open()
        return window


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one model. `reason` says why it is not the chain's first model.

    `key` is its journal key, `keys` those of all models of the chain: any of their answers will do.
    """

    link: Link
    request: Request
    wire: HttpRequest
    key: bytes
    keys: list[bytes]
    tally: Tally
    reason: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of the journal: new, or paid for by an earlier call."""

    entry: Entry
    from_journal: bool


async def ask(services: Services, call: Call) -> Found:
    """Ask one model, trying again what waiting can mend.

    Raises the tree under CallFailed when there is no answer, BudgetExceeded before it would spend too
    much, ModelCooling while the model is left alone.
    """
    retry, clock, tally = services.config.retry, services.clock, call.tally
    attempt = 0
    while True:
        services.require_open()
        try:
            return await _attempt(services, call)
        except AskedElsewhere:
            services.require_open()
            await _wait_for_the_other(services, call)
        except CallFailed as error:
            if not is_mendable(error) or _no_quota_in_time(error):
                raise
            services.require_open()
            # A refusal for want of quota says nothing against the request: it waits its turn again.
            # Where the server never says for how long, that comes to an end too.
            refused = isinstance(error, RateLimited) and tally.uninformed_refusals <= _FREE_REFUSALS
            attempt += 0 if refused else 1
            wait = wait_seconds(max(attempt, 1), error, retry, random.random())  # noqa: S311 - jitter is no secret
            now = clock.now()
            if attempt >= retry.max_attempts or now + wait > tally.give_up_at:
                services.limiter.report_outage(call.link.pool, retry.cool_down_seconds, str(error))
                raise
            _LOG.debug(
                "%s, attempt %d: again in %.1f s: %s", call.link.model.model, tally.attempts, wait, error
            )
            if not isinstance(error, RateLimited):  # the limiter makes the whole pool wait for those
                await clock.sleep(wait)
                _waited(services, tally, "retry", clock.now() - now)


def _no_quota_in_time(error: CallFailed) -> bool:
    """The limiter's own word that no wait within the deadline is enough; a server's refusal has a status."""
    return isinstance(error, RateLimited) and error.http_status is None


async def _wait_for_the_other(services: Services, call: Call) -> None:
    """Another process has sent the very same request: wait until it has its answer, or gave up, or died."""
    clock, tally = services.clock, call.tally
    started = clock.now()
    pause = _LOOK_AGAIN_SECONDS
    while await services.journal.is_asked_elsewhere(call.key):
        if clock.now() > tally.give_up_at:
            raise ConnectionFailed("another run has been asking the same for too long")
        await clock.sleep(pause)
        pause = min(pause * 1.5, _LOOK_AGAIN_AT_LEAST_EVERY_SECONDS)
    _waited(services, tally, "same_request", clock.now() - started)


async def _attempt(services: Services, call: Call) -> Found:
    if (sent_before := services.on_the_wire.get(call.key)) is not None:
        # For a caller that was cancelled since. It is being paid for: wait for it, then look in the journal.
        await asyncio.wait([sent_before.task])
    grant, reservation = await _get_leave_and_money(services, call)
    if call.key in services.on_the_wire:  # another chain has sent the same while this one waited
        _leave_unsent(services, call, grant)
        if reservation is not None:
            services.budget.settle(reservation, NOTHING)
        raise AskedElsewhere
    # Who waits for this may be cancelled; the exchange then goes on alone, and the client waits for it.
    done: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_exchange_into(done, services, call, grant, reservation))
    give_up_at = services.clock.now() + services.config.retry.deadline_seconds
    services.on_the_wire[call.key] = Exchange(task, give_up_at)
    task.add_done_callback(lambda _: services.on_the_wire.pop(call.key))
    call.tally.on_the_wire = True
    try:
        return await done
    finally:
        call.tally.on_the_wire = False


async def _get_leave_and_money(services: Services, call: Call) -> tuple[Grant, Reservation | None]:
    """Leave to send now, and the money for it: held last, so that it stands for calls on the wire only."""
    budget, clock = services.budget, services.clock
    worst = _worst(services, call)
    if worst is None:
        return await _get_leave(services, call), None
    waited_seconds = 0.0
    while True:
        await budget.require(worst)
        grant = await _get_leave(services, call)
        try:
            reservation = await budget.reserve(worst)
        except BaseException:
            _leave_unsent(services, call, grant)
            raise
        if reservation is not None:
            return grant, reservation
        _leave_unsent(services, call, grant)
        started = clock.now()
        if started > call.tally.give_up_at:
            raise RateLimited(
                f"calls on their way hold the rest of the budget, and {call.link.model.model} could not be "
                "asked within the call's deadline"
            )
        await budget.wait_for_returns()
        waited_seconds += clock.now() - started
        _waited(services, call.tally, "budget", clock.now() - started)
        budget.warn_waiting(waited_seconds)


def _worst(services: Services, call: Call) -> Spending | None:
    """The most the call can cost; None where no budget holds."""
    if not services.budget.has_caps:
        return None
    model = call.link.model
    price, tokens = worst_case(call.request, model)
    if price is None and services.budget.needs_prices and not services.config.budget.allow_unknown_prices:
        raise PriceUnknown(
            f"the price of {model.model} is unknown, so no budget can be kept; give the chain entry a "
            "price, or set allow_unknown_prices"
        )
    return Spending.of(price or Decimal(0), tokens)


def _most(call: Call, reservation: Reservation | None) -> Spending:
    """The most a call that was sent can have cost, as far as its price is known."""
    if reservation is not None:
        return reservation.amount
    price, tokens = worst_case(call.request, call.link.model)
    return Spending.of(price or Decimal(0), tokens)


async def _get_leave(services: Services, call: Call) -> Grant:
    """A place in flight and a place in the quota."""
    clock, link, tally = services.clock, call.link, call.tally
    window = services.window(link)
    entered = clock.now()
    if not window.enter_now():
        try:
            async with asyncio.timeout(max(tally.give_up_at - entered, 0.0)):
                await window.enter()
        except TimeoutError:
            raise RateLimited(
                f"{link.model.model} had no place for another call within the call's deadline"
            ) from None
        _waited(services, tally, "concurrency", clock.now() - entered)
        entered = clock.now()
    try:
        grant = await services.limiter.acquire(
            link.pool,
            Want(1, _charged_tokens(services, call)),
            link.limits,
            max_wait_seconds=max(tally.give_up_at - entered, 0.0),
            first=tally.attempts > 0,
        )
    except BaseException:
        window.leave()
        raise
    _waited(services, tally, "limit", clock.now() - entered)
    return grant


def _leave_unsent(services: Services, call: Call, grant: Grant) -> None:
    services.window(call.link).leave()
    services.limiter.settle(call.link.pool, Return(grant=grant, answered=False, unsent=True))


def _charged_tokens(services: Services, call: Call) -> int:
    request, model = call.request, call.link.model
    if not isinstance(request, ChatRequest):
        return 0
    return call.link.provider.charged_tokens(request, model, services.sizes.expected(request, model))


async def _exchange_into(
    done: asyncio.Future[Found],
    services: Services,
    call: Call,
    grant: Grant,
    reservation: Reservation | None,
) -> None:
    try:
        found = await _exchange(services, call, grant, reservation, done)
    except asyncio.CancelledError:
        if not done.done():
            done.set_exception(ConnectionFailed(_NO_WHOLE_ANSWER))
        raise
    except BaseException as error:
        if not done.done():
            done.set_exception(error)
    else:
        if not done.done():
            done.set_result(found)


async def _exchange(
    services: Services,
    call: Call,
    grant: Grant,
    reservation: Reservation | None,
    done: asyncio.Future[Found],
) -> Found:
    """Send, keep the answer, and hand everything back with what became of it, whatever becomes of it."""
    returned = Return(grant=grant, answered=False, unsent=True)
    spent: Spending | None = NOTHING
    overloaded = False
    try:
        known = await services.journal.begin(call.key, call.keys, call.request.endpoint, call.link.model)
        if known is not None:
            return Found(known, from_journal=True)
        if services.closing:
            await services.journal.withdraw(call.key)
            services.require_open()
        # Unless something better is known: the request may have been billed, and told the limiter nothing.
        returned = Return(grant=grant, answered=False, failed="no answer came")
        spent = None
        response = await _send(services, call)
        # The answer is here: however long it takes to keep, nobody cuts it short.
        services.on_the_wire[call.key].give_up_at = math.inf
        answer, error = _parse(call, response)
        returned = _returned(services, call, grant, response, error)
        if error is not None:
            raise error
        assert answer is not None
        services.answered = True
        tokens = call.link.provider.settled_tokens(answer.usage)
        if tokens is not None:
            returned = replace(returned, tokens=tokens)
        entry = _entry(services, call, answer)
        await _keep(services, call, entry, done)
        spent = _spent(entry, call, reservation)
        return Found(entry, from_journal=False)
    except CallFailed as error:
        overloaded = isinstance(error, Overloaded)
        call.tally.rate_limited += isinstance(error, RateLimited)
        if not may_have_been_billed(error):
            spent = NOTHING
            await services.journal.withdraw(call.key)
        raise
    finally:
        services.window(call.link).leave(overloaded=overloaded, answered=returned.answered)
        services.limiter.settle(call.link.pool, returned)
        spent = _most(call, reservation) if spent is None else spent
        if reservation is None:
            services.budget.record(spent)
        else:
            services.budget.settle(reservation, spent)


async def _keep(services: Services, call: Call, entry: Entry, done: asyncio.Future[Found]) -> None:
    """Put an answer into the journal. If that cannot be reached the run learns it, and this goes on trying.

    It is paid for; the client gives it up only when it closes.
    """
    while True:
        try:
            return await services.journal.record(call.key, entry, call.link.server)
        except StateUnavailable as error:
            if not done.done():
                done.set_exception(error)
            await services.clock.sleep(_KEEP_AGAIN_SECONDS)  # some errors come at once


async def _send(services: Services, call: Call) -> HttpResponse:
    tally, clock = call.tally, services.clock
    tally.attempts += 1
    tally.http_status = tally.request_id = None
    started = clock.now()
    response = await services.transport.send(call.wire)
    tally.latency_seconds = clock.now() - started
    tally.http_status = response.status
    tally.request_id = call.link.provider.request_id(response.headers)
    return response


def _parse(call: Call, response: HttpResponse) -> tuple[Answer | None, CallFailed | None]:
    try:
        return call.link.provider.parse(call.request, call.link.model, response), None
    except CallFailed as error:
        return None, error


def _entry(services: Services, call: Call, answer: Answer) -> Entry:
    model, request = call.link.model, call.request
    if isinstance(request, ChatRequest):
        services.sizes.add(request, model, answer.usage.output_tokens)
    return Entry(
        provider=call.link.provider.name,
        endpoint=request.endpoint,
        model=model.model,
        answer=answer,
        cost_usd=price_of(model, answer.usage, answered_model=answer.model, service_tier=answer.service_tier),
        latency_seconds=call.tally.latency_seconds,
        finished_at=datetime.fromtimestamp(services.clock.now(), UTC),
        subject=request.subject,
        fallback_reason=call.reason,
        request_id=call.tally.request_id,
        run_id=services.run_id,
    )


def _spent(entry: Entry, call: Call, reservation: Reservation | None) -> Spending:
    """What an answer counts as: what is not known of it counts at the most it could have been."""
    usage, cost_usd = entry.answer.usage, entry.cost_usd
    told = Spending.of(cost_usd or Decimal(0), usage.total_tokens)
    if cost_usd is not None and not usage.is_estimated:
        return told
    most = _most(call, reservation)
    nano_usd = max(told.nano_usd, most.nano_usd)
    return Spending(nano_usd, max(told.tokens, most.tokens) if usage.is_estimated else told.tokens)


def _returned(
    services: Services, call: Call, grant: Grant, response: HttpResponse, error: CallFailed | None
) -> Return:
    reports = _reports(call.link.provider.limit_report(response.headers))
    if reports is not None:
        services.window(call.link).open()
    if error is None or not is_mendable(error):
        return Return(grant=grant, reports=reports)
    pause_seconds = pause_after(error, services.config.retry)
    if isinstance(error, RateLimited):
        if reports is None and not pause_seconds:
            call.tally.uninformed_refusals += 1
            pause_seconds = back_off_seconds(call.tally.uninformed_refusals, services.config.retry)
        kind: Kind = "tokens" if "tokens" in f"{error.code} {error.message}".lower() else "requests"
        return Return(
            grant=grant, refused=True, reports=reports, refused_kind=kind, pause_seconds=pause_seconds
        )
    return Return(grant=grant, reports=reports, failed=str(error), pause_seconds=pause_seconds)


def _reports(report: LimitReport | None) -> dict[Kind, DimensionReport] | None:
    if report is None:
        return None
    reports: dict[Kind, DimensionReport] = {}
    if report.requests is not None:
        reports["requests"] = report.requests
    if report.tokens is not None:
        reports["tokens"] = report.tokens
    return reports


def _waited(services: Services, tally: Tally, cause: str, seconds: float) -> None:
    tally.wait_seconds += max(seconds, 0.0)
    services.metrics.waited(cause, seconds)
