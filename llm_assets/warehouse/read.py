"""Read partitions back as the data frame that was written, child rows that return in it included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from llm_assets.errors import WarehouseMissing
from llm_assets.warehouse.frames import rows, typed_frame
from llm_assets.warehouse.layout import evolved
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.sessions import Connection, retried
from llm_assets.warehouse.stores import Tables, tables_at
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import type_of


def read_partition(path: str, table: Table, partition_dates: Sequence[date]) -> pd.DataFrame:
    """The rows of these days in the order they were written, typed as `frames` says.

    A child that is `read_back` comes as a column of JSON text, `[]` where there are no rows. A column
    that the table on disk does not have yet is empty. A day without rows gives no rows.

    Raises WarehouseMissing when the table has never been written, TableMismatch when a column has
    another type on disk, WarehouseError when the rows cannot be read, ValueError when no day is given.
    """
    if not partition_dates:
        raise ValueError("no partition to read: partition_dates is empty")
    tables = tables_at(path)
    return retried(lambda: _read_all(tables, path, table, sorted(set(partition_dates))))


def _read_all(tables: Tables, path: str, table: Table, days: Sequence[date]) -> pd.DataFrame:
    with tables.reading(with_views=False) as connection:
        frame = _read(tables, connection, path, table, days)
        for child in table.children:
            if child.read_back:
                children = _read(tables, connection, path, child.table, days)
                frame[child.column] = _child_column(children, frame)
    return frame


def _read(
    tables: Tables, connection: Connection, path: str, table: Table, days: Sequence[date]
) -> pd.DataFrame:
    stored = tables.partitions(connection, table.name, days)
    if stored is None:
        raise WarehouseMissing(f'{path} has no table "{table.name}" yet: materialize a partition of it')
    evolved(stored.layout, table)  # says when the types do not fit
    there = {column.name.lower() for column in stored.layout.table.columns}
    columns = ", ".join(_selected(column, column.name.lower() in there) for column in table.columns)
    fetched: list[tuple[Any, ...]] = []
    for select in stored.selects:
        fetched += connection.execute(f"SELECT {columns} FROM ({select})").fetchall()  # noqa: S608
    return typed_frame(table.columns, fetched)


def _selected(column: Column, exists: bool) -> str:
    return f"CAST({identifier(column.name) if exists else 'NULL'} AS {type_of(column.sql_type)})"


def _child_column(children: pd.DataFrame, parent: pd.DataFrame) -> pd.Series[Any]:
    found: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows(children):
        found[row.pop("partition_date"), row.pop("recording_id")].append(row)
    keys = zip(parent["partition_date"].tolist(), parent["recording_id"].tolist(), strict=True)
    texts = [json.dumps(found.get(key, []), ensure_ascii=False, default=str) for key in keys]
    return pd.Series(texts, dtype="object")
