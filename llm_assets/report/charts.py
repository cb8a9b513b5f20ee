"""The four charts of a report: stacked columns, a line with gaps, bars and a map of shades.

Every mark has the class `mark` and says on hover what it stands for, with its unit. A value of None is not
drawn, and neither is a column of zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from llm_assets.report.svg import (
    BOTTOM,
    RIGHT,
    TOP,
    WIDTH,
    Axes,
    Picture,
    Scale,
    Show,
    draw_axes,
    middle,
    slot,
    with_unit,
)
from llm_assets.report.text import short

HEIGHT = 240.0
_ROW = 26.0
_NAMES = 184.0
_NAME_CHARACTERS = 18
_VALUES = 80.0
_LEAST = 1.5  # what is not zero can be seen


@dataclass(frozen=True, slots=True)
class Series:
    """Values side by side under one name; `css_class` is the page's word for their colour."""

    name: str
    css_class: str
    values: tuple[float | None, ...]


def stacked_columns(
    title: str, places: Sequence[str], series: Sequence[Series], axes: Axes, *, whole: bool = False
) -> Markup:
    """A column for each place, the series on top of each other in their order."""
    picture = Picture(HEIGHT, _label(title))
    totals = [sum(each.values[index] or 0.0 for each in series) for index in range(len(places))]
    scale = Scale.over(totals, whole=whole)
    draw_axes(picture, axes, scale, len(places))
    width = slot(len(places)) * 0.78
    for index, place in enumerate(places):
        bottom = 0.0
        for each in series:
            value = each.values[index]
            if not value:
                continue
            low, high = (scale.place(edge, HEIGHT - BOTTOM, TOP) for edge in (bottom, bottom + value))
            bottom += value
            height = max(low - high, _LEAST)
            said = f"{place}, {each.name}: {axes.said(value)}"
            picture.draw(
                "rect", f"mark {each.css_class}", title=said,
                x=middle(index, len(places)) - width / 2, y=low - height, width=width, height=height,
            )  # fmt: skip
    return picture.markup()


def line(title: str, places: Sequence[str], series: Series, axes: Axes, scale: Scale) -> Markup:
    """A point for each place that has a value, joined with its neighbours; where there is none, a gap."""
    picture = Picture(HEIGHT, _label(title))
    draw_axes(picture, axes, scale, len(places))
    points = [
        None if value is None else (middle(index, len(places)), scale.place(value, HEIGHT - BOTTOM, TOP))
        for index, value in enumerate(series.values)
    ]
    for here, there in itertools.pairwise(points):
        if here and there:
            picture.draw(
                "line", f"stroke {series.css_class}", x1=here[0], y1=here[1], x2=there[0], y2=there[1]
            )
    for place, point, value in zip(places, points, series.values, strict=True):
        if point and value is not None:
            said = f"{place}: {axes.said(value)}"
            picture.draw("circle", f"mark {series.css_class}", title=said, cx=point[0], cy=point[1], r=4)
    return picture.markup()


def bars(title: str, rows: Sequence[tuple[str, float]], unit: str, show: Show) -> Markup:
    """A bar for each name, as long as its value, with the value written behind it."""
    picture = Picture(_ROW * len(rows) + 22, _label(title))
    most = max([value for _, value in rows if value], default=1.0)
    longest = WIDTH - RIGHT - _VALUES - _NAMES
    picture.draw("text", "unit end", unit, x=WIDTH - RIGHT, y=14.0)
    for index, (name, value) in enumerate(rows):
        y = 22 + index * _ROW
        said = f"{name}: {with_unit(show(value), unit)}"
        width = max(value / most * longest, _LEAST) if value else 0.0
        picture.draw("text", "name end", short(name, _NAME_CHARACTERS), title=said, x=_NAMES - 8, y=y + 16)
        picture.draw("rect", "mark k1", title=said, x=_NAMES, y=y + 3, width=width, height=_ROW - 8)
        picture.draw("text", "tick", show(value), x=_NAMES + width + 6, y=y + 16)
    return picture.markup()


def shades(
    title: str, places: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]], axes: Axes
) -> Markup:
    """A row for each name and a cell for each place, the darker the more; empty cells are left out."""
    picture = Picture(_ROW * len(rows) + 22 + BOTTOM, _label(title))
    most = max([1, *(value for _, values in rows for value in values)])
    cell = (WIDTH - RIGHT - _NAMES) / len(places)
    for index, (name, values) in enumerate(rows):
        y = 12 + index * _ROW
        picture.draw("text", "name end", short(name, _NAME_CHARACTERS), title=name, x=_NAMES - 8, y=y + 17)
        picture.draw("rect", "track", x=_NAMES, y=y + 2, width=cell * len(places), height=_ROW - 4)
        for position, value in enumerate(values):
            if value:
                attributes: dict[str, Any] = {"fill-opacity": 0.2 + 0.8 * value / most}
                picture.draw(
                    "rect", "mark k1", title=f"{name}, {places[position]}: {axes.said(value)}",
                    x=_NAMES + position * cell + 0.5, y=y + 2, width=cell - 1, height=_ROW - 4, **attributes,
                )  # fmt: skip
    for position, text in axes.ticks:
        x = _NAMES + (position + 0.5) * cell
        picture.draw("text", "tick middle", text, x=x, y=12 + _ROW * len(rows) + 17)
    picture.draw("text", "unit end", axes.label, x=WIDTH - RIGHT, y=picture.height - 6)
    return picture.markup()


def _label(title: str) -> str:
    return f"{title}. The numbers are in the table below the chart."
