"""Staged rows as Parquet files, written by DuckDB: typed columns, one file per partition."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from uuid import uuid4

from llm_assets.warehouse import scratch
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.sessions import Connection, translated
from llm_assets.warehouse.staging import StagedRows, cast_sql

_ROWS = "staged_rows"
_FEW_ROWS = 5_000

# The days of more rows are written one by one: DuckDB would put them to disk in parts, in files of their own.
_ROWS_AT_ONCE = 100_000

# To pack files of fewer rows tightly takes longer and saves less than a block of the disk.
_TINY_ROWS = 50

# The disk takes what several ask of it at once in one go.
_SYNCED_AT_ONCE = 4


def write_parquet(rows: StagedRows, folder: Path, name: str, days: Sequence[date]) -> dict[date, Path]:
    """Write the rows of each day, in their order, to the file of this name in `partition_date=…` of the
    folder. The files there are now; `synced` makes them durable.

    A child's day without rows gets no file; a table's own day gets one even then, which says that it is
    empty. Raises WarehouseError when a file cannot be written; then there is none.
    """
    present = rows.days
    filled = [day for day in days if day.isoformat() in present]
    empty = [] if rows.is_child else [day for day in days if day not in filled]
    targets = {day: folder / f"partition_date={day}" / name for day in [*filled, *empty]}
    if not targets:
        return {}
    try:
        with translated(f'rows of table "{rows.table.name}" cannot be written to {folder}'):
            folder.mkdir(parents=True, exist_ok=True)
            with scratch.cursor() as cursor:
                _show(cursor, rows)
                _write(cursor, rows, folder, {day: targets[day] for day in filled})
                for day in empty:
                    _write_day(cursor, rows, day, targets[day])
    except BaseException:
        remove(targets.values())
        raise
    return targets


def synced(files: Sequence[Path]) -> None:
    """Have the rows in these files outlive a power failure. Raises OSError when the disk cannot."""
    if len(files) == 1:
        _sync(files[0])
    elif files:
        with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
            list(pool.map(_sync, files))


def remove(files: Iterable[Path]) -> None:
    """Remove these files, as far as they are there and can be removed."""
    for file in files:
        with suppress(OSError):
            file.unlink()


def _show(cursor: Connection, rows: StagedRows) -> None:
    """Have the session see the rows. NumPy hands over many at once, but loading it takes longer than few."""
    if len(rows) > _FEW_ROWS or not all(isinstance(values, list) for values in rows.columns.values()):
        cursor.register(_ROWS, rows.arrays)
        return
    columns = ", ".join(f"unnest(?::VARCHAR[]) AS {identifier(name)}" for name in rows.columns)
    cursor.execute(f"CREATE TEMP TABLE {_ROWS} AS SELECT {columns}", list(rows.columns.values()))


def _write(cursor: Connection, rows: StagedRows, folder: Path, targets: Mapping[date, Path]) -> None:
    if len(targets) > 1 and len(rows) <= _ROWS_AT_ONCE:
        _write_days(cursor, rows, folder, targets)
        return
    for day, target in targets.items():
        _write_day(cursor, rows, day, target)


def _write_days(cursor: Connection, rows: StagedRows, folder: Path, targets: Mapping[date, Path]) -> None:
    """All days in one statement, which takes half of the time. DuckDB numbers the files: they are renamed."""
    aside = uuid4().hex
    packed = "zstd" if len(rows) > _TINY_ROWS * len(targets) else "snappy"
    try:
        copied = cursor.execute(
            f"COPY ({_select(rows)}) TO {literal(str(folder))} (FORMAT parquet, COMPRESSION {packed}, "
            "PARTITION_BY (partition_date), WRITE_PARTITION_COLUMNS true, OVERWRITE_OR_IGNORE true, "
            f"FILENAME_PATTERN {literal(aside)}, RETURN_FILES true)"
        ).fetchall()
        written = sorted(Path(file) for _, files in copied for file in files)
        for file, target in zip(written, sorted(targets.values()), strict=True):
            file.rename(target)
    except BaseException:
        remove(target.with_name(f"{aside}0.parquet") for target in targets.values())
        raise


def _write_day(cursor: Connection, rows: StagedRows, day: date, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    cursor.execute(
        f"COPY ({_select(rows)} WHERE partition_date = {literal(day.isoformat())}) "
        f"TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )


def _select(rows: StagedRows) -> str:
    columns = ", ".join(f"{cast_sql(column)} AS {identifier(column.name)}" for column in rows.table.columns)
    return f"SELECT {columns} FROM {_ROWS}"  # noqa: S608 - names are quoted


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
