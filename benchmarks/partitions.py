"""What writing a day of insights costs, whatever the table holds, and whether writers take fair turns.

The rows are 10,000 insights with nested columns. They are compared with DuckDB's own way: the same data
frame as an Arrow table (pyarrow does that), inserted into a table of a DuckDB file in a transaction that
deletes the day first. Both are measured in CPU time of the process, in turn, so that other work on the
machine counts for neither.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from benchmarks.children import ChildFailed
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.columns import output_columns
from llm_assets.warehouse import catalogue, shown
from llm_assets.warehouse.local import LocalTables
from llm_assets.warehouse.plain import Rows
from llm_assets.warehouse.query import query
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import Column, Table, insights_table

TABLE_ROWS = (0, 1_000_000, 10_000_000)
ROWS_A_DAY = 10_000
PROCESSES, PARTITIONS = 8, 50

_FIRST_DAY = date(2020, 1, 1)
_WRITTEN = insights_table(
    "insights", [Column(c.name, c.sql_type, c.description) for c in output_columns(CallInsights)]
)


def measure(table_rows: int, repeats: int = 5) -> dict[str, Any]:
    """Medians of CPU and wall time of one write into a table of this size, ours and DuckDB's own."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = str(Path(folder) / "ours.duckdb"), str(Path(folder) / "theirs.duckdb")
        days = max(table_rows // ROWS_A_DAY, 1)
        _fill(ours, days if table_rows else 0)
        _fill_database(theirs, ours, days if table_rows else 0)
        day = _FIRST_DAY + timedelta(days=days // 2)
        frame = _frame(day)
        held: list[float] = []
        writes = {
            "ours": lambda: _timed(lambda: replace_partition(ours, _WRITTEN, [day], frame)),
            "arrow": lambda: _timed(lambda: _insert_from_arrow(theirs, frame, day)),
        }
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in writes}
        for _ in range(repeats + 1):
            for name, write in writes.items():
                samples[name].append(write())
        held = [_held(ours, day) for _ in range(3 * repeats)]
        calls = _rows_with_calls(day)
        with_calls = [
            _timed(lambda: replace_partition(ours, _WRITTEN, [day], calls))[0] for _ in range(repeats + 1)
        ]
        cpu = {name: statistics.median(cpu for cpu, _ in taken[1:]) for name, taken in samples.items()}
        wall = {name: statistics.median(wall for _, wall in taken[1:]) for name, taken in samples.items()}
    return {
        "write_cpu_seconds": round(cpu["ours"], 3),
        "arrow_cpu_seconds": round(cpu["arrow"], 3),
        "cpu_ratio": round(cpu["ours"] / cpu["arrow"], 2),
        "write_seconds": round(wall["ours"], 3),
        "arrow_seconds": round(wall["arrow"], 3),
        "ratio": round(wall["ours"] / wall["arrow"], 2),
        "write_with_calls_cpu_seconds": round(statistics.median(with_calls[1:]), 3),
        "turn_held_seconds": round(statistics.median(held), 3),
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _held(path: str, day: date) -> float:
    """How long a writer keeps the others waiting: publishing without staging."""
    tables = LocalTables(path)
    begun = time.perf_counter()
    with tables.changing(60.0) as (connection, _):
        layout = catalogue.layout(connection, "insights")
        if layout is not None:
            shown.show(connection, tables.folder, [layout], [day])
    return time.perf_counter() - begun


def _frame(day: date) -> pd.DataFrame:
    """A day as the asset `insights` writes it, without its calls."""
    return pd.DataFrame([_row(day, number) for number in range(ROWS_A_DAY)])


def _row(day: date, number: int) -> dict[str, Any]:
    return {
        "partition_date": day,
        "recording_id": f"{number:020x}",
        "summary": f"Customer {number} wants the money for a broken kettle back and is told how.",
        "sentiment": {"label": "negative", "score": -(number % 100) / 100},
        "topics": ["refund", f"kettle {number % 50}"],
        "intent": "refund",
        "outcome": "refunded",
        "action_items": [{"owner": "agent", "what": f"Send refund {number}", "due": "by Friday"}],
        "entities": [{"name": f"{number % 90} dollars", "kind": "amount"}],
        "customer_effort": number % 5 + 1,
        "language": "en",
        "quotes": [{"text": "I want my money back.", "segment_index": 1}],
        "confidence": 0.9,
        "status": "ok",
        "model": "gpt-6-luna",
        "provider": "openai",
        "fallback_reason": None,
        "from_journal": False,
        "input_tokens": 800,
        "output_tokens": 50 + number % 7,
        "cost_usd": Decimal("0.0021"),
        "prompt_version": "0123456789ab",
        "extracted_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        "error": None,
    }


def _rows_with_calls(day: date) -> Rows:
    """A day as a run hands it over: plain rows, each with the call that was made for it."""
    rows = [_row(day, number) | {"llm_calls": [_call(number)]} for number in range(ROWS_A_DAY)]
    return Rows({name: [row[name] for row in rows] for name in rows[0]})


def _call(number: int) -> dict[str, Any]:
    begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "run_id": "5d1c6d0e-8b9a-4c47-9a53-0c7f4a1f2b3d",
        "provider": "openai",
        "model": "gpt-6-luna",
        "endpoint": "chat",
        "attempts": 1,
        "rate_limited": 0,
        "wait_seconds": 0.0,
        "latency_seconds": 1.5,
        "input_tokens": 800,
        "cached_tokens": 0,
        "output_tokens": 50 + number % 7,
        "audio_seconds": None,
        "cost_usd": "0.0021",
        "from_journal": False,
        "fallback_reason": None,
        "status": "answered",
        "http_status": 200,
        "request_id": f"req_{number:020x}",
        "started_at": begun.isoformat(),
        "finished_at": (begun + timedelta(seconds=1.5)).isoformat(),
        "error": None,
    }


def _fill(path: str, days: int) -> None:
    """A table of many days: the first one written, its rows' file linked as that of every other day."""
    replace_partition(path, _WRITTEN, [_FIRST_DAY], _frame(_FIRST_DAY))
    tables = LocalTables(path)
    with tables.changing(60.0) as (connection, _):
        layout = catalogue.layout(connection, "insights")
        (first,) = catalogue.files(connection, ["insights"])
        for number in range(1, days):
            day = _FIRST_DAY + timedelta(days=number)
            place = tables.folder / "insights" / f"partition_date={day}"
            place.mkdir()
            file = place / Path(first.path).name
            file.hardlink_to(tables.folder / first.path)
            new = catalogue.DataFile("insights", None, day, str(file.relative_to(tables.folder)), first.shape)
            catalogue.replace_files(connection, [("insights", None)], [day], [new], 0)
        if layout is not None:
            shown.show(connection, tables.folder, [layout])


def _fill_database(path: str, ours: str, days: int) -> None:
    columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in _WRITTEN.columns)
    with duckdb.connect(path) as connection:
        connection.execute(f"CREATE TABLE insights ({columns})")
        if days:
            connection.execute(f"ATTACH '{ours}' AS ours (READ_ONLY)")
            connection.execute("INSERT INTO insights SELECT * FROM ours.insights")


