"""A real project in a temporary folder, and a small real server that answers like OpenAI's."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_openai import FakeOpenAI, finished, write_wav
from live_project import Live, live_project
from user_interface import opened_page


@pytest.fixture(scope="session")
def _found_before() -> Iterator[None]:
    """What was imported and collected before the first test is not gone through after each one."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_open_generators(_found_before: None) -> Iterator[None]:
    """Dagster leaves generators with connections open. Python 3.11 cannot compile while it collects those, so
    they are not left to a later test."""
    yield
    gc.collect()


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    fake = FakeOpenAI()
    yield fake
    fake.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two good recordings, one too short and one broken on the first day."""
    root = tmp_path / "project"
    day = root / "data" / "recordings" / "2026-03-02"
    write_wav(day / "good one.wav", 6)
    write_wav(day / "deep" / 'it\'s "good" ü.wav', 7, 2000)
    write_wav(day / "short.wav", 1)
    (day / "broken.ogg").write_bytes(b"no audio at all")
    finished(day / "broken.ogg")
    (root / "workspace.yaml").write_text("load_from: []\n")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return root


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a real Chromium without a window."""
    with opened_page() as page:
        yield page


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One live instance for a file of tests, since it takes its time to start."""
    server = FakeOpenAI()
    try:
        with live_project(tmp_path_factory.mktemp("live"), server) as live:
            yield live
    finally:
        server.close()
