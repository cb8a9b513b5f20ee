"""What a plan's table leaves out, in sentences, and whether the budget bears it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_assets.cli.ranges import number_range
from llm_assets.money import usd
from llm_assets.orchestration.progress import duration_text
from llm_assets.planning.budget import BudgetPlan
from llm_assets.planning.plan import Plan

if TYPE_CHECKING:
    from llm_assets.orchestration.plan_days import DaysPlan, RecordingsPlan

_MOST_NAMES = 3
# In one line for a shell.
_MOST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: `left_out_days` are no partitions; `command` materializes a day of an asset."""

    left_out_days: int
    command: Callable[[str, str], str]


def remarks(plan: DaysPlan, asked: Asked) -> Iterator[str]:
    """One after the other; commands are indented."""
    if asked.left_out_days:
        left_out = _count(asked.left_out_days, "day is no partition", "days are no partitions")
        yield f"{left_out} and left out."
    for each in plan.recordings:
        yield from _of_recordings(each, asked)
    for asset, days in plan.without_transcripts.items():
        yield f"{asset} has nothing to read for {days:,} of the days: their transcripts are not there yet."
    for each in plan.plans:
        yield from _of_asset(each)
    for budget in plan.budgets:
        yield from _of_budget(budget, is_only=len(plan.budgets) == 1)


def nothing_found(recordings: RecordingsPlan) -> str:
    """Where was looked in vain."""
    place = f"{recordings.place} with the layout {recordings.pattern}"
    return f"There is nothing for {recordings.asset} of these days at {place}"


def _of_recordings(each: RecordingsPlan, asked: Asked) -> Iterator[str]:
    if each.unread:
        recordings = _count(each.unread, "recording is", "recordings are")
        yield (
            f"{recordings} not read yet and not in these numbers. Have them read, which asks no model, "
            "and plan again:"
        )
        yield from _commands(each, asked)
    elif each.is_empty:
        yield f"{nothing_found(each)}."
    if each.outside:
        yield (
            f"{_count(len(each.outside), 'recording lies', 'recordings lie')} outside the layout "
            f"{each.pattern} and {'belongs' if len(each.outside) == 1 else 'belong'} to no day: "
            f"{_some(each.outside)}."
        )


def _commands(each: RecordingsPlan, asked: Asked) -> Iterator[str]:
    days = list(each.unread_by_day)
    if len(days) == 1:
        yield f"  {asked.command(each.asset, days[0])}"
    elif len(days) <= _MOST_DAYS:
        yield f"  for day in {' '.join(days)}; do {asked.command(each.asset, '$day')}; done"
    else:
        yield f"  {asked.command(each.asset, days[0])}"
        yield f"That is one of {len(days):,} days; for all of them, launch a backfill of {each.asset}."


def _of_asset(each: Plan) -> Iterator[str]:
    if each.repeated:
        rows = _count(
            each.repeated,
            "row has the content of another one and is",
            "rows have the content of others and are",
        )
        yield f"{each.asset}: {rows} not asked again."
    if each.estimated:
        rows = _count(each.estimated, "row is", "rows are")
        yield f"{each.asset}: {rows} not transcribed yet: estimated by length."
    if each.in_parts:
        recordings = _count(each.in_parts, "recording is", "recordings are")
        yield f"{each.asset}: {recordings} too long for one call and asked in parts."
    if each.to_ask and each.least_seconds:
        yield f"{each.asset}: at least {duration_text(each.least_seconds)} at the configured limits."
    if each.cost_usd is None:
        yield (
            f"{each.asset}: the price list does not know {each.model}. Perhaps it is misspelt; "
            "else give its entry a price."
        )


def _of_budget(plan: BudgetPlan, *, is_only: bool) -> Iterator[str]:
    name = "The budget" if is_only else f"The budget of {plan.resource}"
    caps: list[str] = []
    if plan.budget.usd_per_day is not None:
        left = usd(plan.left_today_usd or 0)
        caps.append(f"{usd(plan.budget.usd_per_day)} a day, of which {left} are left today")
    if plan.budget.usd_per_run is not None:
        runs = _count(plan.runs, "run", "runs")
        caps.append(f"{usd(plan.budget.usd_per_run)} a run, and this takes {runs}")
    yield f"{name} is {'; '.join(caps)}. {_verdict(plan)}"
    if plan.bears in ("perhaps", "no") and plan.days is not None and plan.days[1] > 1:
        days = number_range(*map(str, plan.days))
        yield f"Spread over days it takes {days}: launch the rest again the next day."


def _verdict(plan: BudgetPlan) -> str:
    if plan.bears == "unknown" and plan.cost_usd is None:
        return "A model whose price is unknown is not asked under a budget."
    return _VERDICTS[plan.bears]


_VERDICTS = {
    "yes": "It bears this.",
    "perhaps": "It may not bear this: what is paid for is kept, and a later run goes on from there.",
    "no": "It does not bear this: what is paid for is kept, and a later run goes on from there.",
    "unknown": "Whether it bears this cannot be said yet: not all recordings are counted.",
}


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
