"""Rows as plain Python values: None for everything missing, times in UTC.

What a run makes and reads of its own. pandas is loaded for nothing but the frames of others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from llm_assets.warehouse.tables import Column
from llm_assets.warehouse.values import is_json, type_of

Row = dict[str, Any]


class Rows:
    """Rows by column, each as a dict when it is asked for: as dicts they would take many times the memory."""

    def __init__(self, columns: Mapping[str, list[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, position: int) -> Row:
        return {name: values[position] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[Row]:
        return map(self.__getitem__, range(len(self)))

    def at(self, positions: Sequence[int]) -> Rows:
        """The rows at these positions."""
        return Rows({name: [values[at] for at in positions] for name, values in self.columns.items()})


def plain_rows(columns: Sequence[Column], fetched: Sequence[Sequence[Any]]) -> Rows:
    """The rows DuckDB fetched, values in the order of `columns`."""
    by_column = zip(*fetched, strict=True) if fetched else ([] for _ in columns)
    return Rows(
        {column.name: _plain(column, list(values)) for column, values in zip(columns, by_column, strict=True)}
    )


def _plain(column: Column, values: list[Any]) -> list[Any]:
    sql_type = type_of(column.sql_type)
    if sql_type.id == "double":  # only NaN, which says that a number is missing, differs from itself
        return [None if value != value else value for value in values]
    python = python_of(sql_type)
    return values if python is None else list(map(_present(python), values))


def python_of(sql_type: Any) -> Callable[[Any], Any] | None:
    """What makes a plain value of one that DuckDB gives: JSON comes as text, and times with a zone of another
    library. None where it is plain."""
    if is_json(sql_type):
        return json.loads
    if sql_type.id == "list":
        item = _present(python_of(sql_type.children[0][1]))
        return lambda value: [item(element) for element in value]
    if sql_type.id == "struct":
        fields = {name: _present(python_of(kind)) for name, kind in sql_type.children}
        return lambda value: {name: field(value[name]) for name, field in fields.items()}
    if sql_type.id == "timestamp with time zone":
        return lambda value: cast(datetime, value).astimezone(UTC)
    return None


def _present(python: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if python is None:
        return lambda value: value
    return lambda value: None if value is None else python(value)
