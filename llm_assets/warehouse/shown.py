"""The views that people see: one for every table, with its comments, and the summaries over them.

A table's view is one over a view for each year, so that publishing a day costs no more after ten years than
after one. Those of the years stand beside the list of files, in the schema `llm_assets_state`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from llm_assets.errors import WarehouseError
from llm_assets.warehouse import catalogue
from llm_assets.warehouse.catalogue import DataFile
from llm_assets.warehouse.layout import Layout
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.rows_sql import table_sql
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.tables import FIXED_TABLES, Table
from llm_assets.warehouse.views import create_views

_OTHER_TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'main'
    AND list_contains($names, lower(table_name))
"""
_VIEWS = """
    SELECT view_name FROM duckdb_views() WHERE database_name = current_database()
    AND schema_name = 'llm_assets_state'
"""


def prepare(connection: Connection, folder: Path) -> None:
    """Make the database a catalogue of the tables in this folder, whose views read from there."""
    if catalogue.settle(connection, folder):
        show(connection, folder, catalogue.layouts(connection).values())


def show(
    connection: Connection, folder: Path, layouts: Iterable[Layout], days: Sequence[date] | None = None
) -> None:
    """Create or renew these tables' views, with their comments; or where only the files of some days have
    changed, what shows those."""
    layouts = list(layouts)
    if not layouts:
        return
    if days is None:
        for layout in layouts:
            refuse_other_table(connection, layout.table)
    changed = None if days is None else sorted({day.year for day in days})
    views = [name.lower() for (name,) in connection.execute(_VIEWS).fetchall()]
    files = catalogue.files(connection, [layout.table.name for layout in layouts], years=changed)
    for layout in layouts:
        name = layout.table.name.lower()
        before = _years(views, name)
        now = _show_years(connection, folder, layout, [file for file in files if file.table.lower() == name])
        gone = before - now if changed is None else before & {*changed} - now
        if changed is None or (now | before) - gone != before:
            _show_table(connection, layout, sorted((now | before) - gone))
        for year in gone:
            connection.execute(f"DROP VIEW {_year_view(layout.table, year)}")


def _years(views: Iterable[str], table: str) -> set[int]:
    """The years of this table that have a view. Names are in lower case."""
    years = (view.removeprefix(f"{table} ") for view in views if view.startswith(f"{table} "))
    return {int(year) for year in years if year.isdecimal()}


def _show_years(connection: Connection, folder: Path, layout: Layout, files: Iterable[DataFile]) -> set[int]:
    """Renew the views of the years that have these files."""
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        found[file.partition_date.year][file.shape].append(file.below(folder))
    for year, by_shape in found.items():
        view = _year_view(layout.table, year)
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {table_sql(layout, by_shape)}")
    return {*found}


def _show_table(connection: Connection, layout: Layout, years: Sequence[int]) -> None:
    views = (f"FROM {_year_view(layout.table, year)}" for year in years)
    sql = " UNION ALL ".join(views) if years else table_sql(layout, {})
    connection.execute(f"CREATE OR REPLACE VIEW {identifier(layout.table.name)} AS {sql}")
    connection.execute(comments_sql(layout.table))


def _year_view(table: Table, year: int) -> str:
    return f"llm_assets_state.{identifier(f'{table.name} {year}')}"


def refuse_other_table(connection: Connection, table: Table) -> None:
    """Raises WarehouseError when the file has a table of this name that is none of ours."""
    if connection.execute(_OTHER_TABLES, {"names": [table.name.lower()]}).fetchone():
        raise WarehouseError(
            f'the DuckDB file has a table "{table.name}" of its own, whose rows are not replaced by days. '
            f"Keep it by another name (ALTER TABLE {identifier(table.name)} RENAME TO … in DuckDB), or set "
            "LLM_ASSETS_DUCKDB to another file; answers in the journal are not paid for again"
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
