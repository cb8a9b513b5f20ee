from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_samples import write_month

from llm_assets.report.months import Month
from llm_assets.report.write import Report, make_report, write_page

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A warehouse with a made March and the end of a February, only to be read."""
    path = str(tmp_path_factory.mktemp("month") / "llm_assets.duckdb")
    write_month(path)
    return path


@pytest.fixture(scope="session")
def march(database: str) -> Report:
    return make_report(database, Month(2026, 3))


@pytest.fixture(scope="session")
def march_page(march: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "march.html"
    write_page(march.html, path)
    return path


# No longer than a module: while it runs, Playwright's loop would stand in the way of asynchronous tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra test)")
    executable = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=arguments, timeout=300_000)
        yield browser
        browser.close()
