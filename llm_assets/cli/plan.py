"""`llm-assets plan`: what materializing days would ask and cost, before anything is asked."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_assets.cli.plan_remarks import Asked, nothing_found
from llm_assets.cli.plan_screen import as_json_value, show
from llm_assets.errors import LLMAssetsError

if TYPE_CHECKING:
    from llm_assets.orchestration.find_definitions import FoundDefinitions
    from llm_assets.orchestration.plan_days import DaysPlan

# The backspace-b lines keep click from filling the paragraph.
_EPILOG = """\b
It counts what is there: rows of the tables, and answers in the journal, which
cost nothing again. Nothing is asked, and no table or state is written.
Recordings that no run has read yet are only listed: materialize `recordings`,
which asks no model, to have them counted as well. What is not transcribed yet
is estimated by its length.

\b
Costs are a range: nobody knows the length of answers beforehand, nor of speech
that was not heard yet, so of that only the most is said. Repairs and fallbacks
come on top. A recording counts as transcribed when a model of the
chain has answered for it, also with another language, prompt or keywords.

\b
Exit codes: 0 the plan is shown, 1 it cannot be made, 2 wrong usage.

\b
Examples:
  llm-assets plan
  llm-assets plan --partition 2026-03-02
  llm-assets plan --days 2025-01-01..2025-12-31
  llm-assets plan --days 2025-01-01..2025-12-31 --json | jq .cost_usd_most
"""

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class NotPlanned(click.ClickException):
    """The plan cannot be made."""

    exit_code = 1


def _days(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    first, separator, last = value.partition("..")
    days = _day(ctx, param, first), _day(ctx, param, last if separator else first)
    if days[0] > days[1]:
        raise click.BadParameter(f"{first} is after {last}: the first day comes first", ctx, param)
    return days


def _partition(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _day(ctx, param, value)


def _day(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not _DAY.fullmatch(value):
        looks = "2025-01-01..2025-12-31" if param.name == "days" else "2026-03-02"
        raise click.BadParameter(f"{value!r} is no day: it looks like {looks}", ctx, param)
    try:
        date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"there is no day {value} in the calendar", ctx, param) from None
    return value


@click.command(name="plan", epilog=_EPILOG)
@click.option("--days", metavar="FROM..TO", callback=_days, help="The first and the last day, or one day.")
@click.option("--partition", metavar="DAY", callback=_partition, help="One day.  [default: the latest one]")
@click.option(
    "--module",
    "-m",
    metavar="NAME",
    help="Where the definitions are.  [default: what the project of dg or the workspace.yaml around names]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON, for scripts.")
def plan_command(
    days: tuple[str, str] | None, partition: str | None, module: str | None, as_json: bool
) -> None:
    """Show what materializing days would ask and cost, and whether the budget bears it.

    It needs no key. Of each asset: its rows, those answered in the journal, and what the others cost.
    """
    if days and partition:
        raise click.UsageError("--days and --partition say the same: give one of them")
    # Imported here because Dagster comes with them.
    import dagster as dg

    from llm_assets.orchestration.find_definitions import find_definitions
    from llm_assets.orchestration.plan_days import plan_days
    from llm_assets.orchestration.project_stages import ProjectStages

    first, last = days or (partition, partition)
    try:
        found = find_definitions(module)
        with ProjectStages(found.definitions) as project:
            plan = asyncio.run(plan_days(project, project.days(first, last)))
    except LLMAssetsError as error:
        raise NotPlanned(str(error)) from error
    except dg.Failure as failure:
        raise NotPlanned(failure.description or "rows cannot be read") from failure
    _require_a_project(found, plan, is_chosen=module is not None)
    asked = Asked(_left_out(first, last, len(plan.days)), found.command)
    if as_json:
        click.echo(json.dumps(as_json_value(plan, asked), indent=2))
    else:
        show(plan, asked)


def _require_a_project(found: FoundDefinitions, plan: DaysPlan, *, is_chosen: bool) -> None:
    """Without a project around, zeros would be about something that nobody meant."""
    if is_chosen or found.is_around or not all(each.is_empty for each in plan.recordings):
        return
    where = "; ".join(map(nothing_found, plan.recordings))
    raise NotPlanned(
        f"there is no project in {Path.cwd()}, neither of dg nor with a workspace.yaml. {where}. "
        "Change into the project's folder, or name its definitions with --module."
    )


def _left_out(first: str | None, last: str | None, planned: int) -> int:
    """How many of the days that were asked for are no partitions."""
    if first is None or last is None:
        return 0
    return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1 - planned
