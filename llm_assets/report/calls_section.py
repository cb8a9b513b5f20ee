"""What the models cost and how the quota was used.

A call counts for the model that was asked last. Answers from the journal have their price in the cost,
since the rows were paid for once, and count neither as requests nor as waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from llm_assets.report.charts import Series, bars, stacked_columns
from llm_assets.report.contents import DataTable, Figure, Section, present
from llm_assets.report.days import Cells, added, daily_columns, largest
from llm_assets.report.months import Month
from llm_assets.report.svg import Axes, Show
from llm_assets.report.text import NONE, count, counted, duration, exact, plain, usd, weekday
from llm_assets.warehouse.report_rows import ModelDay, ModelMinute, ModelUse, MonthRows

_NO_MODEL = "no model"
_MINUTES = 60
_MOST_BARS = 12


def cost_section(month: Month, rows: MonthRows) -> Section:
    """Cost by day and by model, with what was asked for it."""
    if not rows.models:
        return Section("cost", "Cost", f"No model was asked for the recordings of {month.name}.")
    totals, names = rows.totals, _Names(rows)
    text = (
        f"The answers of {month.name} cost {usd(totals.cost_usd)} when they were paid for, in "
        f"{counted(totals.calls, 'call')}."
    )
    if totals.journal_hits:
        text += (
            f" {counted(totals.journal_hits, 'answer')} came from the journal in the latest run, which saved "
            f"paying {usd(totals.journal_usd)} again."
        )
    return Section(
        "cost",
        "Cost",
        text,
        present([_cost_by_day(month, rows, names), _cost_by_model(rows, names)]),
        _cost_table(rows, names),
        note=_without_price(totals.calls_without_price),
    )


def quota_section(month: Month, rows: MonthRows) -> Section:
    """Requests and tokens a minute at their peak, refusals and waits, by model."""
    totals, names = rows.totals, _Names(rows)
    if not totals.attempts:
        return Section("quota", "Quota use", f"No request was sent to a model for {month.name}.")
    refused = f"{count(totals.rate_limited)} of" if totals.rate_limited else "None of"
    return Section(
        "quota",
        "Quota use",
        f"{refused} {counted(totals.attempts, 'request')} refused for a rate limit; calls waited "
        f"{duration(totals.wait_seconds)} in all for limits and between attempts. "
        "A peak is the most of one minute of the clock.",
        present([_busiest(rows, names), _refusals(month, rows, names), _waits(month, rows, names)]),
        _quota_table(rows, names),
    )


class _Names:
    """What the models are called: by their provider too where two providers have one of the same name."""

    def __init__(self, rows: MonthRows) -> None:
        self._often = Counter(use.model for use in rows.models)
        # The dearest first, and of one colour in every chart.
        self._coloured, self.grouped = largest(self(use) for use in rows.models)

    def coloured(self, found: Iterable[str]) -> list[tuple[str, str]]:
        """Those of the names, or of `others`, that are among `found`, with their colours."""
        names = set(found)
        return [(name, css_class) for name, css_class in self._coloured if name in names]

    def __call__(self, row: ModelUse | ModelDay | ModelMinute) -> str:
        if row.model is None:
            return _NO_MODEL
        return plain(f"{row.provider}/{row.model}" if self._often[row.model] > 1 else row.model)


def _cost_by_day(month: Month, rows: MonthRows, names: _Names) -> Figure | None:
    if rows.totals.cost_usd is None:
        return None
    cells = added(((row.day, names(row), row.cost_usd) for row in rows.model_days), names.grouped)
    return _by_model("Cost by day", month, cells, names, "US dollars", _dollars)


def _cost_by_model(rows: MonthRows, names: _Names) -> Figure | None:
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


def _cost_table(rows: MonthRows, names: _Names) -> DataTable:
    return DataTable(
        (
            "model", "asked for", "calls", "failed", "from fallback", "journal hits", "audio minutes",
            "tokens read", "of them cached", "tokens written", "cost, US dollars", "of it from the journal",
            "without a price",
        ),
        tuple(
            (
                names(use), use.endpoint or NONE, exact(use.calls), exact(use.calls - use.answered),
                exact(use.fallbacks), exact(use.journal_hits), exact(use.audio_seconds / 60, 2),
                exact(use.input_tokens), exact(use.cached_tokens), exact(use.output_tokens),
                exact(use.cost_usd), exact(use.journal_usd or 0), exact(use.calls_without_price),
            )
            for use in rows.models
        ),
        names=2,
    )  # fmt: skip


def _busiest(rows: MonthRows, names: _Names) -> Figure | None:
    if not rows.busiest:
        return None
    hour = min(row.minute for row in rows.busiest).replace(minute=0)
    sums: Counter[tuple[int, str]] = Counter()
    for row in rows.busiest:
        sums[row.minute.minute, names.grouped(names(row))] += row.requests
    coloured = names.coloured(name for _, name in sums)
    places = [f"{hour + timedelta(minutes=minute):%H:%M} UTC" for minute in range(_MINUTES)]
    series = [
        Series(name, css_class, tuple(float(sums[minute, name]) for minute in range(_MINUTES)))
        for name, css_class in coloured
    ]
    ticks = tuple((minute, f"{hour:%H}:{minute:02}") for minute in range(0, _MINUTES, 15))
    axes = Axes("requests a minute", f"{weekday(hour.date())} {hour.year}, UTC", count, ticks)
    title = "The busiest hour"
    table = tuple(
        (
            f"{row.minute:%Y-%m-%d %H:%M}",
            names(row),
            exact(row.requests),
            exact(row.tokens),
            exact(row.rate_limited),
        )
        for row in rows.busiest
    )
    return Figure(
        title,
        stacked_columns(title, places, series, axes, whole=True),
        DataTable(("minute, UTC", "model", "requests", "tokens", "refused"), table, names=2),
        legend=tuple(coloured) if len(coloured) > 1 else (),
    )


def _refusals(month: Month, rows: MonthRows, names: _Names) -> Figure | None:
    if not rows.totals.rate_limited:
        return None
    cells = added(((row.day, names(row), row.rate_limited or None) for row in rows.model_days), names.grouped)
    title = "Refused requests by day of the recordings"
    return _by_model(title, month, cells, names, "requests", count, whole=True)


def _waits(month: Month, rows: MonthRows, names: _Names) -> Figure | None:
    if rows.totals.wait_seconds < 1:
        return None
    minutes = ((row.day, names(row), row.wait_seconds / 60 or None) for row in rows.model_days)
    cells = added(minutes, names.grouped)
    unit = "minutes, all calls added up"
    return _by_model(
        "Waits by day of the recordings", month, cells, names, unit, lambda value: f"{value:,.3g}"
    )


def _by_model(
    title: str, month: Month, cells: Cells, names: _Names, unit: str, show: Show, *, whole: bool = False
) -> Figure:
    coloured = names.coloured(name for _, name in cells)
    return daily_columns(title, month, cells, coloured, unit, show, whole=whole)


def _quota_table(rows: MonthRows, names: _Names) -> DataTable:
    return DataTable(
        (
            "model", "requests", "refused", "requests a minute, peak", "tokens a minute, peak",
            "waited, seconds", "waited a call, seconds", "answer, mean seconds", "answer, 95% within seconds",
        ),
        tuple(
            (
                names(use), exact(use.attempts), exact(use.rate_limited),
                _or_none(use.peak_requests_per_minute), _or_none(use.peak_tokens_per_minute),
                exact(use.wait_seconds, 1), _or_none(_per_call(use), 2),
                _or_none(use.latency_seconds_mean, 2), _or_none(use.latency_seconds_p95, 2),
            )
            for use in rows.models
        ),
    )  # fmt: skip


def _per_call(use: ModelUse) -> float | None:
    sent = use.calls - use.journal_hits
    return use.wait_seconds / sent if sent else None


def _or_none(number: float | None, decimals: int = 0) -> str:
    return NONE if number is None else exact(number, decimals)


def _dollars(value: float) -> str:
    return f"{value:,.2f}" if not value or value >= 0.1 else f"{value:.3g}"


def _without_price(calls: int) -> str:
    if not calls:
        return ""
    return (
        f"{counted(calls, 'answered call')} without a known price: the cost is at least what is shown. "
        "Give such a model a price in its chain entry."
    )
