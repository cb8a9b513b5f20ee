"""A writer that is killed leaves the old rows or the new ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from warehouse_processes import write_transcripts
from warehouse_samples import DAYS, transcript_row, words

from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import TRANSCRIPTS

SHARES = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0]


def frame(word: str) -> pd.DataFrame:
    return pd.DataFrame([transcript_row(DAYS[0], f"0302{number}", word) for number in range(4)])


OLD, NEW = ["old"] * 6 + ["3"], ["new"] * 6 + ["3"]


@pytest.mark.parametrize("share", SHARES)
def test_killed_anywhere_leaves_old_or_new(path: str, start: Callable[..., Any], share: float) -> None:
    """A writer killed at any line between taking its turn and being done leaves one whole partition."""
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("old"))
    rehearsal, pipe = Pipe()
    write_transcripts(pipe, path, "old", None)
    lines = rehearsal.recv()

    process, pipe = start(write_transcripts, path, "new", 1 + int((lines - 1) * share))
    assert pipe.recv() == "reached"
    process.kill()
    process.join()

    assert words(path) in ([OLD] if share == 0.0 else [OLD, NEW])
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("new"))
    assert words(path) == NEW


def test_killed_at_random_moments_leaves_old_or_new(
    path: str, killed_at_random_moments: Callable[..., None]
) -> None:
    """A process that does nothing but replace a partition, killed again and again, leaves no mixture."""
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("0"))
    killed_at_random_moments(path, seconds=0.15)


@pytest.mark.parametrize("attempt", range(3))
def test_killed_while_publishing_leaves_old_or_new(
    path: str, start: Callable[..., Any], attempt: int
) -> None:
    """A writer killed while the new catalogue takes the old one's place leaves one whole partition too."""
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("old"))

    process, pipe = start(write_transcripts, path, "new", "os.replace(link, self._path)", False)
    assert pipe.recv() == "reached"
    process.kill()
    process.join()

    assert words(path) in (OLD, NEW)


@pytest.mark.parametrize(
    ("line", "left"),
    [("with turn(", OLD), ("self._publish(snapshot)", OLD), ("_sync_folder(self._path.parent)", NEW)],
)
def test_what_counts_is_the_renaming(
    path: str, start: Callable[..., Any], line: str, left: list[str]
) -> None:
    """Before the new catalogue takes its place the old rows are there, after it the new ones."""
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("old"))
    process, pipe = start(write_transcripts, path, "new", line)
    assert pipe.recv() == "reached"
    process.kill()
    process.join()
    assert words(path) == left


@pytest.mark.parametrize(
    "line", ["shown.prepare", "os.link", "os.replace(link, self._path)", "_write(cursor"]
)
def test_killed_while_creating_the_file(path: str, start: Callable[..., Any], line: str) -> None:
    """A first writer killed before the file is complete leaves nothing in the way of the next one."""
    process, pipe = start(write_transcripts, path, "new", line)
    assert pipe.recv() == "reached"
    process.kill()
    process.join()

    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("new"))
    assert words(path) == NEW


@pytest.mark.parametrize("line", ["file.rename(target)", "synced([", "with self.changing("])
def test_killed_between_the_days_of_a_range(path: str, start: Callable[..., Any], line: str) -> None:
    """A writer of several days killed before it publishes them leaves all of them as they were."""
    days = DAYS[:2]
    rows = [transcript_row(day, f"0302{number}", "old") for day in days for number in range(4)]
    replace_partition(path, TRANSCRIPTS, days, pd.DataFrame(rows))
    process, pipe = start(write_transcripts, path, "new", line, True, 2)
    assert pipe.recv() == "reached"
    process.kill()
    process.join()
    texts = read_partition(path, TRANSCRIPTS, days)["text"].dropna().tolist()
    assert {text.split()[0] for text in texts} == {"old"}
    assert len(texts) == 6


def test_what_a_killed_writer_left_is_removed_later(path: str) -> None:
    """Files that no list names go when their day is written again, unless they may still be published."""
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("old"))
    place = Path(path).with_suffix(".tables") / "transcripts" / f"partition_date={DAYS[0]}"
    for name in ("long ago.parquet", "just now.parquet"):
        (place / name).write_text("left")
    os.utime(place / "long ago.parquet", (1, 1))
    replace_partition(path, TRANSCRIPTS, DAYS[:1], frame("new"))
    assert not (place / "long ago.parquet").exists()
    assert (place / "just now.parquet").exists()
    assert words(path) == NEW
