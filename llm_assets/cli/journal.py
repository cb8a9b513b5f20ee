"""`llm-assets journal`: what the journal holds, what may have been billed for nothing, and pruning by age."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from llm_assets.errors import StateMissing
from llm_assets.llm.journal_contents import Intent, JournalContents, ModelSize, open_contents
from llm_assets.money import usd, usd_number

T = TypeVar("T")
_AGE = re.compile(r"(\d+)\s*([dwmy])", re.I)
_NARROW_CHARACTERS = 80
_SHORTEST_NAME = 12
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}

_EPILOG = """\b
Exit codes: 0 done, 1 the state cannot be used, 2 wrong usage, 3 there is no state yet, 4 nobody agreed.

\b
Examples:
  llm-assets journal
  llm-assets journal intents
  llm-assets journal prune --older-than 90d --dry-run
  llm-assets journal --state postgresql://db/llm_assets --json
"""


class NoState(click.ClickException):
    """The state file is missing."""

    exit_code = 3


_STATE = click.option(
    "--state",
    metavar="PATH|URL",
    help="SQLite file or postgresql:// URL.  [default: LLM_ASSETS_STATE, else data/state.sqlite in the "
    "project's root]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class NotAgreed(click.ClickException):
    """Nobody said yes to forgetting."""

    exit_code = 4


@click.group(name="journal", invoke_without_command=True, epilog=_EPILOG)
@_STATE
@_JSON
@click.pass_context
def journal_command(context: click.Context, state: str | None, as_json: bool) -> None:
    """Show how many answers the journal holds, how often they were of use, and what that saved.

    Every answer a provider was paid for is in the journal, so that asking the same again costs nothing.
    """
    context.obj = (state, as_json)
    if context.invoked_subcommand is None:
        _show_sizes(state or _configured_state(), as_json)


@journal_command.command(name="intents")
@_STATE
@_JSON
@click.pass_obj
def intents_command(before: tuple[str | None, bool], state: str | None, as_json: bool) -> None:
    """List requests that were sent and have no answer: under way now, or left behind by a crash.

    What a process that died has sent may have been billed without an answer. It is asked again when it is
    needed again.
    """
    state, as_json = _options(before, state, as_json)
    intents = _asked(state, JournalContents.open_intents)
    if as_json:
        _print_json([asdict(intent) for intent in intents])
        return
    if not intents:
        click.echo("Nothing is open: every request that was sent has its answer, or failed unbilled.")
        return
    _print_intents(intents)


@journal_command.command(name="prune")
@click.option(
    "--older-than",
    "age",
    required=True,
    metavar="AGE",
    help="Such as 90d, 12w, 6m or 2y.",
    callback=lambda context, parameter, value: _age(value),
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_STATE
@_JSON
@click.pass_obj
def prune_command(
    given: tuple[str | None, bool],
    age: timedelta,
    dry_run: bool,
    yes: bool,
    state: str | None,
    as_json: bool,
) -> None:
    """Forget answers older than AGE. Asking the same again costs money again."""
    state, as_json = _options(given, state, as_json)
    before = datetime.now(UTC) - age
    count = _asked(state, lambda contents: contents.older_than(before))
    if not dry_run and count and not yes:
        _require_consent(f"Forget {count:,} answers from before {before:%Y-%m-%d %H:%M} UTC?")
    if not dry_run:
        count = _asked(state, lambda contents: contents.prune(before))
    if as_json:
        _print_json({"answers": count, "before": before, "pruned": not dry_run})
    else:
        click.echo(f"{'Would forget' if dry_run else 'Forgot'} {count:,} answers.")


def _options(before: tuple[str | None, bool], state: str | None, as_json: bool) -> tuple[str, bool]:
    """Options may stand before the subcommand or behind it, where they count more."""
    return state or before[0] or _configured_state(), as_json or before[1]


def _require_consent(question: str) -> None:
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        raise NotAgreed("there is nobody to ask here; --yes forgets them without asking") from None
    if not agreed:
        raise NotAgreed("nothing was forgotten")


def _configured_state() -> str:
    # Imported here because Dagster comes with it, and a state on the command line needs none of that.
    from llm_assets.orchestration.settings import Settings

    return Settings.from_env().state


def _asked(state: str, question: Callable[[JournalContents], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with open_contents(state) as contents:
            return await question(contents)

    try:
        return asyncio.run(ask())
    except StateMissing as error:
        raise NoState(str(error)) from error


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no age; it looks like 90d, 12w, 6m or 2y")
    try:
        age = timedelta(days=int(match[1]) * _DAYS[match[2].lower()])
        datetime.now(UTC) - age  # pyright: ignore[reportUnusedExpression] - raises before the year 1
        return age
    except OverflowError:
        raise click.BadParameter(f"{text!r} is longer than there have been answers") from None


def _show_sizes(state: str, as_json: bool) -> None:
    async def ask(contents: JournalContents) -> tuple[list[ModelSize], list[Intent]]:
        return await contents.sizes(), await contents.open_intents()

    sizes, intents = _asked(state, ask)
    if as_json:
        totals = {name: sum(getattr(size, name) for size in sizes) for name in _TOTALS}
        _print_json(totals | {"intents": len(intents), "models": [asdict(size) for size in sizes]})
        return
    if not sizes:
        click.echo("The journal is empty.")
    else:
        _print_sizes(sizes)
    dead = sum(not intent.is_alive for intent in intents)
    if intents:
        click.echo(
            f"{len(intents) - dead:,} requests are under way; {dead:,} were left behind by processes that "
            "died and may have been billed (llm-assets journal intents)."
        )


_TOTALS = ("entries", "hits", "bytes", "cost_usd", "saved_usd")


def _print_sizes(sizes: Sequence[ModelSize]) -> None:
    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model", overflow="ellipsis", min_width=_SHORTEST_NAME)
    names = ["answers", "hits", "cost", "saved", "size", "oldest", "newest"]
    if console.width < _NARROW_CHARACTERS:  # a figure that is cut is wrong, one that is missing is in --json
        names = names[:5]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for size in sizes:
        cells = (
            f"{size.entries:,}",
            f"{size.hits:,}",
            usd(size.cost_usd),
            usd(size.saved_usd),
            _bytes(size.bytes),
            f"{size.oldest:%Y-%m-%d}",
            f"{size.newest:%Y-%m-%d}",
        )
        table.add_row(size.model, *cells[: len(names)])
    console.print(table)
    entries, hits = sum(size.entries for size in sizes), sum(size.hits for size in sizes)
    saved = usd(sum((size.saved_usd for size in sizes), Decimal(0)))
    click.echo(f"\n{entries:,} answers, of use again {hits:,} times, which saved {saved}.")


def _print_intents(intents: Sequence[Intent]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("sent (UTC)", "model", "endpoint", "run", "state"):
        table.add_column(name, no_wrap=name == "state")
    for intent in intents:
        table.add_row(
            f"{intent.started_at:%Y-%m-%d %H:%M:%S}",
            intent.model,
            intent.endpoint,
            intent.run_id[:8],
            "under way" if intent.is_alive else "maybe billed",
        )
    Console().print(table)


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: datetime | Decimal) -> str | float:
    return usd_number(value) if isinstance(value, Decimal) else value.isoformat()
