"""The command `llm-assets`. A subcommand's module is imported when it is called, so `--help` is instant.

Errors this package raises on purpose become one line on stderr; only unexpected ones show a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata

import click

from llm_assets.errors import LLMAssetsError

INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a subcommand lives, and its line in `--help`, which must not need the import."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "demo": LazyCommand(
        "llm_assets.cli.demo", "demo_command", "Run the pipeline on sample calls, without a key."
    ),
    "emulator": LazyCommand(
        "llm_assets.cli.emulator", "emulator_command", "Serve a local stand-in for OpenAI's API."
    ),
    "plan": LazyCommand(
        "llm_assets.cli.plan", "plan_command", "Show what materializing days would ask and cost."
    ),
    "journal": LazyCommand(
        "llm_assets.cli.journal", "journal_command", "Show or prune the answers that are kept."
    ),
    "report": LazyCommand("llm_assets.cli.report", "report_command", "Write a month as a page with charts."),
    "migrate": LazyCommand(
        "llm_assets.cli.migrate", "migrate_command", "Give up columns of tables, after showing them."
    ),
    "sql": LazyCommand("llm_assets.cli.sql", "sql_command", "Query the tables, read-only."),
    "version": LazyCommand("llm_assets.cli.main", "version_command", "Print the version."),
}


class LazyGroup(click.Group):
    """A group whose commands are looked up in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        return getattr(import_module(lazy.module), lazy.attribute) if lazy else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])


@click.group(name="llm-assets", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Audio recordings to transcripts to structured insights, as daily Dagster assets in DuckDB.

    \b
    Try it, without an API key and without a network:
      llm-assets demo
    \b
    See the assets, materialize a day, start the daily schedule:
      DAGSTER_HOME=$PWD dagster dev
    \b
    Ask the tables:
      llm-assets sql "select recording_id, sentiment, summary from insights"
    \b
    With OPENAI_API_KEY set, the assets ask OpenAI; with OPENAI_BASE_URL, any compatible server,
    such as the one that `llm-assets emulator` starts.
    """


@click.command(name="version", help="Print the version of llm-assets.")
def version_command() -> None:
    click.echo(metadata.version("llm-assets"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 for success, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        result = cli.main(args=arguments, prog_name="llm-assets", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except LLMAssetsError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
