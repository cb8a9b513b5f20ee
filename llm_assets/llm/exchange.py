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
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.ledger import NOTHING, Reservation, Spending
from llm_assets.llm.pools.bucket import Kind
from llm_assets.llm.pools.values import Grant, Return
from llm_assets.llm.pricing import price_of
from llm_assets.llm.providers.base import DimensionReport, LimitReport
from llm_assets.llm.requests import Answer, ChatRequest
from llm_assets.llm.retry import back_off_seconds, is_mendable, may_have_been_billed, pause_after
from llm_assets.llm.services import Call, Found, Services
from llm_assets.llm.sizes import worst_case

# How soon to try again to keep an answer when the journal is out of reach.
_KEEP_AGAIN_SECONDS = 0.5
_NO_COST = Decimal(0)
_NO_WHOLE_ANSWER = "no whole answer came within the deadline"


class Exchange:
    """One request that is sent and settled, whether or not anybody waits for `found`.

    `give_up_at` is the moment at which its answer is no longer waited for.
    """

    __slots__ = ("_call", "_grant", "_reservation", "_services", "found", "give_up_at", "task")

    def __init__(self, services: Services, call: Call, grant: Grant, reservation: Reservation | None) -> None:
        self._services = services
        self._call = call
        self._grant = grant
        self._reservation = reservation
        self.give_up_at = services.clock.now() + services.config.retry.deadline_seconds
        loop = asyncio.get_running_loop()
        self.found: asyncio.Future[Found] = loop.create_future()
        self.task: asyncio.Task[None] = loop.create_task(self._run())
        services.on_the_wire[call.key] = self

    async def _run(self) -> None:
        try:
            found = await self._exchange()
        except asyncio.CancelledError:
            self._fail(ConnectionFailed(_NO_WHOLE_ANSWER))
            raise
        except BaseException as error:
            self._fail(error)
        else:
            if not self.found.done():
                self.found.set_result(found)
        finally:
            del self._services.on_the_wire[self._call.key]

    def _fail(self, error: BaseException) -> None:
        if not self.found.done():
            self.found.set_exception(error)

    async def _exchange(self) -> Found:
        """Send, keep the answer, and hand everything back with what became of it, whatever becomes of it."""
        services, call = self._services, self._call
        journal, provider, clock = services.journal, call.link.provider, services.clock
        returned: Return | None = None
        spent: Spending | None = NOTHING
        is_sent = overloaded = False
        try:
            known = await journal.begin(call.key, call.keys, call.request.endpoint, call.link.model)
            if known is not None:
                return Found(known, from_journal=True)
            if services.closing:
                await journal.withdraw(call.key)
                services.require_open()
            # Unless something better is known: it may have been billed, and told the limiter nothing.
            is_sent, spent = True, None
            call.tally.send(clock.now())
            response = await services.transport.send(call.wire)
            call.tally.receive(response.status, provider.request_id(response.headers), clock.now())
            # The answer is here: however long it takes to keep, nobody cuts it short.
            self.give_up_at = math.inf
            answer, error = _parse(call, response)
            returned = _returned(services, call, self._grant, response, error)
            if error is not None:
                raise error
            assert answer is not None
            services.answered = True
            tokens = provider.settled_tokens(answer.usage)
            if tokens is not None:
                returned = returned._replace(tokens=tokens)
            entry = _entry(services, call, answer)
            spent = _spent(entry, call, self._reservation)
            # At once, for meanwhile others reserve.
            if self._reservation is not None and _is_more(spent, self._reservation.amount):
                _learn(services, call, spent)
            await self._keep(entry)
            return Found(entry, from_journal=False)
        except CallFailed as error:
            overloaded = isinstance(error, Overloaded)
            call.tally.rate_limited += isinstance(error, RateLimited)
            if not may_have_been_billed(error):
                spent = NOTHING
                await journal.withdraw(call.key)
            raise
        finally:
            if returned is None:
                failed = "no answer came" if is_sent else None
                returned = Return(self._grant, answered=False, unsent=not is_sent, failed=failed)
            self._settle(returned, _most(call, self._reservation) if spent is None else spent, overloaded)

    async def _keep(self, entry: Entry) -> None:
        """Put an answer into the journal. If that cannot be reached the run learns it, and this tries again.

        It is paid for; the client gives it up only when it closes.
        """
        services, call = self._services, self._call
        while True:
            try:
                return await services.journal.record(call.key, entry, call.link.server)
            except StateUnavailable as error:
                self._fail(error)
                await services.clock.sleep(_KEEP_AGAIN_SECONDS)  # some errors come at once

    def _settle(self, returned: Return, spent: Spending, overloaded: bool) -> None:
        services, link = self._services, self._call.link
        services.window(link).leave(overloaded=overloaded, answered=returned.answered)
        services.limiter.settle(link.pool, returned)
        if self._reservation is None:
            services.budget.record(spent)
        else:
            services.budget.settle(self._reservation, spent)


def _parse(call: Call, response: HttpResponse) -> tuple[Answer | None, CallFailed | None]:
    try:
        return call.link.provider.parse(call.request, call.link.model, response), None
    except CallFailed as error:
        return None, error


def _entry(services: Services, call: Call, answer: Answer) -> Entry:
    model, request = call.link.model, call.request
    if isinstance(request, ChatRequest) and call.link.provider.counts_output:
        services.sizes.add(request, model, answer.usage.output_tokens)
    tally = call.tally
    cost_usd = price_of(model, answer.usage, answered_model=answer.model, service_tier=answer.service_tier)
    return Entry(
        call.link.provider.name,
        request.endpoint,
        model.model,
        answer,
        cost_usd,
        tally.latency_seconds,
        datetime.fromtimestamp(services.clock.now(), UTC),
        request.subject,
        call.reason,
        tally.request_id,
        services.run_id,
    )


def _spent(entry: Entry, call: Call, reservation: Reservation | None) -> Spending:
    """What an answer counts as: what is not known of it counts at the most it could have been."""
    usage, cost_usd = entry.answer.usage, entry.cost_usd
    told = Spending.of(_NO_COST if cost_usd is None else cost_usd, usage.input_tokens + usage.output_tokens)
    if cost_usd is not None and not usage.is_estimated:
        return told
    most = _most(call, reservation)
    nano_usd = max(told.nano_usd, most.nano_usd)
    return Spending(nano_usd, max(told.tokens, most.tokens) if usage.is_estimated else told.tokens)


def _is_more(spent: Spending, reserved: Spending) -> bool:
    return spent.nano_usd > reserved.nano_usd or spent.tokens > reserved.tokens


def _learn(services: Services, call: Call, spent: Spending) -> None:
    """A call cost more than was reserved: reserve more from now on, and say so."""
    times = services.overbilled.learn(call.link.model.model, _most(call, None), spent)
    services.metrics.overbilled()
    services.budget.warnings.overbilled(call.link.model.model, times)


def _returned(
    services: Services, call: Call, grant: Grant, response: HttpResponse, error: CallFailed | None
) -> Return:
    told = call.link.provider.limit_report(response.headers)
    reports = None if told is None else _reports(told)
    if reports is not None:
        services.window(call.link).open()
    if error is None or not is_mendable(error):
        return Return(grant, reports=reports) if reports else Return(grant)
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


def _reports(report: LimitReport) -> dict[Kind, DimensionReport]:
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
