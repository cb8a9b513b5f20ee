"""Dagster's UI in a real browser, and the pictures that are taken of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PATIENCE_MILLISECONDS = 300_000
# Where the pictures of README and docs are renewed: SCREENSHOTS=docs/images pytest …/test_live_instance.py
KEPT = os.environ.get("SCREENSHOTS")


@contextmanager
def opened_page() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra test)")
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=executable, args=_QUIET, timeout=PATIENCE_MILLISECONDS
        )
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
