"""`llm-assets migrate`: change tables in the ways that lose something, after showing what would be lost."""

from __future__ import annotations

import sys

import click

from llm_assets.cli.tables_place import configured_database
from llm_assets.errors import TableMismatch, WarehouseLocked, WarehouseMissing

_NOT_CONFIRMED = 4

_EPILOG = """\b
What needs no migration: a new field of an output model becomes a new column at the next
write, also a field inside a nested model, and old rows are NULL there. A field that is no
longer defined keeps its column and its values.

\b
What a write refuses: a column whose type has changed, or a required one that is missing.
Either give the extractor another name, and so a new table, or give up the old values:
  llm-assets migrate --drop-column insights.outcome
and materialize again. Answers are in the journal, so what was asked before is not paid
for again, as long as the prompt and the output model are the same.

\b
A migration of a DuckDB file happens all at once or not at all, while others go on reading.

\b
Exit codes: 0 done, or nothing to do, 1 refused or failed, 2 wrong usage,
3 nothing has been written there yet or other runs write, 4 shown but not confirmed.

\b
Examples:
  llm-assets migrate --drop-column insights.outcome
  llm-assets migrate --drop-column insights.outcome --drop-column insights.intent --yes
  llm-assets migrate --drop-column insights.outcome --database s3://bucket/calls --yes
"""


class Refused(click.ClickException):
    """The migration cannot be made."""

    exit_code = 1


class NotNow(click.ClickException):
    """There is nothing there, or others are writing."""

    exit_code = 3


class NotConfirmed(click.ClickException):
    """The plan was shown, and nobody said yes."""

    exit_code = _NOT_CONFIRMED


def _columns(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    split = [value.rpartition(".") for value in values]
    for value, (table, _, column) in zip(values, split, strict=True):
        if not table or not column:
            raise click.BadParameter(f"{value!r} is not of the form TABLE.COLUMN", ctx, param)
    return [(table, column) for table, _, column in split]


@click.command(name="migrate", epilog=_EPILOG)
@click.option(
    "--drop-column",
    "dropped",
    metavar="TABLE.COLUMN",
    multiple=True,
    callback=_columns,
    help="Give up a column and the values in it. May be given several times.",
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option(
    "--database",
    metavar="PLACE",
    help="DuckDB file, URL of Parquet tables (s3://…) or database (md:…).  "
    "[default: LLM_ASSETS_DUCKDB, else data/llm_assets.duckdb in the project's root]",
)
def migrate_command(dropped: list[tuple[str, str]], yes: bool, database: str | None) -> None:
    """Change the tables where that loses something. Shows the plan, then asks."""
    from llm_assets.warehouse.migrate import carry_out, plan

    if not dropped:
        click.echo("Nothing to do: new fields need no migration (see --help).")
        return
    place = database or configured_database()
    try:
        planned = plan(place, dropped)
        click.echo(f"In {place}:")
        for one in planned.dropped:
            values = f"{one.values:,} value{'' if one.values == 1 else 's'}"
            click.echo(f'  drop column "{one.column}" of table "{one.table}": {one.sql_type}, {values}')
        _confirm(yes)
        carry_out(planned)
    except TableMismatch as error:
        raise Refused(str(error)) from error
    except (WarehouseMissing, WarehouseLocked) as error:
        raise NotNow(str(error)) from error
    click.echo("Done.")


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed("nothing was changed: add --yes to do this")
    if not click.confirm("These values are gone then. Go on?"):
        raise NotConfirmed("nothing was changed")
