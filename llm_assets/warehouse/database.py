"""Tables inside a database that DuckDB connects to by a name: MotherDuck (`md:…`), DuckLake (`ducklake:…`).

Who may write and read beside whom is that database's business: a partition is one transaction in it, and
its readers see what it shows them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import duckdb
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.layout import Layout, evolved, require_fit, without_column
from llm_assets.warehouse.names import identifier, in_partitions, literal, without_secrets
from llm_assets.warehouse.sessions import Connection, transaction
from llm_assets.warehouse.staging import StagedRows, cast_sql
from llm_assets.warehouse.store import Partitions
from llm_assets.warehouse.tables import FIXED_TABLES, Column, Table
from llm_assets.warehouse.values import type_of
from llm_assets.warehouse.views import create_views

_STAGED = "staged_rows"

# What to do, by what DuckDB says.
_ADVICE = {
    "failed to download extension": "\nDuckDB could not fetch this extension: run INSTALL for it once in a "
    "DuckDB of the same version that has a network, or from a package that carries it",
    "data_path is not set": "\nThis DuckLake is not there yet: create it once, in DuckDB, with "
    "ATTACH '<this name>' AS calls (DATA_PATH '<folder or URL for the rows>')",
}

_COLUMNS = """
    SELECT table_name, tables.comment, column_name, data_type, columns.comment, NOT is_nullable
    FROM duckdb_columns() AS columns
    JOIN duckdb_tables() AS tables USING (database_name, schema_name, table_name)
    WHERE database_name = current_database() AND schema_name = 'main' AND NOT columns.internal
    ORDER BY table_name, column_index
