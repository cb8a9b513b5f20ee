"""How the quota was used: requests and tokens a minute, refusals, waits.

A call counts for the model that was asked last. What came from the journal was not sent and does not count.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from llm_assets.report.charts import Series, stacked_columns
from llm_assets.report.contents import DataTable, Figure, Section, present
from llm_assets.report.days import added
from llm_assets.report.model_names import Names, columns_by_model
from llm_assets.report.months import Month
from llm_assets.report.svg import Axes
from llm_assets.report.text import NONE, count, counted, duration, exact, weekday
from llm_assets.warehouse.report_rows import ModelUse, MonthRows

_MINUTES = 60


def quota_section(month: Month, rows: MonthRows) -> Section:
    """Requests and tokens a minute at their peak, refusals and waits, by model."""
    totals, names = rows.totals, Names(rows)
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


def _busiest(rows: MonthRows, names: Names) -> Figure | None:
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


def _refusals(month: Month, rows: MonthRows, names: Names) -> Figure | None:
    if not rows.totals.rate_limited:
        return None
    cells = added(((row.day, names(row), row.rate_limited or None) for row in rows.model_days), names.grouped)
    title = "Refused requests by day of the recordings"
    return columns_by_model(title, month, cells, names, "requests", count, whole=True)


def _waits(month: Month, rows: MonthRows, names: Names) -> Figure | None:
    if rows.totals.wait_seconds < 1:
        return None
    minutes = ((row.day, names(row), row.wait_seconds / 60 or None) for row in rows.model_days)
    cells = added(minutes, names.grouped)
    unit = "minutes, all calls added up"
    return columns_by_model(
        "Waits by day of the recordings", month, cells, names, unit, lambda value: f"{value:,.3g}"
    )


def _quota_table(rows: MonthRows, names: Names) -> DataTable:
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
