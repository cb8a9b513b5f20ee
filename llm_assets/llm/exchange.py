"""A request on the wire: sent, its answer kept, and everything handed back with what became of it.

From the moment of sending this runs as a task of its own: whoever waited may be cancelled, what is being paid
for is still kept. The intent is noted before anything is sent, and the answer is in the journal before
anybody sees it.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from decimal import Decimal

from llm_assets.errors import CallFailed, ConnectionFailed, Overloaded, RateLimited, StateUnavailable
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.ledger import NOTHING, Reservation, Spending
from llm_assets.llm.pools.bucket import Kind
from llm_assets.llm.pools.values import Grant, Return
from llm_assets.llm.pricing import price_of
from llm_assets.llm.providers.base import DimensionReport, LimitReport
from llm_assets.llm.requests import Answer, ChatRequest
from llm_assets.llm.retry import back_off_seconds, is_mendable, may_have_been_billed, pause_after
from llm_assets.llm.services import Call, Exchange, Found, Services
from llm_assets.llm.sizes import worst_case
from llm_assets.llm.transport import HttpResponse

# How soon to try again to keep an answer when the journal is out of reach.
_KEEP_AGAIN_SECONDS = 0.5
_NO_WHOLE_ANSWER = "no whole answer came within the deadline"


def start_exchange(
    services: Services, call: Call, grant: Grant, reservation: Reservation | None
) -> asyncio.Future[Found]:
    """Send a request and settle it, whether or not the future of its answer is waited for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Found] = loop.create_future()
    task = loop.create_task(_exchange_into(done, services, call, grant, reservation))
    give_up_at = services.clock.now() + services.config.retry.deadline_seconds
    services.on_the_wire[call.key] = Exchange(task, give_up_at)
    return done


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
    finally:
        del services.on_the_wire[call.key]


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
            returned = returned._replace(tokens=tokens)
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
    if isinstance(request, ChatRequest) and call.link.provider.counts_output:
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


def _most(call: Call, reservation: Reservation | None) -> Spending:
    """The most a call that was sent can have cost, as far as its price is known."""
    if reservation is not None:
        return reservation.amount
    nano_usd, tokens = worst_case(call.request, call.link.model)
    return Spending(nano_usd or 0, tokens)
