"""Rows as data frames whose dtypes say what the columns are, the same in pandas 2 and 3.

Integers and booleans are pandas' nullable types, times are UTC, decimals stay `Decimal`, text is object
dtype with None for missing, nested values are Python lists and dicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from llm_assets.warehouse.plain import Row, Rows, python_of
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import is_document, is_json, is_missing, type_of

_DTYPES: Mapping[str, Any] = {
    "tinyint": "Int8",
    "smallint": "Int16",
    "integer": "Int32",
    "bigint": "Int64",
    "double": "float64",
    "boolean": "boolean",
    "timestamp with time zone": "datetime64[us, UTC]",
}


def plain(frame: pd.DataFrame) -> Rows:
    """A frame's rows as plain values."""
    return Rows({str(name): _plain(frame.iloc[:, at].tolist()) for at, name in enumerate(frame.columns)})


def _plain(values: list[Any]) -> list[Any]:
    return [None if is_missing(value) else value for value in values]


def rows(frame: pd.DataFrame) -> Iterator[Row]:
    """All of a frame's rows, see `plain`."""
    return iter(plain(frame))


def frame_of(table: Table, rows: Rows) -> pd.DataFrame:
    """The rows as a frame. Nested values, and texts with the rows of child tables, stay as they are."""
    types = {column.name: column for column in table.columns}
    return pd.DataFrame(
        {name: _as_they_are(types.get(name), values) for name, values in rows.columns.items()}
    )


def _as_they_are(column: Column | None, values: list[Any]) -> pd.Series[Any]:
    if column is None or is_document(type_of(column.sql_type)):
        return pd.Series(values, dtype="object")
    return typed_series(column, values)


def typed_frame(columns: Sequence[Column], fetched: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """The rows DuckDB fetched, values in the order of `columns`, as a frame."""
    by_column = list(zip(*fetched, strict=True)) if fetched else [() for _ in columns]
    return pd.DataFrame(
        {
            column.name: typed_series(column, list(values))
            for column, values in zip(columns, by_column, strict=True)
        }
    )


def typed_series(column: Column, values: list[Any]) -> pd.Series[Any]:
    """A column's values with the dtype that says what they are."""
    sql_type = type_of(column.sql_type)
    if is_document(sql_type) or is_json(sql_type):
        python = python_of(sql_type)
        if python is not None:
            values = [None if value is None else python(value) for value in values]
    return pd.Series(values, dtype=_DTYPES.get(sql_type.id, "object"))
