"""Rows that come one by one and out of order, kept as the columns of the frame they are going to be.

A run holds its rows until the last one is in, so what is held of each is its row and nothing else.
"""

from __future__ import annotations

from itertools import compress
from typing import Any

import pandas as pd

from llm_assets.warehouse.frames import typed_series
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import is_document, type_of

Row = dict[str, Any]


class FrameBuilder:
    """Room for `count` rows of a table; a position to which none came is no row in the frame."""

    def __init__(self, table: Table, count: int) -> None:
        names = [column.name for column in table.columns] + [child.column for child in table.children]
        self._types = {column.name: column for column in table.columns}
        self._columns: dict[str, list[Any]] = {name: [None] * count for name in names}
        self._came = bytearray(count)

    def put(self, position: int, row: Row) -> None:
        """Keep a row's values of the table's columns; what else is in it is let go."""
        self._came[position] = True
        for name, values in self._columns.items():
            values[position] = row.get(name)

    def frame(self) -> pd.DataFrame:
        """The frame, with exactly the table's columns, then those of its child tables.

        The rows are let go on the way, so this is asked once.
        """
        columns: dict[str, pd.Series[Any]] = {}
        for name in [*self._columns]:
            values = list(compress(self._columns.pop(name), self._came))
            columns[name] = _series(self._types.get(name), values)
        return pd.DataFrame(columns)


def _series(column: Column | None, values: list[Any]) -> pd.Series[Any]:
    """Nested values and rows of child tables stay as they are."""
    if column is None or is_document(type_of(column.sql_type)):
        return pd.Series(values, dtype="object")
    return typed_series(column, values)
