"""Read partitions back as they were written: plain rows or a data frame, and child rows that return in it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from llm_assets.errors import WarehouseMissing
from llm_assets.warehouse.layout import evolved
from llm_assets.warehouse.names import identifier, without_secrets
from llm_assets.warehouse.plain import Rows, plain_rows
from llm_assets.warehouse.sessions import Connection, retried
from llm_assets.warehouse.store import Tables
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import type_of

if TYPE_CHECKING:
    import pandas as pd


def read_partition(path: str, table: Table, partition_dates: Sequence[date]) -> pd.DataFrame:
    """The rows of these days in the order they were written, typed as `frames` says.

    A child that is `read_back` comes as a column of JSON text, `[]` where there are no rows. A column
    that the table on disk does not have yet is empty. A day without rows gives no rows.

    Raises WarehouseMissing when the table has never been written, TableMismatch when a column has
    another type on disk, WarehouseError when the rows cannot be read, ValueError when no day is given.
    """
    import pandas as pd

    from llm_assets.warehouse.frames import typed_frame

    fetched, children = _fetched(path, table, partition_dates)
    frame = typed_frame(table.columns, fetched)
    for name, texts in children.items():
        frame[name] = pd.Series(texts, dtype="object")
    return frame


def read_rows(path: str, table: Table, partition_dates: Sequence[date]) -> Rows:
    """The same as plain rows, without loading pandas."""
    fetched, children = _fetched(path, table, partition_dates)
    return Rows({**plain_rows(table.columns, fetched).columns, **children})


Fetched = list[tuple[Any, ...]]


def _fetched(
    path: str, table: Table, partition_dates: Sequence[date]
) -> tuple[Fetched, dict[str, list[str]]]:
    """The rows, and for each child that is read back a text for each of them."""
    if not partition_dates:
        raise ValueError("no partition to read: partition_dates is empty")
    tables = tables_at(path)
    return retried(lambda: _read_all(tables, path, table, sorted(set(partition_dates))))


def _read_all(
    tables: Tables, path: str, table: Table, days: Sequence[date]
) -> tuple[Fetched, dict[str, list[str]]]:
    with tables.reading(with_views=False) as connection:
        fetched = _read(tables, connection, path, table, days)
        children = {
            child.column: _child_texts(
                plain_rows(child.table.columns, _read(tables, connection, path, child.table, days)),
                _keys(table, fetched),
            )
            for child in table.children
            if child.read_back
        }
    return fetched, children


def _read(tables: Tables, connection: Connection, path: str, table: Table, days: Sequence[date]) -> Fetched:
    stored = tables.partitions(connection, table.name, days)
    if stored is None:
        raise WarehouseMissing(
            f'{without_secrets(path)} has no table "{table.name}" yet: materialize a partition of it'
        )
    evolved(stored.layout, table)  # says when the types do not fit
    there = {column.name.lower() for column in stored.layout.table.columns}
    columns = ", ".join(_selected(column, column.name.lower() in there) for column in table.columns)
    fetched: Fetched = []
    for select in stored.selects:
        fetched += connection.execute(f"SELECT {columns} FROM ({select})").fetchall()  # noqa: S608
    return fetched


def _selected(column: Column, exists: bool) -> str:
    return f"CAST({identifier(column.name) if exists else 'NULL'} AS {type_of(column.sql_type)})"


def _keys(table: Table, fetched: Fetched) -> list[tuple[date, str]]:
    names = [column.name for column in table.columns]
    day, recording = names.index("partition_date"), names.index("recording_id")
    return [(row[day], row[recording]) for row in fetched]


def _child_texts(children: Rows, keys: Sequence[tuple[date, str]]) -> list[str]:
    found: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for row in children:
        found[row.pop("partition_date"), row.pop("recording_id")].append(row)
    return [json.dumps(found.get(key, []), ensure_ascii=False, default=str) for key in keys]
