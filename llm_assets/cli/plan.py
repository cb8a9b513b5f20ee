"""`llm-assets plan`: what materializing days would ask and cost, before anything is asked."""

from __future__ import annotations

import asyncio
import json
import re

import click

from llm_assets.cli.plan_screen import as_json_value, show
from llm_assets.errors import LLMAssetsError

# The backspace-b lines keep click from filling the paragraph.
_EPILOG = """\b
It counts what is there: rows of the tables, and answers in the journal, which
cost nothing again. Nothing is asked, and no table or state is written.
Recordings that no run has read yet are only listed: materialize `recordings`,
which asks no model, to have them counted as well. What is not transcribed yet
is estimated by its length.

\b
Costs are a range: nobody knows the length of answers beforehand. Repairs and
fallbacks come on top. A recording counts as transcribed when a model of the
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

_DAY = r"\d{4}-\d\d-\d\d"
_DAYS = re.compile(rf"({_DAY})\.\.({_DAY})")


class NotPlanned(click.ClickException):
    """The plan cannot be made."""

    exit_code = 1


def _days(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    match = _DAYS.fullmatch(value)
    if match is None or match[1] > match[2]:
        raise click.BadParameter(f"{value!r} are no days: they look like 2025-01-01..2025-12-31", ctx, param)
    return match[1], match[2]


def _partition(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(_DAY, value):
        raise click.BadParameter(f"{value!r} is no day: it looks like 2026-03-02", ctx, param)
    return value


@click.command(name="plan", epilog=_EPILOG)
@click.option("--days", metavar="FROM..TO", callback=_days, help="The first and the last day.")
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

    from llm_assets.orchestration.find_definitions import load_definitions
    from llm_assets.orchestration.plan_days import plan_days
    from llm_assets.orchestration.project_stages import ProjectStages

    first, last = days or (partition, partition)
    try:
        with ProjectStages(load_definitions(module)) as project:
            plan = asyncio.run(plan_days(project, project.days(first, last)))
    except LLMAssetsError as error:
        raise NotPlanned(str(error)) from error
    except dg.Failure as failure:
        raise NotPlanned(failure.description or "rows cannot be read") from failure
    if as_json:
        click.echo(json.dumps(as_json_value(plan), indent=2))
    else:
        show(plan)
