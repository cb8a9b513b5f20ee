"""A plan as a table that fits the terminal, with remarks below; or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from llm_assets.cli.plan_remarks import remarks
from llm_assets.cli.ranges import cost_range, number_range
from llm_assets.money import usd
from llm_assets.planning.budget import Cost
from llm_assets.planning.plan import Plan

if TYPE_CHECKING:
    from llm_assets.cli.plan_remarks import Asked
    from llm_assets.orchestration.plan_days import DaysPlan

_WIDE_CHARACTERS = 100


def show(plan: DaysPlan, asked: Asked) -> None:
    """Print it for a person."""
    console = Console(highlight=False)
    console.print(f"{_span(plan)}:", markup=False)
    console.print(_table(plan, is_wide=console.width >= _WIDE_CHARACTERS))
    for line in remarks(plan, asked):
        # A command stays on one line, to be copied.
        console.print(line, markup=False, soft_wrap=line.startswith(" "))


def as_json_value(plan: DaysPlan, asked: Asked) -> dict[str, Any]:
    """Everything in it, as numbers."""
    return {
        "first_day": plan.days[0],
        "last_day": plan.days[-1],
        "days": len(plan.days),
        "days_left_out": asked.left_out_days,
        "recordings": [
            {
                "asset": each.asset,
                "rows": each.rows,
                "not_read_yet": each.unread,
                "outside_layout": len(each.outside),
            }
            for each in plan.recordings
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
    repeats = ["repeated"] if any(each.repeated for each in plan.plans) else []
    for name in ("rows", "no model", "answered", *repeats, "to ask"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("model")
    if is_wide:
        table.add_column("audio, tokens", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    for each in plan.recordings:
        rows = f"{each.rows:,}"
        none = ["0"] * len(repeats)
        table.add_row(each.asset, rows, rows, "0", *none, "0", "", *([""] if is_wide else []), usd(0))
    for each in plan.plans:
        repeated = [each.repeated] if repeats else []
        counts = (each.rows, each.without_model, each.answered, *repeated, each.to_ask)
        size = [_size(each)] if is_wide else []
        table.add_row(
            each.asset, *(f"{count:,}" for count in counts), each.model, *size, cost_range(each.cost_usd)
        )
    if len(plan.plans) > 1:
        blank = [""] * (len(table.columns) - 2)
        table.add_row("together", *blank, cost_range(plan.cost_usd))
    return table


def _size(plan: Plan) -> str:
    if not plan.to_ask:
        return ""
    if plan.audio_seconds[1]:
        return number_range(*(f"{seconds / 3600:.1f}" for seconds in plan.audio_seconds)) + " h"
    return number_range(*(_short(tokens) for tokens in plan.tokens))


def _short(count: int) -> str:
    if count < 1_000:
        return str(count)
    return f"{count / 1_000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"
