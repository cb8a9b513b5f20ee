"""What a page is made of, as frozen values: a headline, sections, figures and the table behind each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class DataTable:
    """Numbers to read and to copy. The first `names` columns are text, the others numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with what its colours mean (name and CSS class), and the numbers it was drawn from."""

    title: str
    chart: Markup
    table: DataTable
    legend: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence or two, figures, and a table of its own below them."""

    key: str
    title: str
    text: str
    figures: tuple[Figure, ...] = ()
    table: DataTable | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the headline, what it is, and what stands behind it."""

    name: str
    value: str
    detail: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole page."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]


def present(figures: Iterable[Figure | None]) -> tuple[Figure, ...]:
    """The figures that there is something to show for."""
    return tuple(figure for figure in figures if figure is not None)
