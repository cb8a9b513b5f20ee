"""The catalogue: a DuckDB database with a view for every table, and the list of files behind them.

The list lives in the schema `llm_assets_state` of the same database, so view and list change together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.layout import Layout
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.rows_sql import table_sql
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.tables import FIXED_TABLES, Table
from llm_assets.warehouse.views import create_views

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
_OTHER_TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'main'
    AND list_contains($names, lower(table_name))
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


def prepare(connection: Connection, folder: Path) -> None:
    """Make an empty database a catalogue, and one that came from elsewhere with its folder one of here.

    Raises WarehouseError when its rows were left behind.
    """
    if not is_catalogue(connection):
        connection.execute(_STATE)
    before = folder_of(connection)
    if before == folder:
        return
    found = list(layouts(connection).values())
    first = connection.execute("SELECT path FROM llm_assets_state.files LIMIT 1").fetchone()
    if first and not (folder / first[0]).exists():
        raise WarehouseError(f"the rows are still in {before}: copy that folder to {folder}, then write")
    connection.execute("DELETE FROM llm_assets_state.place")
    connection.execute("INSERT INTO llm_assets_state.place VALUES (?)", [str(folder)])
    for layout in found:
        show(connection, folder, layout)


def folder_of(connection: Connection) -> Path | None:
    """Where the files were when the catalogue was published."""
    if not is_catalogue(connection):
        return None
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


def files(connection: Connection, table: str, days: Sequence[date] | None = None) -> list[DataFile]:
    """The table's files, all or those of some days, in the order of the days."""
    sql = """
        SELECT table_name, asset, partition_date, path, shape FROM llm_assets_state.files
        WHERE lower(table_name) = lower($table) AND ($days IS NULL OR list_contains($days, partition_date))
        ORDER BY partition_date, asset
    """
    given = {"table": table, "days": None if days is None else list(days)}
    return [DataFile(*row) for row in connection.execute(sql, given).fetchall()]


def replace_files(
    connection: Connection,
    table: str,
    asset: str | None,
    days: Sequence[date],
    new: Iterable[DataFile],
    snapshot: int,
) -> None:
    """Put new files in place of those of these days; the old ones are not shown from `snapshot` on."""
    gone = connection.execute(
        """DELETE FROM llm_assets_state.files WHERE table_name = $table
           AND asset IS NOT DISTINCT FROM $asset AND list_contains($days, partition_date) RETURNING path""",
        {"table": table, "asset": asset, "days": list(days)},
    ).fetchall()
    if gone:
        connection.executemany(
            "INSERT INTO llm_assets_state.retired VALUES (?, ?)", [[path, snapshot] for (path,) in gone]
        )
    rows = [[one.table, one.asset, one.partition_date, one.path, one.shape] for one in new]
    if rows:
        connection.executemany("INSERT INTO llm_assets_state.files VALUES (?, ?, ?, ?, ?)", rows)


def forget_retired(connection: Connection, oldest_snapshot: int) -> list[str]:
    """Take off the list the files that no snapshot from this one on shows. Their paths."""
    sql = "DELETE FROM llm_assets_state.retired WHERE snapshot <= ? RETURNING path"
    return [path for (path,) in connection.execute(sql, [oldest_snapshot]).fetchall()]


def show(
    connection: Connection, folder: Path, layout: Layout, listed: Sequence[DataFile] | None = None
) -> None:
    """Create or renew the table's view, with its comments, over the files of this catalogue or `listed`."""
    by_shape: dict[str, list[str]] = defaultdict(list)
    for file in files(connection, layout.table.name) if listed is None else listed:
        by_shape[file.shape].append(str(folder / file.path))
    _refuse_other_table(connection, layout.table)
    name = identifier(layout.table.name)
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS {table_sql(layout, by_shape)}")
    connection.execute(comments_sql(layout.table))


def _refuse_other_table(connection: Connection, table: Table) -> None:
    if connection.execute(_OTHER_TABLES, {"names": [table.name.lower()]}).fetchone():
        raise WarehouseError(
            f'the DuckDB file has a table "{table.name}" of its own, whose rows are not replaced by days: '
            "set LLM_ASSETS_DUCKDB to another file; answers in the journal are not paid for again"
        )


def comments_sql(table: Table) -> str:
    """What the table and its columns mean, as comments of a view."""
    name = identifier(table.name)
    statements = [f"COMMENT ON VIEW {name} IS {literal(table.description)}"]
    statements += [
        f"COMMENT ON COLUMN {name}.{identifier(column.name)} IS {literal(column.description)}"
        for column in table.columns
    ]
    return "; ".join(statements)


def show_summaries(connection: Connection, written: Iterable[Layout]) -> None:
    """The views over the tables that were written, and over the fixed tables that were not, as empty."""
    tables = {layout.table.name: layout.table for layout in written}
    for table in FIXED_TABLES:
        if table.name not in tables:
            tables[table.name] = table
            connection.execute(
                f"CREATE OR REPLACE VIEW {identifier(table.name)} AS {table_sql(Layout(table), {})}"
            )
            connection.execute(comments_sql(table))
    create_views(connection, tables.values())
