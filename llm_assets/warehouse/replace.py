"""Replace partitions of a table whole: afterwards the new rows are there, or else all the old ones.

What a reader would get wrong: an empty frame is not "nothing to do". It says that the partition has no
rows, so the old ones go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import pandas as pd

from llm_assets.warehouse.catalog import Catalog
from llm_assets.warehouse.connection import LOCK_TIMEOUT_SECONDS, Connection, writing
from llm_assets.warehouse.names import identifier, in_partitions
from llm_assets.warehouse.staging import StagedRows, stage
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import is_document, type_of
from llm_assets.warehouse.views import ensure_views

_STAGED = "staged_rows"


def replace_partition(
    path: str,
    table: Table,
    partition_dates: Sequence[date],
    frame: pd.DataFrame,
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> None:
    """Make the frame the whole content of these days of the table, child tables included.

    One transaction, taken in turn with all other writers; the rows are checked and converted before it
    begins. `llm_calls` and other shared children are replaced for this table only.

    Raises TableMismatch when rows and table do not fit together, WarehouseLocked when the file was not
    to be had within `lock_timeout_seconds`, WarehouseError when it cannot be written. Then nothing has
    changed.
    """
    dates = _days(partition_dates)
    staged = stage(table, dates, frame)
    with writing(path, lock_timeout_seconds) as connection:
        catalog = Catalog(connection)
        for rows in staged:
            catalog.ensure(rows.table)
            _delete(connection, rows, dates)
            _insert(connection, rows)
        ensure_views(connection, catalog)


def _days(partition_dates: Sequence[date]) -> list[date]:
    days = sorted({day.date() if isinstance(day, datetime) else day for day in partition_dates})
    if not days:
        raise ValueError("no partition to replace: partition_dates is empty")
    return days


def _delete(connection: Connection, rows: StagedRows, dates: list[date]) -> None:
    condition, parameters = in_partitions(dates)
    if rows.asset is not None:
        condition += " AND asset = ?"
        parameters.append(rows.asset)
    table = identifier(rows.table.name)
    connection.execute(f"DELETE FROM {table} WHERE {condition}", parameters)  # noqa: S608 - names are quoted


def _insert(connection: Connection, rows: StagedRows) -> None:
    if not len(rows):
        return
    table = identifier(rows.table.name)
    names = ", ".join(identifier(column.name) for column in rows.table.columns)
    values = ", ".join(_cast(column) for column in rows.table.columns)
    connection.register(_STAGED, rows.frame)
    try:
        connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {_STAGED}"  # noqa: S608 - names are quoted
        )
    finally:
        connection.unregister(_STAGED)


def _cast(column: Column) -> str:
    sql_type = type_of(column.sql_type)
    text = identifier(column.name)
    if is_document(sql_type):
        text = f"CAST({text} AS JSON)"
    return f"CAST({text} AS {sql_type})"
