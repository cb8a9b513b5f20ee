"""`llm-assets sql`: ask the tables, read-only, and show the answer to a person or hand it to a script.

It asks what is published at that moment: it waits for no run, and no run waits for it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from typing import IO, cast

import click

from llm_assets.cli.not_written import not_written_yet
from llm_assets.cli.sql_formats import WRITERS
from llm_assets.cli.tables_place import NothingThere, configured_database
from llm_assets.errors import WarehouseError, WarehouseMissing
from llm_assets.warehouse.query import QueryResult, query, relations

EXAMPLE = 'llm-assets sql "select asset, model, calls, cost_usd from daily_cost"'

_TABLE_ROWS = 40
_MEMORY_BYTES = 16 * 1024 * 1024

# The backspace-b lines keep click from filling the paragraph.
_EPILOG = """\b
Exit codes: 0 the question was answered, 1 the question is wrong or wants more than
reading, 2 wrong usage, 3 nothing has been written there yet.

\b
Examples:
  llm-assets sql
  llm-assets sql "select * from daily_cost"
  llm-assets sql --csv "select * from insights" > insights.csv
  llm-assets sql --json "select * from conversation" | jq -r .[].text
  llm-assets sql - < question.sql
"""


class QueryRefused(click.ClickException):
    """The question is wrong or wants more than reading."""

    exit_code = 1


@click.command(name="sql", epilog=_EPILOG)
@click.argument("sql", required=False)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(list(WRITERS)),
    default="table",
    show_default=True,
    help="table is for people and shortens long texts; the others are complete and for scripts.",
)
@click.option("--csv", "output_format", flag_value="csv", help="Short for --format csv.")
@click.option("--json", "output_format", flag_value="json", help="Short for --format json.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"Most rows to show, 0 for all.  [default: {_TABLE_ROWS} as a table, else all]",
)
@click.option(
    "--database",
    metavar="PLACE",
    help="DuckDB file, URL of Parquet tables (s3://…) or database (md:…).  "
    "[default: LLM_ASSETS_DUCKDB, else data/llm_assets.duckdb in the project's root]",
)
def sql_command(sql: str | None, output_format: str, limit: int | None, database: str | None) -> None:
    """Ask the tables a question in SQL, read-only. With - the question is read from standard input.

    Without a question it lists the tables and views.
    """
    path = database or configured_database()
    if sql == "-":
        sql = sys.stdin.read()
    if sql is not None and not sql.strip():
        raise click.UsageError("the question is empty")
    if limit is None:
        limit = _TABLE_ROWS if output_format == "table" and sql is not None else 0
    try:
        _answer(path, sql, output_format, limit)
    except WarehouseMissing as error:
        raise NothingThere.of(error) from error
    except WarehouseError as error:
        raise QueryRefused(not_written_yet(error) or str(error)) from error


def _answer(path: str, sql: str | None, output_format: str, limit: int) -> None:
    with tempfile.SpooledTemporaryFile(_MEMORY_BYTES, mode="w+", encoding="utf-8", newline="") as spool:
        output = cast("IO[str]", spool)
        _write(path, sql, output_format, limit, output)
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout)


def _write(path: str, sql: str | None, output_format: str, limit: int, output: IO[str]) -> None:
    write = WRITERS[output_format]
    if sql is not None:
        with query(path, sql) as result:
            write(result, limit, output)
        return
    write(_listing(path), limit, output)
    if output_format == "table":
        output.write(f"Ask them, for instance:\n  {EXAMPLE}\n")


def _listing(path: str) -> QueryResult:
    found = relations(path)
    rows = ((relation.name, relation.kind, relation.row_count, relation.description) for relation in found)
    return QueryResult(
        ("name", "kind", "rows", "description"), ("VARCHAR", "VARCHAR", "BIGINT", "VARCHAR"), rows
    )
