"""The parts all charts share: an SVG picture, a scale with round ticks, axes with units.

Lengths are units of a picture 520 wide, which the page scales to its column. Colours and sizes of text are
the page's: a mark only says which series it belongs to, so that light, dark and print each have their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

WIDTH = 520.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 8.0, 28.0, 42.0

Show = Callable[[float], str]


class Picture:
    """An SVG element being drawn. Whatever text goes in is text in it: markup is escaped."""

    def __init__(self, height: float, label: str) -> None:
        self.height = height
        self._root = ElementTree.Element(
            "svg", {"viewBox": f"0 0 {WIDTH:g} {height:g}", "role": "img", "aria-label": label}
        )

    def draw(
        self, tag: str, css_class: str, text: str | None = None, *, title: str | None = None, **numbers: Any
    ) -> None:
        """Add a shape or a text; `title` is what a pointer resting on it is told."""
        shown = {
            name: f"{value:.6g}" if isinstance(value, float) else str(value)
            for name, value in numbers.items()
        }
        element = ElementTree.SubElement(self._root, tag, {"class": css_class, **shown})
        element.text = text
        if title is not None:
            ElementTree.SubElement(element, "title").text = title

    def markup(self) -> Markup:
        return Markup(ElementTree.tostring(self._root, encoding="unicode"))  # noqa: S704 - escaped above


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` on a length, with round numbers between them as ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Sequence[float], *, whole: bool = False, steps: int = 4) -> Scale:
        """A scale from zero, or around it, that holds all values; `whole` allows no ticks between 0 and 1."""
        low, high = min([0.0, *values]), max([0.0, *values])
        if low == high:
            high = 1.0
        step = _round_up((high - low) / steps)
        if whole:
            step = max(step, 1.0)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = tuple(number * step for number in range(first, last + 1))
        return cls(ticks[0], ticks[-1], ticks)

    def place(self, value: float, start: float, end: float) -> float:
        return start + (value - self.low) / (self.high - self.low) * (end - start)


def _round_up(number: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= number * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class Axes:
    """What stands beside a plot: units above the upright axis, `label` below the other one."""

    unit: str
    label: str
    show: Show
    ticks: tuple[tuple[int, str], ...]

    def said(self, value: float) -> str:
        """A value with its unit."""
        return with_unit(self.show(value), self.unit)


def with_unit(shown: str, unit: str) -> str:
    """An amount of money has its unit before it."""
    return shown if "$" in shown else f"{shown} {unit}"


def draw_axes(picture: Picture, axes: Axes, scale: Scale, positions: int) -> None:
    """Grid lines and labels of both axes, for a plot with so many places side by side."""
    floor = picture.height - BOTTOM
    for tick in scale.ticks:
        y = scale.place(tick, floor, TOP)
        picture.draw("line", "base" if tick == 0 else "grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
        picture.draw("text", "tick end", axes.show(tick), x=LEFT - 6, y=y + 4)
    for position, text in axes.ticks:
        picture.draw("text", "tick middle", text, x=middle(position, positions), y=floor + 17)
    picture.draw("text", "unit", axes.unit, x=4.0, y=14.0)
    picture.draw("text", "unit end", axes.label, x=WIDTH - RIGHT, y=picture.height - 6)


def middle(position: int, positions: int) -> float:
    """The middle of one of the places that share the plot's width."""
    return LEFT + (position + 0.5) * slot(positions)


def slot(positions: int) -> float:
    return (WIDTH - LEFT - RIGHT) / positions
