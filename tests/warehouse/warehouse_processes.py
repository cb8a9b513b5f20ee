"""What tests run in other processes: writers that stop at a given moment or compete for the file.

Top-level functions, so that a process started by the fork server can import them.
"""

from __future__ import annotations

import linecache
import os
import resource
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb
import pandas as pd
from warehouse_samples import DAYS, transcript_row

from llm_assets.orchestration.connect import connect
from llm_assets.warehouse.query import query
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import TRANSCRIPTS, Column, Table
from llm_assets.warehouse.turns import turn

_WRITING = ("catalogue", "local", "parquet", "replace", "scratch", "shown", "snapshots", "turns", "views")
TRACED = tuple(f"warehouse/{name}.py" for name in _WRITING)

COUNTS = Table(
    "counts",
    (
        Column("partition_date", "DATE", "Day.", required=True),
        Column("recording_id", "VARCHAR", "Recording.", required=True),
        Column("writer", "BIGINT", "Which process wrote the row."),
    ),
)


class Stop:
    """Reports every line of the writing modules it passes, and waits at one of them to be killed."""

    def __init__(self, pipe: Connection, at: int | str | None, wait: bool) -> None:
        self.pipe, self.at, self.wait, self.passed = pipe, at, wait, 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            self.passed += 1
            if self._reached(frame):
                self.at = None
                self.pipe.send("reached")
                if self.wait:
                    self.pipe.recv()
        return self

    def _reached(self, frame: FrameType) -> bool:
        if isinstance(self.at, str):
            return self.at in linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        return self.passed == self.at


def write_transcripts(
    pipe: Connection, path: str, word: str, at: int | str | None, wait: bool = True, days: int = 1
) -> None:
    """Replace the first days' transcripts, stopping at a line given by number or by its text."""
    rows = [transcript_row(day, f"0302{number}", word) for day in DAYS[:days] for number in range(4)]
    stop = Stop(pipe, at, wait)
    sys.settrace(stop)
    replace_partition(path, TRANSCRIPTS, DAYS[:days], pd.DataFrame(rows))
    sys.settrace(None)
    pipe.send(stop.passed)


def write_words(pipe: Connection, path: str, environment: dict[str, str]) -> None:
    """Replace the first day's transcripts without end, each time with another first word."""
    os.environ.update(environment)  # the fork server has that of the time when it was started
    replace_partition(path, TRANSCRIPTS, DAYS[1:2], pd.DataFrame())  # what takes long the first time is done
    pipe.send("begun")
    while True:
        word = str(time.time_ns())
        frame = pd.DataFrame([transcript_row(DAYS[0], f"0302{number}", word) for number in range(4)])
        replace_partition(path, TRANSCRIPTS, DAYS[:1], frame)


def write_counts(pipe: Connection, path: str, writer: int, partitions: int) -> None:
    """Replace `partitions` days of a shared table, each of them this writer's own."""
    pipe.send("ready")
    pipe.recv()
    for day in writer_days(writer, partitions):
        row = {"partition_date": day, "recording_id": "a", "writer": writer}
        replace_partition(path, COUNTS, [day], pd.DataFrame([row]))
    pipe.send("done")


def writer_days(writer: int, partitions: int) -> Iterator[date]:
    return (date(2026, 1 + writer, 1) + timedelta(days=number) for number in range(partitions))


def hold_open(pipe: Connection, path: str, read_only: bool) -> None:
    """Keep the file open as a DuckDB shell or a notebook would; answer questions until told to let go."""
    connection = duckdb.connect(path, read_only=read_only)
    pipe.send("open")
    while (question := pipe.recv()) != "let go":
        pipe.send(connection.execute(question).fetchall())
    connection.close()


def hold_connected(pipe: Connection, path: str) -> None:
    """Keep a connection of `connect` open; answer questions until told to let go."""
    connection = connect(path)
    pipe.send("open")
    while (question := pipe.recv()) != "let go":
        pipe.send(connection.execute(question).fetchall())


def hold_turn(pipe: Connection, path: str) -> None:
    """Take a turn to write and keep it."""
    with turn(path, 60.0):
        pipe.send("mine")
        pipe.recv()


def wait_for_turns(pipe: Connection, path: str, turns: int) -> None:
    """Take the turn several times, and tell how often others had theirs since this one asked."""
    pipe.send("ready")
    pipe.recv()
    overtaken = []
    for _ in range(turns):
        before = _taken(path)
        with turn(path, 120.0):
            overtaken.append(_taken(path) - before)
            with Path(f"{path}.taken").open("a") as log:
                log.write("x")
            time.sleep(0.002)
    pipe.send(overtaken)


def _taken(path: str) -> int:
    file = Path(f"{path}.taken")
    return file.stat().st_size if file.exists() else 0


def ask_again_and_again(pipe: Connection, path: str) -> None:
    """Ask for one day's rows until told to stop; tell the different answers and every error."""
    pipe.send("ready")
    answers, errors = set(), []
    while not pipe.poll():
        try:
            with query(path, "select writer, count(*) from counts group by all") as result:
                answers.add(tuple(sorted(result.rows)))
        except Exception as error:
            errors.append(repr(error))
    pipe.send((len(answers), errors))


def write_on_a_full_disk(pipe: Connection, path: str, largest_bytes: int) -> None:
    """Write two days while no file may be larger, then as usual; sends what went wrong."""
    frame = pd.DataFrame([transcript_row(day, "03020", "new") for day in DAYS[:2]])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, hard))
    problems: list[str] = []
    for _ in range(2):
        try:
            replace_partition(path, TRANSCRIPTS, DAYS[:2], frame)
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
            assert "new" not in _texts(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    pipe.send(problems)


def _texts(path: str) -> str:
    """What any program finds in the published file."""
    with duckdb.connect(path, read_only=True) as connection:
        return str(connection.execute("select text from transcripts").fetchall())


def write_days(pipe: Connection, path: str, days: list[date], home: str) -> None:
    """Write the transcripts of these days, one after the other."""
    os.environ["HOME"] = home
    for day in days:
        replace_partition(path, TRANSCRIPTS, [day], pd.DataFrame([transcript_row(day, "a", "new")]))
    pipe.send("written")
