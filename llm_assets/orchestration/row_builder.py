"""Rows that come one by one and out of order, kept by column.

A run holds its rows until the last one is in, so what is held of each is its row and nothing else.
"""

from __future__ import annotations

from itertools import compress
from typing import Any

from llm_assets.warehouse.plain import Row, Rows
from llm_assets.warehouse.tables import Table


class RowBuilder:
    """Room for `count` rows of a table; a position to which none came is no row in the end."""

    def __init__(self, table: Table, count: int) -> None:
        names = [column.name for column in table.columns] + [child.column for child in table.children]
        self._columns: dict[str, list[Any]] = {name: [None] * count for name in names}
        self._came = bytearray(count)

    def put(self, position: int, row: Row) -> None:
        """Keep a row's values of the table's columns; what else is in it is let go."""
        self._came[position] = True
        for name, values in self._columns.items():
            values[position] = row.get(name)

    def rows(self) -> Rows:
        """The rows, with exactly the table's columns, then those of its child tables. Asked once."""
        columns, self._columns = self._columns, {}
        if all(self._came):
            return Rows(columns)
        return Rows({name: list(compress(values, self._came)) for name, values in columns.items()})
