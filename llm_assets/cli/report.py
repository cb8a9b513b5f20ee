"""`llm-assets report`: one month of the tables as a page of HTML that can be sent to anybody.

With `-` as its place the page goes to standard output, and nothing else does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from llm_assets.cli.tables_place import NothingThere, configured_database
from llm_assets.errors import ConfigurationError, WarehouseMissing
from llm_assets.report.headline import headline, headline_numbers
from llm_assets.report.months import Month
from llm_assets.report.write import Report, file_name, latest_month, make_report, report_folder, write_page

_STDOUT = "-"

# The backspace-b lines keep click from filling the paragraph.
_EPILOG = """\b
The page holds its charts, tables and styles: open it, print it, send it. Below every
chart, "Numbers" opens the table it was drawn from, to be copied into a spreadsheet.

\b
Exit codes: 0 the page was written, 1 it could not be made or written,
2 wrong usage, 3 there are no rows, of that month or at all.

\b
Examples:
  llm-assets report
  llm-assets report --month 2026-03 --open
  llm-assets report --month 2026-03 --out march.html
  llm-assets report --json | jq .cost_usd
"""


def _month(ctx: click.Context, param: click.Parameter, value: str | None) -> Month | None:
    try:
        return None if value is None else Month.parse(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command(name="report", epilog=_EPILOG)
@click.option(
    "--month", metavar="YYYY-MM", callback=_month, help="Which month.  [default: the latest one with rows]"
)
@click.option(
    "--out",
    metavar="PLACE",
    help="Where to: a name that ends in .html is the page, any other a folder, - is standard output.  "
    "[default: the folder `reports` beside the database]",
)
@click.option("--open", "opening", is_flag=True, help="Show the page in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the headline's numbers as JSON, for scripts.")
@click.option(
    "--database",
    metavar="PATH",
    help="DuckDB file.  [default: LLM_ASSETS_DUCKDB, else data/llm_assets.duckdb in the project's root]",
)
def report_command(
    month: Month | None,
    out: str | None,
    opening: bool,
    as_json: bool,
    database: str | None,
) -> None:
    """Write a month as one page: recordings, sentiment and topics over time, cost, quota use, failures.

    It only reads the tables, asks no model and needs no network.
    """
    if out == _STDOUT and (as_json or opening):
        raise click.UsageError("--out - prints the page: neither --json nor --open goes with it")
    path = database or configured_database()
    report = _made(path, month)
    if out == _STDOUT:
        sys.stdout.write(report.html)
        return
    page = _place(out, path, report.month)
    write_page(report.html, page)
    _say(report, page, as_json=as_json)
    if opening:
        click.launch(page.resolve().as_uri())


def _made(database: str, month: Month | None) -> Report:
    try:
        latest = latest_month(database)
        if latest is None:
            raise NothingThere(
                f"{database} has no rows yet: run `llm-assets demo` or materialize a partition"
            )
        report = make_report(database, month or latest)
    except WarehouseMissing as error:
        raise NothingThere.of(error) from error
    if not report.rows.has_rows:
        raise NothingThere(
            f"there are no rows of {report.month} in {database}, so no page was written; the latest month "
            f"with rows is {latest}"
        )
    return report


def _place(out: str | None, database: str, month: Month) -> Path:
    if out is None:
        return report_folder(database) / file_name(month)
    place = Path(out)
    is_page = place.suffix.lower() in (".html", ".htm") and not place.is_dir()
    return place if is_page else place / file_name(month)


def _say(report: Report, page: Path, *, as_json: bool) -> None:
    if as_json:
        numbers = {"month": str(report.month), "page": str(page), **headline_numbers(report.rows)}
        click.echo(json.dumps(numbers, indent=2))
        return
    click.echo(f"{report.month.name}:")
    for tile in headline(report.month, report.rows):
        click.echo(f"  {tile.name:<22} {tile.value:>10}   {tile.detail}")
    click.echo(f"Written to {page}")
