"""Charts over the days of a month: one place for each day, whether it has rows or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from llm_assets.report.charts import Series, stacked_columns
from llm_assets.report.contents import DataTable, Figure
from llm_assets.report.months import Month
from llm_assets.report.svg import Axes, Show
from llm_assets.report.text import exact, weekday

COLOURS = ("k1", "k2", "k3", "k4", "k5", "k6", "k7")
OTHERS = "others"
_QUIET = "quiet"

Amount = int | float | Decimal
Cells = Mapping[tuple[date, str], Amount]


@dataclass(frozen=True, slots=True)
class DayAxis:
    """The days of a month as places of a chart."""

    month: Month

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(weekday(day) for day in self.month.days)

    def axes(self, unit: str, show: Show) -> Axes:
        ticks = tuple(
            (day.day - 1, str(day.day)) for day in self.month.days if day.day == 1 or day.day % 5 == 0
        )
        return Axes(unit, f"day of {self.month.name}", show, ticks)


def daily_columns(
    title: str,
    month: Month,
    cells: Cells,
    names: Sequence[tuple[str, str]],
    unit: str,
    show: Show,
    *,
    whole: bool = False,
    note: str = "",
) -> Figure:
    """Stacked columns by day. `names` are the series and their CSS classes, from the bottom up."""
    days = DayAxis(month)
    series = [
        Series(name, css_class, tuple(_number(cells.get((day, name))) for day in month.days))
        for name, css_class in names
    ]
    return Figure(
        title=title,
        chart=stacked_columns(title, days.places, series, days.axes(unit, show), whole=whole),
        table=daily_table(month, cells, [name for name, _ in names], unit),
        legend=tuple(names) if len(names) > 1 else (),
        note=note,
    )


def daily_table(month: Month, cells: Cells, names: Sequence[str], unit: str) -> DataTable:
    """A row for each day that has a number, a column for each series."""
    rows = [
        (day.isoformat(), *(exact(cells.get((day, name), 0)) for name in names))
        for day in month.days
        if any((day, name) in cells for name in names)
    ]
    return DataTable(("day", *(f"{name}, {unit}" for name in names)), tuple(rows))


def added(cells: Iterable[tuple[date, str, Amount | None]], rename: Callable[[str], str] = str) -> Cells:
    """Amounts of the same day and name added up; what is unknown is left out."""
    sums: dict[tuple[date, str], Amount] = {}
    for day, name, amount in cells:
        if amount is not None:
            key = day, rename(name)
            sums[key] = sums[key] + amount if key in sums else amount  # pyright: ignore[reportOperatorIssue]
    return sums


def largest(names: Iterable[str]) -> tuple[list[tuple[str, str]], Callable[[str], str]]:
    """Colours for the first names, in order, and the function that calls all further ones `others`."""
    distinct = list(dict.fromkeys(names))
    shown = distinct if len(distinct) <= len(COLOURS) else distinct[: len(COLOURS) - 1]
    coloured: list[tuple[str, str]] = list(zip(shown, COLOURS, strict=False))
    if len(shown) == len(distinct):
        return coloured, str
    known = set(shown)
    return [*coloured, (OTHERS, _QUIET)], lambda name: name if name in known else OTHERS


def _number(amount: Amount | None) -> float | None:
    return None if amount is None else float(amount)
