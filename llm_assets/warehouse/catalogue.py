"""The catalogue: a DuckDB database with the list of files behind its views, which `shown` makes.

The list lives in the schema `llm_assets_state` of the same database, so views and list change together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.layout import Layout
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.sessions import Connection

_STATE = """
    CREATE SCHEMA llm_assets_state;
    CREATE TABLE llm_assets_state.layouts (table_name VARCHAR, layout VARCHAR);
    CREATE TABLE llm_assets_state.files
        (table_name VARCHAR, asset VARCHAR, partition_date DATE, path VARCHAR, shape VARCHAR);
    CREATE TABLE llm_assets_state.retired (path VARCHAR, snapshot BIGINT);
    CREATE TABLE llm_assets_state.place (folder VARCHAR);
"""
_HAS_STATE = """
    SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()
    AND schema_name = 'llm_assets_state' AND table_name = 'layouts'
"""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file with the rows of one partition; `asset` tells whose, where several share a table.

    `path` is relative to the folder of the tables.
    """

    table: str
    asset: str | None
    partition_date: date
    path: str
    shape: str

    def below(self, folder: Path) -> str:
        """Where it is. As text: three years are a thousand files, and paths take their time."""
        return f"{folder}/{self.path}"


def settle(connection: Connection, folder: Path) -> bool:
    """Make an empty database a catalogue, and one that came from elsewhere with its folder one of here.

    True when its folder is another one than before. Raises WarehouseError when its rows were left behind.
    """
    if not is_catalogue(connection):
        connection.execute(_STATE)
    before = _folder(connection)
    if before == folder:
        return False
    first = connection.execute("SELECT path FROM llm_assets_state.files LIMIT 1").fetchone()
    if first and not (folder / first[0]).exists():
        raise WarehouseError(f"the rows are still in {before}: copy that folder to {folder}, then write")
    connection.execute("DELETE FROM llm_assets_state.place")
    connection.execute("INSERT INTO llm_assets_state.place VALUES (?)", [str(folder)])
    return True


def folder_of(connection: Connection) -> Path | None:
    """Where the files were when the catalogue was published."""
    return _folder(connection) if is_catalogue(connection) else None


def _folder(connection: Connection) -> Path | None:
    row = connection.execute("SELECT folder FROM llm_assets_state.place").fetchone()
    return Path(row[0]) if row else None


def copy_state(connection: Connection, database: str) -> None:
    """Go on in memory with what an attached catalogue says."""
    tables = ("layouts", "files", "retired", "place")
    source = f"{identifier(database)}.llm_assets_state"
    copies = (f"CREATE TABLE llm_assets_state.{name} AS FROM {source}.{name}" for name in tables)
    connection.execute(f"USE memory; CREATE SCHEMA llm_assets_state; {'; '.join(copies)}")


def is_catalogue(connection: Connection) -> bool:
    row = connection.execute(_HAS_STATE).fetchone()
    return bool(row and row[0])


def layouts(connection: Connection) -> dict[str, Layout]:
    """All tables, by name."""
    if not is_catalogue(connection):
        return {}
    found = connection.execute("SELECT layout FROM llm_assets_state.layouts ORDER BY table_name").fetchall()
    read = [Layout.from_json(text) for (text,) in found]
    return {layout.table.name: layout for layout in read}


def layout(connection: Connection, table: str) -> Layout | None:
    if not is_catalogue(connection):
        return None
    sql = "SELECT layout FROM llm_assets_state.layouts WHERE lower(table_name) = lower(?)"
    row = connection.execute(sql, [table]).fetchone()
    return Layout.from_json(row[0]) if row else None


def keep_layout(connection: Connection, layout: Layout) -> None:
    name = layout.table.name
    connection.execute("DELETE FROM llm_assets_state.layouts WHERE lower(table_name) = lower(?)", [name])
    connection.execute("INSERT INTO llm_assets_state.layouts VALUES (?, ?)", [name, layout.to_json()])


def files(
    connection: Connection,
    tables: Sequence[str],
    days: Sequence[date] | None = None,
    years: Sequence[int] | None = None,
) -> list[DataFile]:
    """The files of these tables, all or those of some days or years, in the order of the days."""
    sql = """
        SELECT table_name, asset, partition_date, path, shape FROM llm_assets_state.files
        WHERE list_contains($tables, lower(table_name))
        AND ($days IS NULL OR list_contains($days, partition_date))
        AND ($years IS NULL OR list_contains($years, year(partition_date)))
        ORDER BY partition_date, asset
    """
    given = {
        "tables": [table.lower() for table in tables],
        "days": None if days is None else list(days),
        "years": None if years is None else list(years),
    }
    return [DataFile(*row) for row in connection.execute(sql, given).fetchall()]


def replace_files(
    connection: Connection,
    owners: Iterable[tuple[str, str | None]],
    days: Sequence[date],
    new: Sequence[DataFile],
    snapshot: int,
) -> set[str]:
    """Put new files in place of those that these tables and assets have of these days; the old ones are not
    shown from `snapshot` on. Returns the names, in lower case, of the tables for which anything changed."""
    owned = {(table.lower(), asset) for table, asset in owners}
    sql = """
        SELECT lower(table_name), asset, path FROM llm_assets_state.files
        WHERE list_contains(?, partition_date)
    """
    there = connection.execute(sql, [list(days)]).fetchall()
    gone = {path: table for table, asset, path in there if (table, asset) in owned}
    if gone:
        paths = list(gone)
        connection.execute("DELETE FROM llm_assets_state.files WHERE list_contains(?, path)", [paths])
        connection.execute("INSERT INTO llm_assets_state.retired SELECT unnest(?), ?", [paths, snapshot])
    if new:
        rows = [(one.table, one.asset, one.partition_date, one.path, one.shape) for one in new]
        sql = """
            INSERT INTO llm_assets_state.files
            SELECT unnest(?), unnest(?::VARCHAR[]), unnest(?), unnest(?), unnest(?)
        """
        connection.execute(sql, [list(column) for column in zip(*rows, strict=True)])
    return {*gone.values()} | {one.table.lower() for one in new}


def forget_retired(connection: Connection, oldest_snapshot: int) -> list[str]:
    """Take off the list the files that no snapshot from this one on shows. Their paths."""
    sql = "DELETE FROM llm_assets_state.retired WHERE snapshot <= ? RETURNING path"
    return [path for (path,) in connection.execute(sql, [oldest_snapshot]).fetchall()]
