"""The tables and views that a session finds, with their columns, wherever their rows are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.layout import type_changed
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.tables import VIEW_NAMES, Table
from llm_assets.warehouse.values import type_of

_COLUMNS = """
    SELECT table_name, column_name, data_type FROM duckdb_columns()
    WHERE NOT internal AND database_name = current_database() AND schema_name = 'main'
    ORDER BY table_name, column_index
"""


class FoundTables:
    """Read once: asking DuckDB for one table's columns takes as long as asking for all of them.

    Names are kept in lower case, since DuckDB does not tell them apart by case.
    """

    def __init__(self, connection: Connection) -> None:
        self._types: dict[str, dict[str, str]] = defaultdict(dict)
        for table, column, sql_type in connection.execute(_COLUMNS).fetchall():
            if table not in VIEW_NAMES:
                self._types[table.lower()][column.lower()] = sql_type

    def columns(self, table: Table) -> set[str]:
        """Names of the columns there are of this table, none when there is no such table.

        Raises TableMismatch when a column's type is not the one that is defined now.
        """
        there = self._types.get(table.name.lower(), {})
        for column in table.columns:
            found = there.get(column.name.lower())
            if found and type_of(found) != type_of(column.sql_type):
                raise TableMismatch(type_changed(table, column, found))
        return set(there)

    def types(self, table_name: str) -> dict[str, str]:
        """SQL types of a table's columns by name, in their order; empty when there is no such table."""
        return dict(self._types.get(table_name.lower(), {}))

    def tables_with(self, columns: Iterable[str]) -> list[str]:
        """Names of the tables that have all of these columns."""
        wanted = set(columns)
        return sorted(table for table, there in self._types.items() if wanted <= there.keys())
