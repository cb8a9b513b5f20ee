"""The page in a real browser: whole without a network, readable at any width, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_samples import EVIL

from llm_assets.report.answers_section import answers_sections
from llm_assets.report.write import Report

_WIDTHS = (1280, 400)
_PATIENCE_MILLISECONDS = 300_000
Opened = Callable[..., Any]

# Elements that stick out of the window to the right, those in a box that scrolls by itself aside.
_STICKING_OUT = """() => [...document.querySelectorAll('body *')]
    .filter(each => !each.closest('.scroll table') && !each.closest('caption'))
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 120))"""
# Texts of a chart that stick out of it.
_CUT_OFF = """() => [...document.querySelectorAll('svg text')]
    .filter(each => { const text = each.getBoundingClientRect();
                      const chart = each.ownerSVGElement.getBoundingClientRect();
                      return text.left < chart.left - 1 || text.right > chart.right + 1
                          || text.bottom > chart.bottom + 2 || text.top < chart.top - 2; })
    .map(each => each.textContent)"""
_COLOURS = """() => { const style = getComputedStyle(document.body);
    return [style.backgroundColor, style.color].map(each => each.match(/\\d+/g).slice(0, 3).map(Number)) }"""


@pytest.fixture
def opened(browser: Any, march_page: Path) -> Iterator[Opened]:
    """Open a page as a file, offline; whatever it says to the console or asks for fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []
    asked: list[str] = []

    def open_page(path: Path = march_page, *, width: int = 1280, dark: bool = False) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.endswith(".html")] == []


def figure(page: Any, title: str) -> Any:
    return page.locator("figure").filter(has=page.locator("figcaption", has_text=title))


def marks(page: Any, title: str) -> int:
    return figure(page, title).locator(".mark").count()


def test_every_chart_has_a_mark_for_every_number(opened: Opened, march: Report) -> None:
    """As many columns, points, bars and cells as the tables have numbers."""
    page, rows = opened(), march.rows
    (answers,) = rows.answers
    priced = [row for row in rows.model_days if row.cost_usd]
    assert marks(page, "Recordings by day") == len(rows.outcomes)
    assert marks(page, "Audio by day") == len({row.day for row in rows.outcomes}) == 30
    assert marks(page, "Sentiment by day") == len(answers.labels)
    assert marks(page, "Mean score by day") == len(answers.scores) == 29
    assert marks(page, "Most frequent topics") == len(answers.topics) == 10
    assert marks(page, "Topics by day") == len(answers.topic_days)
    assert marks(page, "Cost by day") == len(priced)
    assert marks(page, "Cost by model") == 3
    assert marks(page, "The busiest hour") == len(rows.busiest)
    assert marks(page, "Waits by day") == sum(row.wait_seconds > 0 for row in rows.model_days)


def test_days_without_recordings_are_gaps(opened: Opened) -> None:
    """The line breaks where nobody recorded anything: 29 points, the 16th and 18th not joined."""
    page = opened()
    assert figure(page, "Mean score by day").locator("line.stroke").count() == 27


def test_a_mark_says_what_it_is(opened: Opened, march: Report) -> None:
    """Hovering a column shows the day, the series, the number and its unit."""
    first = next(row for row in march.rows.outcomes if row.status == "ok")
    title = figure(opened(), "Recordings by day").locator(".mark title").first.text_content()
    assert title == f"Sun 1 March, ok: {first.recordings} recordings"


@pytest.mark.parametrize("width", _WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_sticks_out(opened: Opened, width: int, dark: bool) -> None:
    """On a desk and on a phone the page needs no sideways scrolling, also with all tables open."""
    page = opened(width=width, dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_STICKING_OUT) == []
    assert page.evaluate(_CUT_OFF) == []


def test_dark_is_dark(opened: Opened) -> None:
    """The page follows the reader's choice: dark on light, or light on dark."""
    paper, ink = opened().evaluate(_COLOURS)
    assert min(paper) > 200 > 100 > max(ink)
    paper, ink = opened(dark=True).evaluate(_COLOURS)
    assert max(paper) < 60 < 180 < min(ink)


def test_the_table_behind_a_chart_opens_by_keyboard(opened: Opened, march: Report) -> None:
    """The numbers are there for whoever cannot see the chart, or wants to copy them."""
    chart = figure(opened(), "Topics by day")
    table = chart.locator("table")
    assert not table.is_visible()
    chart.locator("summary").focus()
    chart.locator("summary").press("Enter")
    assert table.is_visible()
    shown = table.locator("tbody tr").first.inner_text().split("\t")
    cells = [row for row in march.rows.answers[0].topic_days if row.name == shown[0]]
    assert sum(map(int, shown[1:])) == sum(row.rows for row in cells) > 0


def test_texts_are_texts(opened: Opened, march: Report) -> None:
    """What was said on the phone runs nowhere: a script in an error or a topic is shown as it stands."""
    page = opened()
    assert page.title() == "March 2026 – audio insights"
    assert page.locator("script").count() == 0
    assert EVIL in page.locator("#failures ~ .scroll").inner_text()


def test_no_script_could_run(browser: Any, march_page: Path) -> None:
    """Even a script that somebody smuggles into the page is refused by it."""
    page = browser.new_page()
    page.set_default_timeout(_PATIENCE_MILLISECONDS)
    page.goto(march_page.as_uri())
    added = """() => { const script = document.createElement('script');
                       script.textContent = 'document.title = "owned"'; document.body.append(script) }"""
    with page.expect_console_message() as refused:
        page.evaluate(added)
    assert "Content Security Policy" in refused.value.text
    assert page.title() != "owned"
    page.close()


def test_sections_can_be_reached_by_name(opened: Opened, march: Report) -> None:
    """Every section is labelled by its heading, and every chart is a picture with a name."""
    page = opened()
    titles = [section.title for section in answers_sections(march.month, march.rows)]
    expected = ["Recordings", *titles, "Cost", "Quota use", "Failures"]
    for title in expected:
        assert page.get_by_role("region", name=title, exact=True).first.is_visible()
    assert page.get_by_role("img", name="Cost by day").is_visible()
