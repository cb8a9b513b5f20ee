"""The tables as the database has them, and bringing them in line with how they are defined.

Only what loses nothing happens by itself. A column that is no longer defined stays, with its old values;
a column that changed its type is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.connection import Connection
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import type_of

_COLUMNS = """
    SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
    WHERE NOT internal AND database_name = current_database() AND schema_name = 'main'
    ORDER BY table_name, column_index
"""
_TABLES = """
    SELECT table_name, comment FROM duckdb_tables()
    WHERE NOT internal AND database_name = current_database() AND schema_name = 'main'
"""


@dataclass(frozen=True, slots=True)
class ColumnOnDisk:
    """A column as the database has it."""

    sql_type: str
    comment: str


class Catalog:
    """What one transaction finds in the database and changes there.

    It is read once: asking DuckDB for one table's columns takes as long as asking for all of them.
    Names are kept in lower case, since DuckDB does not tell them apart by case.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        tables = connection.execute(_TABLES).fetchall()
        self._comments = {name.lower(): comment or "" for name, comment in tables}
        self._columns: dict[str, dict[str, ColumnOnDisk]] = defaultdict(dict)
        for table, column, sql_type, comment in connection.execute(_COLUMNS).fetchall():
            if table.lower() in self._comments:  # views have columns too
                self._columns[table.lower()][column.lower()] = ColumnOnDisk(sql_type, comment or "")

    def columns(self, table: Table) -> set[str]:
        """Names of the columns the database has for this table, none when it has no such table.

        Raises TableMismatch when a column's type is not the one that is defined now.
        """
        on_disk = self._columns.get(table.name.lower(), {})
        for column in table.columns:
            there = on_disk.get(column.name.lower())
            if there and type_of(there.sql_type) != type_of(column.sql_type):
                raise TableMismatch(_type_changed(table, column, there))
        return set(on_disk)

    def types(self, table_name: str) -> dict[str, str]:
        """SQL types of a table's columns by name, in their order; empty when there is no such table."""
        on_disk = self._columns.get(table_name.lower(), {})
        return {name: column.sql_type for name, column in on_disk.items()}

    def tables_with(self, columns: Iterable[str]) -> list[str]:
        """Names of the tables that have all of these columns."""
        wanted = set(columns)
        return sorted(table for table, there in self._columns.items() if wanted <= there.keys())

    def ensure(self, table: Table) -> None:
        """Create the table, or add the columns it lacks; then bring its comments up to date."""
        on_disk = self.columns(table)
        name = identifier(table.name)
        if not on_disk:
            columns = ", ".join(_definition(column) for column in table.columns)
            self._connection.execute(f"CREATE TABLE {name} ({columns})")
        for column in table.columns:
            if on_disk and column.name.lower() not in on_disk:
                # Nullable even when required: the rows that are there have no value for it.
                added = f"{identifier(column.name)} {type_of(column.sql_type)}"
                self._connection.execute(f"ALTER TABLE {name} ADD COLUMN {added}")
        self._comment(table)

    def _comment(self, table: Table) -> None:
        """Comments are changed only where they differ: every change is an entry in the database's log."""
        name, known = identifier(table.name), self._columns[table.name.lower()]
        if self._comments.get(table.name.lower(), "") != table.description:
            self._connection.execute(f"COMMENT ON TABLE {name} IS {literal(table.description)}")
            self._comments[table.name.lower()] = table.description
        for column in table.columns:
            there = known.get(column.name.lower())
            if (there.comment if there else "") != column.description:
                place = f"{name}.{identifier(column.name)}"
                self._connection.execute(f"COMMENT ON COLUMN {place} IS {literal(column.description)}")
            known[column.name.lower()] = ColumnOnDisk(column.sql_type, column.description)


def _definition(column: Column) -> str:
    constraint = " NOT NULL" if column.required else ""
    return f"{identifier(column.name)} {type_of(column.sql_type)}{constraint}"


def _type_changed(table: Table, column: Column, there: ColumnOnDisk) -> str:
    drop = f"ALTER TABLE {identifier(table.name)} DROP COLUMN {identifier(column.name)}"
    return (
        f'table "{table.name}" has the column "{column.name}" as {there.sql_type}, and the rows bring it '
        f"as {type_of(column.sql_type)}. Nothing was changed. Keep the old table and give the new shape "
        f"another name, or give up the old values with `{drop}`, then materialize again"
    )
