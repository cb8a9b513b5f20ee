"""Read partitions back as the data frame that was written, child rows that return in it included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from llm_assets.errors import WarehouseMissing
from llm_assets.warehouse.catalog import Catalog
from llm_assets.warehouse.connection import LOCK_TIMEOUT_SECONDS, Connection, reading
from llm_assets.warehouse.frames import rows, typed_frame
from llm_assets.warehouse.names import identifier, in_partitions
from llm_assets.warehouse.tables import Child, Column, Table
from llm_assets.warehouse.values import type_of


def read_partition(
    path: str,
    table: Table,
    partition_dates: Sequence[date],
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> pd.DataFrame:
    """The rows of these days in the order they were written, typed as `frames` says.

    A child that is `read_back` comes as a column of JSON text, `[]` where there are no rows. A column
    that the table on disk does not have yet is empty. A day without rows gives no rows.

    Raises WarehouseMissing when the table has never been written, TableMismatch when a column has
    another type on disk, WarehouseLocked and WarehouseError when the file cannot be read, ValueError
    when no day is given.
    """
    if not partition_dates:
        raise ValueError("no partition to read: partition_dates is empty")
    with reading(path, lock_timeout_seconds) as connection:
        frame = _read(connection, path, table, partition_dates)
        for child in table.children:
            if child.read_back:
                frame[child.column] = _child_column(connection, path, child, partition_dates, frame)
    return frame


def _read(connection: Connection, path: str, table: Table, partition_dates: Sequence[date]) -> pd.DataFrame:
    on_disk = Catalog(connection).columns(table)
    if not on_disk:
        raise WarehouseMissing(f'{path} has no table "{table.name}" yet: materialize a partition of it')
    columns = ", ".join(_selected(column, column.name.lower() in on_disk) for column in table.columns)
    condition, parameters = in_partitions(partition_dates)
    source = f"{identifier(table.name)} WHERE {condition} ORDER BY partition_date, rowid"
    cursor = connection.execute(f"SELECT {columns} FROM {source}", parameters)  # noqa: S608 - names are quoted
    return typed_frame(table.columns, cursor.fetchall())


def _selected(column: Column, exists: bool) -> str:
    return identifier(column.name) if exists else f"CAST(NULL AS {type_of(column.sql_type)})"


def _child_column(
    connection: Connection, path: str, child: Child, partition_dates: Sequence[date], parent: pd.DataFrame
) -> pd.Series[Any]:
    found: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows(_read(connection, path, child.table, partition_dates)):
        found[row.pop("partition_date"), row.pop("recording_id")].append(row)
    keys = zip(parent["partition_date"].tolist(), parent["recording_id"].tolist(), strict=True)
    texts = [json.dumps(found.get(key, []), ensure_ascii=False, default=str) for key in keys]
    return pd.Series(texts, dtype="object")
