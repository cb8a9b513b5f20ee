"""The page is well-formed HTML that says everything itself, in colours that can be told apart."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import EVIL

from llm_assets.errors import ConfigurationError, LLMAssetsError
from llm_assets.report.months import Month
from llm_assets.report.svg import Picture, Scale
from llm_assets.report.text import duration, exact, plain, share, usd
from llm_assets.report.write import Report, make_report, write_page

_VOID = {"meta", "link", "br", "img", "input", "hr"}
_CSS = resources.files("llm_assets.report").joinpath("page.css").read_text(encoding="utf-8")


class _Nesting(HTMLParser):
    """Notes tags that are not closed in order, and every id."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.wrong: list[str] = []
        self.ids: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids.update(value for name, value in attrs if name == "id" and value)
        if tag not in _VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids.update(value for name, value in attrs if name == "id" and value)

    def handle_endtag(self, tag: str) -> None:
        if not self.opened or self.opened.pop() != tag:
            self.wrong.append(tag)


def test_the_page_is_well_formed(march: Report) -> None:
    """Every tag is closed where it was opened, and no two elements share an id."""
    nesting = _Nesting()
    nesting.feed(march.html)
    assert (nesting.opened, nesting.wrong) == ([], [])
    assert [name for name, often in nesting.ids.items() if often > 1] == []


def test_the_page_is_self_contained(march: Report) -> None:
    """No address of anything else, no script, and not so large that it could not be mailed."""
    assert re.findall(r"""(?:src|href|action)\s*=|url\(|@import|https?://""", march.html) == []
    assert "<script" not in march.html
    assert len(march.html.encode()) < 500_000


def test_texts_are_escaped(march: Report) -> None:
    """A script in an error is text; the page has it only escaped."""
    assert EVIL not in march.html
    assert "&lt;script&gt;" in march.html


@given(st.text())
def test_a_picture_holds_any_text(text: str) -> None:
    """Whatever a topic is called, the chart stays well-formed and nothing of it becomes markup."""
    picture = Picture(10, plain(text))
    picture.draw("text", "name", plain(text), title=plain(text))
    nesting = _Nesting()
    nesting.feed(str(picture.markup()))
    assert (nesting.opened, nesting.wrong) == ([], [])
    assert str(picture.markup()).count("<") == (6 if plain(text) else 5)


def test_an_empty_month_says_so(database: str) -> None:
    """A month without rows is a page, not an error, and has no empty charts."""
    page = make_report(database, Month(2025, 1)).html
    assert "There are no recordings in January 2025." in page
    assert "<svg" not in page


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out(theme: int) -> None:
    """Marks have a contrast of 3 to 1 with the page, texts of 4.5 to 1, as WCAG asks."""
    colours = dict(
        re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", _CSS.split(":root {")[theme + 1].split("}")[0])
    )
    marks = ("k1", "k2", "k3", "k4", "k5", "k6", "k7", "good", "bad", "quiet")
    assert {name: round(c, 2) for name in marks if (c := contrast(colours[name], colours["paper"])) < 3} == {}
    for text in ("ink", "soft"):
        for behind in ("paper", "panel"):
            assert contrast(colours[text], colours[behind]) >= 4.5


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@given(
    st.lists(st.floats(min_value=-1e9, max_value=1e9).filter(lambda v: v == 0 or abs(v) > 1e-9), max_size=40)
)
def test_a_scale_holds_its_values(values: list[float]) -> None:
    """Zero and every value lie on the scale, which has a handful of ticks in even steps."""
    scale = Scale.over(values)
    hair = 1e-6 * (scale.high - scale.low)
    assert scale.low <= min([0.0, *values]) + hair
    assert scale.high >= max([0.0, *values]) - hair
    assert 2 <= len(scale.ticks) <= 7
    places = [scale.place(tick, 0.0, 1.0) for tick in scale.ticks]
    assert places == pytest.approx([number / (len(places) - 1) for number in range(len(places))])


def test_a_scale_of_whole_numbers_has_whole_ticks() -> None:
    """Nobody reads about half a recording."""
    assert Scale.over([1.0], whole=True).ticks == (0.0, 1.0)


@pytest.mark.parametrize("text", ["2026-3", "2026-13", "2026-00", "march", "", "0000-01", "2026-03-02"])
def test_what_is_no_month(text: str) -> None:
    """The error says how a month is written."""
    with pytest.raises(ConfigurationError, match="YYYY-MM"):
        Month.parse(text)


def test_months_know_their_neighbours() -> None:
    """Years turn, leap days count, and Dagster's way to write a month is understood."""
    assert Month.parse("2024-03-01").before.last.day == 29
    assert str(Month(2026, 1).before) == "2025-12"
    assert len(Month(2026, 2).days) == 28


def test_numbers_for_people() -> None:
    """Unknown is a word; a share that is not all is never 100%."""
    assert (usd(None), usd(0), usd(1234.5), usd(0.1035), usd(0.0123), usd(0.00000004)) == (
        "unknown", "$0.00", "$1,234.50", "$0.10", "$0.012", "$0.00000004",
    )  # fmt: skip
    assert (share(999, 1000), share(1, 1000), share(0, 5), share(1, 0)) == ("99.9%", "0.1%", "0%", "–")
    assert (duration(4.25), duration(59), duration(90), duration(7200)) == (
        "4.25 s",
        "59 s",
        "1.5 min",
        "2.0 h",
    )
    assert (exact(1200), exact(0.1), exact(None)) == ("1200", "0.1", "unknown")


def test_a_page_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A page that cannot be written leaves the old one, and no draft behind."""
    page = tmp_path / "new" / "page.html"
    write_page("old", page)
    with pytest.raises(UnicodeEncodeError):
        write_page("half \ud800", page)
    assert page.read_text() == "old"
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert page.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LLMAssetsError, match=r"cannot be written to .*page\.html"):
        write_page("page", tmp_path / "file" / "page.html")
