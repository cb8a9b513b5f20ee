"""This project in a live instance, the server it asks and the tables it fills."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from fake_openai import FakeOpenAI, write_wav
from live_instance import LiveDagster

START = "2026-03-02"


class Live:
    """Everything a test needs of it."""

    def __init__(self, dagster: LiveDagster, server: FakeOpenAI, root: Path) -> None:
        self.dagster, self.server, self.root = dagster, server, root

    def record(self, on: str, *loudness: int) -> None:
        """Recordings of a day that differ by their loudness."""
        for each in loudness:
            write_wav(self.root / "data/recordings" / on / f"{each}.wav", 6, each)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        path = str(self.root / "data/llm_assets.duckdb")

        def read() -> list[tuple[Any, ...]] | None:
            try:
                with duckdb.connect(path, read_only=True) as connection:
                    return connection.execute(sql, list(values)).fetchall()
            except duckdb.IOException:  # a run is writing just now
                return None

        return self.dagster.wait("the tables", read, 60)


@contextmanager
def live_project(root: Path, server: FakeOpenAI, **more: str) -> Iterator[Live]:
    """Start it, and end it with everything it started. `more` is of its environment."""
    (root / "data/recordings").mkdir(parents=True, exist_ok=True)
    environ = {
        "OPENAI_BASE_URL": server.base_url,
        "LLM_ASSETS_TRANSCRIPTION_CHAIN": "gpt-transcribe",
        "LLM_ASSETS_CHAT_CHAIN": "gpt-6-luna",
        "LLM_ASSETS_START_DATE": START,
    } | more
    with LiveDagster(root, environ) as dagster:
        yield Live(dagster, server, root)