"""


class DatabaseTables:
    """The tables of the database that DuckDB knows by this name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def replace(self, staged: Sequence[StagedRows], days: Sequence[date], timeout_seconds: float) -> None:
        """See `replace.replace_partition`. The database itself decides how long a writer waits; what it
        refuses, since another one wrote in the same moment, is written again."""
        again = Retrying(
            retry=retry_if_exception_type(duckdb.TransactionException),
            stop=stop_after_delay(timeout_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            reraise=True,
        )
        with self._connected() as connection:
            again(_replace, connection, staged, days)

    def require_fit(self, tables: Sequence[Table]) -> None:
        """See `stores.Tables`."""
        require_fit(self.layouts(), tables)

    def owner(self, table: str, asset: str | None) -> tuple[str | None, str]:
        """See `stores.Tables`. Nothing is noted here: a team gives each pipeline a database of its own."""
        return None, self._name

    def partitions(self, connection: Connection, table: str, days: Sequence[date]) -> Partitions | None:
        """See `stores.Tables`."""
        layout = _layouts(connection).get(table)
        if layout is None:
            return None
        span = ", ".join(f"DATE {literal(day.isoformat())}" for day in days)
        source = f"{identifier(table)} WHERE partition_date IN ({span}) ORDER BY partition_date, rowid"
        return Partitions(layout, [f"SELECT * FROM {source}"])  # noqa: S608 - names and values are quoted

    def layouts(self) -> dict[str, Layout]:
        """See `stores.Tables`."""
        with self._connected() as connection:
            return _layouts(connection)

    def drop_columns(self, dropped: Sequence[tuple[str, str]], timeout_seconds: float) -> None:
        """See `stores.Tables`."""
        with self._connected() as connection, transaction(connection):
            known = _layouts(connection)
            for table, column in dropped:
                connection.execute(f"ALTER TABLE {identifier(table)} DROP COLUMN {identifier(column)}")
                known[table] = without_column(known[table], column)
            create_views(connection, [layout.table for layout in known.values()])

    @contextmanager
    def reading(self, with_views: bool = True) -> Generator[Connection]:
        """See `stores.Tables`. Nothing a question does is kept: the transaction is rolled back."""
        with self._connected() as connection:
            connection.begin()
            try:
                yield connection
            finally:
                connection.rollback()

    def connect(self) -> Connection:
        """See `stores.Tables`."""
        with self._translated():
            connection = duckdb.connect(self._name)
            connection.execute("SET TimeZone = 'UTC'")
            return connection

    @contextmanager
    def _connected(self) -> Generator[Connection]:
        connection = self.connect()
        try:
            with self._translated():
                yield connection
        finally:
            connection.close()

    @contextmanager
    def _translated(self) -> Generator[None]:
        """DuckDB's errors as ours. They may quote the name, and what is secret in it goes, cause and all."""
        try:
            yield
        except duckdb.Error as error:
            said = without_secrets(f"{self._name}: {error}")
            advice = next((advice for sign, advice in _ADVICE.items() if sign in said.lower()), "")
            raise WarehouseError(f"{said}{advice}") from None


def _replace(connection: Connection, staged: Sequence[StagedRows], days: Sequence[date]) -> None:
    with transaction(connection):
        known = _layouts(connection)
        before = _columns(known)
        for rows in staged:
            layout = evolved(known.get(rows.table.name), rows.table)
            _bring_in_line(connection, known.get(rows.table.name), layout)
            known[rows.table.name] = layout
            _delete(connection, rows, days)
            _insert(connection, rows)
        for table in FIXED_TABLES:
            if table.name not in known:
                known[table.name] = Layout(table)
                _bring_in_line(connection, None, known[table.name])
        # Not at every write: two that make the same view in the same moment are in each other's way.
        if _columns(known) != before:
            create_views(connection, [layout.table for layout in known.values()])


def _columns(layouts: Mapping[str, Layout]) -> dict[str, list[str]]:
    return {name: [column.name for column in layout.table.columns] for name, layout in layouts.items()}


def _layouts(connection: Connection) -> dict[str, Layout]:
    found: dict[str, tuple[str, list[Column]]] = {}
    for table, about, name, sql_type, comment, required in connection.execute(_COLUMNS).fetchall():
        columns = found.setdefault(table, (about or "", []))[1]
        columns.append(Column(name, sql_type, comment or "", required))
    return {
        name: Layout(Table(name, tuple(columns), description=about))
        for name, (about, columns) in found.items()
    }


def _bring_in_line(connection: Connection, before: Layout | None, after: Layout) -> None:
    """Create the table, or add what it lacks, and bring its comments up to date."""
    name = identifier(after.table.name)
    if before is None:
        columns = ", ".join(_definition(column) for column in after.table.columns)
        connection.execute(f"CREATE TABLE {name} ({columns})")
    known = {column.name.lower(): column for column in before.table.columns} if before else {}
    for column in after.table.columns:
        there, place = known.get(column.name.lower()), identifier(column.name)
        sql_type = type_of(column.sql_type)
        if before and there is None:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN {place} {sql_type}")
        elif there and type_of(there.sql_type) != sql_type:
            connection.execute(f"ALTER TABLE {name} ALTER COLUMN {place} TYPE {sql_type}")
        if there is None or there.description != column.description:
            comment = literal(column.description)
            connection.execute(f"COMMENT ON COLUMN {name}.{place} IS {comment}")
    if before is None or before.table.description != after.table.description:
        connection.execute(f"COMMENT ON TABLE {name} IS {literal(after.table.description)}")


def _definition(column: Column) -> str:
    constraint = " NOT NULL" if column.required else ""
    return f"{identifier(column.name)} {type_of(column.sql_type)}{constraint}"


def _delete(connection: Connection, rows: StagedRows, days: Sequence[date]) -> None:
    condition, parameters = in_partitions(days)
    if rows.asset is not None:
        condition += " AND asset = ?"
        parameters.append(rows.asset)
    table = identifier(rows.table.name)
    connection.execute(f"DELETE FROM {table} WHERE {condition}", parameters)  # noqa: S608 - names are quoted


def _insert(connection: Connection, rows: StagedRows) -> None:
    if not len(rows):
        return
    table = identifier(rows.table.name)
    names = ", ".join(identifier(column.name) for column in rows.table.columns)
    values = ", ".join(cast_sql(column) for column in rows.table.columns)
    connection.register(_STAGED, rows.arrays)
    try:
        connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {_STAGED}"  # noqa: S608 - names are quoted
        )
    finally:
        connection.unregister(_STAGED)
