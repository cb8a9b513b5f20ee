"""Dagster's UI in a real browser: a day is materialized by clicking, and shows green and what it cost."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from live_project import Live

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PATIENCE_MILLISECONDS = 120_000
# Where the pictures of README and docs are renewed: SCREENSHOTS=docs/images pytest …/test_user_interface.py
KEPT = os.environ.get("SCREENSHOTS")


@pytest.fixture
def page() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra test)")
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=_QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        yield page
        browser.close()


def picture(page: Any, folder: Path, name: str) -> None:
    """Taken by every run of the test, so that the one that is kept can be renewed by it."""
    file = (Path(KEPT) if KEPT else folder) / name
    page.wait_for_timeout(1000)  # things move into place
    page.screenshot(path=str(file), type="jpeg", quality=80)
    assert file.stat().st_size > 5000


def test_a_day_is_materialized_by_clicking_and_shows_what_it_cost(
    live: Live, page: Any, tmp_path: Path
) -> None:
    """The graph shows the assets; yesterday turns green; its metadata has numbers and a picture."""
    on = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    live.record(on, *range(5000, 5012))
    page.goto(f"{live.dagster.url}/locations/llm_assets/asset-groups/audio_insights")
    for asset in ("recordings", "transcripts", "insights"):
        page.get_by_text(asset, exact=True).first.wait_for()

    before = {run["runId"] for run in live.dagster.runs()}
    page.goto(f"{live.dagster.url}/locations/llm_assets/jobs/audio_insights_daily")
    page.get_by_role("button", name="Materialize all").first.click()
    page.get_by_role("button", name="Latest", exact=True).click()
    page.get_by_role("button", name="Launch 1 run").click()
    run = live.dagster.wait(
        "the run", lambda: next((r for r in live.dagster.runs() if r["runId"] not in before), None)
    )
    assert live.dagster.finished(run["runId"]) == "SUCCESS"

    page.goto(f"{live.dagster.url}/assets/transcripts?view=partitions&partition={on}")
    page.get_by_text("Materialized", exact=True).first.wait_for()
    cost = page.get_by_role("row").filter(has=page.get_by_text("cost_usd", exact=True)).last
    assert float(re.findall(r"[0-9.]+(?:e-[0-9]+)?", cost.inner_text())[-1]) > 0
    page.get_by_text("Show Markdown").first.click()
    chart = page.locator('img[alt="Calls over time and cost by model"]')
    chart.wait_for()
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    page.set_viewport_size({"width": 1200, "height": 640})
    picture(page, tmp_path, "run-chart.jpg")

    page.set_viewport_size({"width": 1400, "height": 700})
    page.goto(f"{live.dagster.url}/locations/llm_assets/asset-groups/audio_insights")
    page.get_by_text("6 / 6 Passed").first.wait_for()
    picture(page, tmp_path, "asset-graph.jpg")
