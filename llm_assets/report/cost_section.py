"""What the models cost, by day and by model.

An answer is in the cost once, whichever run paid for it and however many rows share it.
"""

from __future__ import annotations

from llm_assets.report.charts import bars
from llm_assets.report.contents import DataTable, Figure, Section, present
from llm_assets.report.days import added
from llm_assets.report.model_names import Names, columns_by_model
from llm_assets.report.months import Month
from llm_assets.report.text import NONE, counted, exact, usd
from llm_assets.warehouse.report_rows import MonthRows, Totals

_MOST_BARS = 12


def cost_section(month: Month, rows: MonthRows) -> Section:
    """Cost by day and by model, with what was asked for it."""
    if not rows.models:
        return Section("cost", "Cost", f"No model was asked for the recordings of {month.name}.")
    totals, names = rows.totals, Names(rows)
    text = (
        f"The answers of {month.name} cost {usd(totals.cost_usd)} when they were paid for, in "
        f"{counted(totals.paid_answers, 'call')}{_who_paid(totals)}."
    )
    if totals.journal_hits:
        text += (
            f" In these runs {counted(totals.journal_hits, 'answer')} came without paying, from the journal "
            "or because another recording had led to the same question, which saved "
            f"{usd(totals.saved_usd)}."
        )
    text += " All that was ever paid, also for answers that stand in no table any more, is in the journal."
    return Section(
        "cost",
        "Cost",
        text,
        present([_cost_by_day(month, rows, names), _cost_by_model(rows, names)]),
        _cost_table(rows, names),
        note=_without_price(totals.calls_without_price),
    )


def _who_paid(totals: Totals) -> str:
    if totals.cost_usd is None or totals.new_usd is None:
        return ""
    if totals.new_usd == totals.cost_usd:
        return ", all by the runs that stand in the tables"
    new = f"{usd(totals.new_usd)} by the runs that stand in the tables"
    return f": {new}, the rest by earlier or interrupted ones"


def _cost_by_day(month: Month, rows: MonthRows, names: Names) -> Figure | None:
    if rows.totals.cost_usd is None:
        return None
    cells = added(((row.day, names(row), row.cost_usd) for row in rows.model_days), names.grouped)
    return columns_by_model("Cost by day", month, cells, names, "US dollars", usd)


def _cost_by_model(rows: MonthRows, names: Names) -> Figure | None:
    costs = [(names(use), use.cost_usd) for use in rows.models if use.cost_usd is not None]
    if not costs:
        return None
    title, left = "Cost by model", costs[_MOST_BARS:]
    shown = [(name, float(cost)) for name, cost in costs[:_MOST_BARS]]
    return Figure(
        title,
        bars(title, shown, "US dollars", usd),
        DataTable(("model", "US dollars"), tuple((name, exact(cost)) for name, cost in costs)),
        note=f"{counted(len(left), 'cheaper model')} in the table only." if left else "",
    )


def _cost_table(rows: MonthRows, names: Names) -> DataTable:
    return DataTable(
        (
            "model", "asked for", "calls", "failed", "from fallback", "journal hits", "audio minutes",
            "tokens read", "of them cached", "tokens written", "cost, US dollars", "of it new",
            "without a price",
        ),
        tuple(
            (
                names(use), use.endpoint or NONE, exact(use.calls), exact(use.calls - use.answered),
                exact(use.fallbacks), exact(use.journal_hits), exact(use.audio_seconds / 60, 2),
                exact(use.input_tokens), exact(use.cached_tokens), exact(use.output_tokens),
                exact(use.cost_usd), exact(use.new_usd), exact(use.calls_without_price),
            )
            for use in rows.models
        ),
        names=2,
    )  # fmt: skip


def _without_price(calls: int) -> str:
    if not calls:
        return ""
    return (
        f"{counted(calls, 'answered call')} without a known price: the cost is at least what is shown. "
        "Give such a model a price in its chain entry."
    )
