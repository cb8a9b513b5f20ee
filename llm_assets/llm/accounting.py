"""What an answer is to the journal, the budget and the limiter: an entry, what was spent, what came back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from llm_assets.errors import CallFailed, RateLimited
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.ledger import Reservation, Spending
from llm_assets.llm.pools.bucket import Kind
from llm_assets.llm.pools.values import Grant, Return
from llm_assets.llm.pricing import price_of
from llm_assets.llm.providers.base import DimensionReport, LimitReport
from llm_assets.llm.requests import Answer, ChatRequest
from llm_assets.llm.retry import back_off_seconds, is_mendable, pause_after
from llm_assets.llm.services import Call, Services
from llm_assets.llm.sizes import worst_case

_NO_COST = Decimal(0)


def entry_of(services: Services, call: Call, answer: Answer) -> Entry:
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


def spent_on(entry: Entry, call: Call, reservation: Reservation | None) -> Spending:
    """What an answer counts as: what is not known of it counts at the most it could have been."""
    usage, cost_usd = entry.answer.usage, entry.cost_usd
    told = Spending.of(_NO_COST if cost_usd is None else cost_usd, usage.input_tokens + usage.output_tokens)
    if cost_usd is not None and not usage.is_estimated:
        return told
    most = most_of(call, reservation)
    nano_usd = max(told.nano_usd, most.nano_usd)
    return Spending(nano_usd, max(told.tokens, most.tokens) if usage.is_estimated else told.tokens)


def is_more(spent: Spending, reserved: Spending) -> bool:
    return spent.nano_usd > reserved.nano_usd or spent.tokens > reserved.tokens


def learn_from(services: Services, call: Call, spent: Spending) -> None:
    """A call cost more than was reserved: reserve more from now on, and say so."""
    times = services.overbilled.learn(call.link.model.model, most_of(call, None), spent)
    services.metrics.overbilled()
    services.budget.warnings.overbilled(call.link.model.model, times)


def return_of(
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


def most_of(call: Call, reservation: Reservation | None) -> Spending:
    """The most a call that was sent can have cost, as far as its price is known."""
    if reservation is not None:
        return reservation.amount
    nano_usd, tokens = worst_case(call.request, call.link.model)
    return Spending(nano_usd or 0, tokens)
