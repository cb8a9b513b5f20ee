"""Staged rows as Parquet files, written by DuckDB: typed columns, one file per partition."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb

from llm_assets.errors import WarehouseError
from llm_assets.warehouse import scratch
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.staging import StagedRows, cast_sql

_ROWS = "staged_rows"
_FEW_ROWS = 5_000


def write_parquet(rows: StagedRows, targets: dict[date, Path]) -> list[Path]:
    """Write the rows of each day to its file, in their order, durably. The files there are now.

    A child's day without rows gets no file; a table's own day gets one even then, which says that it is
    empty. Raises WarehouseError when a file cannot be written.
    """
    days = rows.days
    targets = {day: target for day, target in targets.items() if day.isoformat() in days or not rows.is_child}
    if not targets:
        return []
    try:
        with scratch.cursor() as cursor:
            _show(cursor, rows)
            for day, target in targets.items():
                _write(cursor, rows, day, target)
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(f'rows of table "{rows.table.name}" cannot be written: {error}') from error
    return list(targets.values())


def _show(cursor: duckdb.DuckDBPyConnection, rows: StagedRows) -> None:
    """Have the session see the rows. NumPy hands over many at once, but loading it takes longer than few."""
    if len(rows) > _FEW_ROWS or not all(isinstance(values, list) for values in rows.columns.values()):
        cursor.register(_ROWS, rows.arrays)
        return
    columns = ", ".join(f"unnest(?::VARCHAR[]) AS {identifier(name)}" for name in rows.columns)
    cursor.execute(f"CREATE TEMP TABLE {_ROWS} AS SELECT {columns}", list(rows.columns.values()))


def _write(cursor: duckdb.DuckDBPyConnection, rows: StagedRows, day: date, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(f"{cast_sql(c)} AS {identifier(c.name)}" for c in rows.table.columns)
    own = f"WHERE partition_date = {literal(day.isoformat())}"
    cursor.execute(
        f"COPY (SELECT {columns} FROM {_ROWS} {own}) "  # noqa: S608 - names and values are quoted
        f"TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )
    _sync(target)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
