"""Rows as data frames whose dtypes say what the columns are, the same in pandas 2 and 3.

Integers and booleans are pandas' nullable types, times are UTC, decimals stay `Decimal`, text is object
dtype with None for missing, nested values are Python lists and dicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pandas as pd

from llm_assets.warehouse.tables import Column
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


class PlainRows:
    """A frame's rows as plain dicts, each made when it is asked for: None for everything missing, Python
    values for NumPy's.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._count = len(frame)
        self._columns = {str(name): frame.iloc[:, at].tolist() for at, name in enumerate(frame.columns)}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> dict[str, Any]:
        return self._row([values[position] for values in self._columns.values()])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._row, zip(*self._columns.values(), strict=True))

    def column(self, name: str) -> list[Any]:
        """The values of a column as they are."""
        return self._columns[name]

    def _row(self, values: Iterable[Any]) -> dict[str, Any]:
        named = zip(self._columns, values, strict=True)
        return {name: None if is_missing(value) else value for name, value in named}


def rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """All of a frame's rows, see `PlainRows`."""
    return iter(PlainRows(frame))


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
        python = _python(sql_type)
        values = [None if value is None else python(value) for value in values]
    return pd.Series(values, dtype=_DTYPES.get(sql_type.id, "object"))


def _python(sql_type: Any) -> Callable[[Any], Any]:
    """DuckDB gives JSON as text and times with a zone of another library: make both plain Python."""
    if is_json(sql_type):
        return json.loads
    if sql_type.id == "list":
        item = _present(_python(sql_type.children[0][1]))
        return lambda value: [item(element) for element in value]
    if sql_type.id == "struct":
        fields = {name: _present(_python(kind)) for name, kind in sql_type.children}
        return lambda value: {name: field(value[name]) for name, field in fields.items()}
    if sql_type.id == "timestamp with time zone":
        return lambda value: cast(datetime, value).astimezone(UTC)
    return lambda value: value


def _present(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)