def _insert_from_arrow(path: str, frame: pd.DataFrame, day: date) -> None:
    arrow = import_module("pyarrow")
    rows = arrow.Table.from_pandas(frame, preserve_index=False)
    names = ", ".join(f'"{name}"' for name in frame.columns)
    with duckdb.connect(path) as connection:
        connection.begin()
        connection.execute("DELETE FROM insights WHERE partition_date = ?", [day])
        connection.register("arrow_rows", rows)
        connection.execute(f"INSERT INTO insights ({names}) SELECT {names} FROM arrow_rows")
        connection.commit()


COUNTS = Table(
    "counts",
    (
        Column("partition_date", "DATE", "Day.", required=True),
        Column("recording_id", "VARCHAR", "Recording.", required=True),
        Column("writer", "BIGINT", "Which process wrote the row."),
    ),
)


def fairness() -> dict[str, Any]:
    """Eight processes write fifty partitions each, and one asks all the while."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "shared.duckdb")
        replace_partition(path, COUNTS, [_FIRST_DAY], pd.DataFrame())
        context = multiprocessing.get_context("spawn")
        results: Any = context.Queue()
        writers = [context.Process(target=_write_many, args=(path, n, results)) for n in range(PROCESSES)]
        begun = time.perf_counter()
        for writer in writers:
            writer.start()
        answers, errors = 0, 0
        while any(writer.is_alive() for writer in writers) and results.qsize() < PROCESSES:
            try:
                with query(path, "select count(*) from counts") as found:
                    list(found.rows)
                answers += 1
            except Exception:
                errors += 1
        waits = [results.get(timeout=60) for _ in writers]
        seconds = time.perf_counter() - begun
        for writer in writers:
            writer.join()
        with query(path, "select count(*) from counts") as found:
            (rows,) = next(found.rows)
    every = [wait for one in waits for wait in one]
    means = [statistics.mean(one) for one in waits]
    return {
        "partitions": rows,
        "lost": PROCESSES * PARTITIONS - rows,
        "seconds": round(seconds, 1),
        "mean_wait_seconds": round(statistics.mean(every), 3),
        "longest_wait_seconds": round(max(every), 3),
        "longest_by_mean": round(max(every) / statistics.mean(every), 2),
        "slowest_process_by_mean": round(max(means) / statistics.mean(every), 2),
        "answers_meanwhile": answers,
        "errors_meanwhile": errors,
    }


def _write_many(path: str, writer: int, results: Any) -> None:
    waits: list[float] = []
    for number in range(PARTITIONS):
        day = _FIRST_DAY + timedelta(days=1 + writer * PARTITIONS + number)
        row = {"partition_date": day, "recording_id": "a", "writer": writer}
        begun = time.perf_counter()
        replace_partition(path, COUNTS, [day], pd.DataFrame([row]), lock_timeout_seconds=300)
        waits.append(time.perf_counter() - begun)
    results.put(waits)


def measure_all(*, quick: bool = False) -> dict[str, Any]:
    """Writes into tables of growing size, and eight processes at once, as figures with a name each.

    Raises ChildFailed where `pyarrow` is missing, which the comparison needs.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ChildFailed("partitions compares with an insert from Arrow: pip install pyarrow")
    figures: dict[str, Any] = {}
    for rows in TABLE_ROWS[:2] if quick else TABLE_ROWS:
        # A process for each, so that none inherits the memory of another.
        command = [sys.executable, "-m", "benchmarks.partitions", str(rows)]
        measured = json.loads(subprocess.check_output(command))
        figures |= {f"{name}_with_{rows}_rows": value for name, value in measured.items()}
    return figures | fairness()


def main() -> None:
    """Print the figures of a write into a table of so many rows, as JSON."""
    print(json.dumps(measure(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
