"""A plan as a table that fits the terminal, with what it leaves out in sentences below; or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from llm_assets.orchestration.progress import duration_text
from llm_assets.planning.budget import BudgetPlan, Cost
from llm_assets.planning.plan import Plan

if TYPE_CHECKING:
    from llm_assets.orchestration.plan_days import DaysPlan

_WIDE_CHARACTERS = 100


def show(plan: DaysPlan) -> None:
    """Print it for a person."""
    console = Console(highlight=False)
    console.print(f"{_span(plan)}:", markup=False)
    console.print(_table(plan, is_wide=console.width >= _WIDE_CHARACTERS))
    for line in _remarks(plan):
        console.print(line, markup=False)


def as_json_value(plan: DaysPlan) -> dict[str, Any]:
    """Everything in it, as numbers."""
    return {
        "first_day": plan.days[0],
        "last_day": plan.days[-1],
        "days": len(plan.days),
        "recordings": [
            {"asset": each.asset, "rows": each.rows, "not_read_yet": each.unread} for each in plan.recordings
        ],
        "assets": [_numbers(each) for each in plan.plans],
        "days_without_transcripts": dict(plan.without_transcripts),
        **_cost_numbers(plan.cost_usd),
        "budgets": [budget.numbers() for budget in plan.budgets],
    }


def _numbers(plan: Plan) -> dict[str, Any]:
    return {
        "asset": plan.asset,
        "rows": plan.rows,
        "without_model": plan.without_model,
        "repeated": plan.repeated,
        "answered": plan.answered,
        "to_ask": plan.to_ask,
        "in_parts": plan.in_parts,
        "estimated": plan.estimated,
        "model": plan.model,
        "audio_seconds_least": plan.audio_seconds[0],
        "audio_seconds_most": plan.audio_seconds[1],
        "tokens_least": plan.tokens[0],
        "tokens_most": plan.tokens[1],
        **_cost_numbers(plan.cost_usd),
        "least_seconds": plan.least_seconds,
    }


def _cost_numbers(cost_usd: Cost | None) -> dict[str, float | None]:
    least, most = cost_usd or (None, None)
    return {
        "cost_usd_least": None if least is None else float(least),
        "cost_usd_most": None if most is None else float(most),
    }


def _span(plan: DaysPlan) -> str:
    if len(plan.days) == 1:
        return plan.days[0]
    return f"{plan.days[0]} to {plan.days[-1]}, {len(plan.days):,} days"


def _table(plan: DaysPlan, *, is_wide: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("asset", no_wrap=True)
    for name in ("rows", "no model", "answered", "to ask"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("model")
    if is_wide:
        table.add_column("audio, tokens", justify="right", no_wrap=True)
    table.add_column("USD", justify="right", no_wrap=True)
    for each in plan.recordings:
        rows = f"{each.rows:,}"
        table.add_row(each.asset, rows, rows, "0", "0", "", *([""] if is_wide else []), "0")
    for each in plan.plans:
        # The same content again is answered by then.
        counts = (each.rows, each.without_model, each.answered + each.repeated, each.to_ask)
        size = [_size(each)] if is_wide else []
        table.add_row(each.asset, *(f"{count:,}" for count in counts), each.model, *size, _usd(each.cost_usd))
    if len(plan.plans) > 1:
        table.add_row("together", "", "", "", "", "", *([""] if is_wide else []), _usd(plan.cost_usd))
    return table


def _size(plan: Plan) -> str:
    if not plan.to_ask:
        return ""
    if plan.audio_seconds[1]:
        return _range(*(f"{seconds / 3600:.1f}" for seconds in plan.audio_seconds)) + " h"
    return _range(*(_short(tokens) for tokens in plan.tokens))


def _short(count: int) -> str:
    if count < 1_000:
        return str(count)
    return f"{count / 1_000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def _usd(cost_usd: Cost | None) -> str:
    if cost_usd is None:
        return "unknown"
    return "0" if not cost_usd[1] else _range(*(f"{amount:,.{_digits(cost_usd)}f}" for amount in cost_usd))


def _digits(cost_usd: Cost) -> int:
    return 2 if cost_usd[1] >= 1 else 4


def _range(least: str, most: str) -> str:
    return least if least == most else f"{least}–{most}"


def _remarks(plan: DaysPlan) -> Iterator[str]:
    for each in plan.recordings:
        if each.unread:
            yield (
                f"{each.unread:,} recordings are not read yet and not in these numbers: materialize "
                f"{each.asset} (it asks no model) and plan again."
            )
        elif not each.rows:
            yield f"There is nothing for {each.asset} of these days."
    for asset, days in plan.without_transcripts.items():
        yield f"{asset} has nothing to read for {days:,} of the days: their transcripts are not there yet."
    for each in plan.plans:
        if each.estimated:
            yield f"{each.asset}: {each.estimated:,} rows are not transcribed yet: estimated by length."
        if each.in_parts:
            yield f"{each.asset}: {each.in_parts:,} recordings are too long for one call and asked in parts."
        if each.to_ask and each.least_seconds:
            yield f"{each.asset}: at least {duration_text(each.least_seconds)} at the configured limits."
    for budget in plan.budgets:
        yield from _of_budget(budget, is_only=len(plan.budgets) == 1)


def _of_budget(plan: BudgetPlan, *, is_only: bool) -> Iterator[str]:
    name = "The budget" if is_only else f"The budget of {plan.resource}"
    caps: list[str] = []
    if plan.budget.usd_per_day is not None:
        caps.append(
            f"${plan.budget.usd_per_day:,.2f} a day, of which ${plan.left_today_usd:,.2f} are left today"
        )
    if plan.budget.usd_per_run is not None:
        caps.append(f"${plan.budget.usd_per_run:,.2f} a run, and this takes {plan.runs:,}")
    yield f"{name} is {'; '.join(caps)}. {_VERDICTS[plan.bears]}"
    if plan.bears in ("perhaps", "no") and plan.days is not None and plan.days[1] > 1:
        yield f"Spread over days it takes {_range(*map(str, plan.days))}: launch the rest again the next day."


_VERDICTS = {
    "yes": "It bears this.",
    "perhaps": "It may not bear this: what is paid for is kept, and a later run goes on from there.",
    "no": "It does not bear this: what is paid for is kept, and a later run goes on from there.",
    "unknown": "A model whose price is unknown is not asked under a budget: give its entry a price.",
}
