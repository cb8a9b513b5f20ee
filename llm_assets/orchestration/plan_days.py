"""What materializing days would ask and cost, without a run: counted from the tables and the journal alone.

Nothing is asked, booked or written. What no run has read yet is known by its listing, and a recording that
is not transcribed yet by its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal

import dagster as dg

from llm_assets.llm.kept import KeptAnswers, open_kept
from llm_assets.orchestration.days import in_runs
from llm_assets.orchestration.insights_count import InsightsCount
from llm_assets.orchestration.partitions import partition_dates, partition_key
from llm_assets.orchestration.project_stages import ProjectStages
from llm_assets.orchestration.rows import recordings_of, transcripts_of
from llm_assets.orchestration.transcripts_count import TranscriptsCount
from llm_assets.planning.budget import BudgetPlan, Cost
from llm_assets.planning.plan import Plan
from llm_assets.recordings.find import find_in_days
from llm_assets.recordings.outside import outside_layout
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording, RowStatus, Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsPlan:
    """Recordings of an asset: those that are rows, and by day how many are only listed so far.

    `outside` are local ones that the layout has no place for, so that no day will have them.
    """

    asset: str
    rows: int
    unread_by_day: Mapping[str, int]
    place: str
    pattern: str
    outside: Sequence[str] = ()

    @property
    def unread(self) -> int:
        return sum(self.unread_by_day.values())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all of the days."""
        return not self.rows and not self.unread


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysPlan:
    """The plan of each asset for the `days`, and of each budget.

    `without_transcripts` says of how many days there are no transcripts yet that are made elsewhere.
    """

    days: Sequence[str]
    recordings: Sequence[RecordingsPlan]
    plans: Sequence[Plan]
    budgets: Sequence[BudgetPlan]
    without_transcripts: Mapping[str, int]

    @property
    def cost_usd(self) -> Cost | None:
        """From least to most; None when a price is unknown."""
        return _sum(self.plans)


async def plan_days(project: ProjectStages, days: Sequence[str]) -> DaysPlan:
    """Count what is there.

    Raises ConfigurationError, StateUnavailable, RecordingsUnavailable, and dg.Failure for the rows.
    """
    async with AsyncExitStack() as stack:
        counting = _Counting(project)
        await counting.open(stack)
        for day in days:
            await counting.add(day)
        plans = counting.plans()
        recordings = counting.recordings(days)
        unread = {key: each.unread for key, each in recordings.items()}
        return DaysPlan(
            days=days,
            recordings=list(recordings.values()),
            plans=list(plans.values()),
            budgets=list(_budgets(project, plans, counting.spent, unread, days)),
            without_transcripts=counting.without_transcripts,
        )


class _Counting:
    """Goes through the days one by one, so that no more than a day's rows are held at a time."""

    def __init__(self, project: ProjectStages) -> None:
        self._project = project
        self._kept: dict[dg.AssetKey, KeptAnswers] = {}
        self._transcripts: dict[dg.AssetKey, TranscriptsCount] = {}
        self._insights: dict[dg.AssetKey, InsightsCount] = {}
        self._read: dict[dg.AssetKey, dict[str, int]] = {}
        self.spent: dict[str, Decimal] = {}
        self.without_transcripts: dict[str, int] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        """Open what is kept for the models of each asset."""
        for key, (stage, surroundings) in self._project.stages.items():
            if stage.upstream is None:
                self._read[key] = {}
                continue
            config = self._project.config(key)
            self._kept[key], spent = await stack.enter_async_context(open_kept(config))
            self.spent[surroundings.openai_key] = spent
            if stage.extractor is not None:
                self._insights[key] = InsightsCount(stage.extractor, config)
            elif stage.source is not None:
                self._transcripts[key] = TranscriptsCount(stage.source, config)

    async def add(self, day: str) -> None:
        """Count what is there of a day."""
        project = self._project
        recordings: dict[dg.AssetKey | None, list[Recording] | None] = {}
        for key, read in self._read.items():
            rows = project.rows(key, day)
            recordings[key] = None if rows is None else list(recordings_of(rows))
            read[day] = 0 if rows is None else len(rows)
        transcripts: dict[dg.AssetKey, list[Transcript] | None] = {}
        for key in self._upstream_of_insights():
            rows = project.rows(key, day)
            transcripts[key] = None if rows is None else list(transcripts_of(rows))
        for key, count in self._transcripts.items():
            found = recordings.get(project.upstream[key]) or []
            await count.add(found, _by_recording(transcripts[key] or []), self._kept[key])
        for key, count in self._insights.items():
            upstream = project.upstream[key]
            found = recordings.get(project.upstream.get(upstream))
            await self._add_insights(key, count, found, transcripts[upstream])

    def plans(self) -> dict[dg.AssetKey, Plan]:
        """Of each asset with a model to ask."""
        made = {
            key: count.plan(key.to_user_string())
            for key, count in (self._transcripts | self._insights).items()
        }
        return {key: plan for key, plan in made.items() if plan is not None}

    def recordings(self, days: Sequence[str]) -> dict[dg.AssetKey, RecordingsPlan]:
        """Of each asset of recordings; lists what is there now."""
        sources = {key: self._project.stages[key].stage.source for key in self._read}
        return {
            key: RecordingsPlan(
                asset=key.to_user_string(),
                rows=sum(self._read[key].values()),
                unread_by_day=_unread(source, self._read[key], days),
                place=source.place,
                pattern=source.pattern,
                outside=outside_layout(source),
            )
            for key, source in sources.items()
            if source is not None
        }

    def _upstream_of_insights(self) -> set[dg.AssetKey]:
        return {*self._transcripts, *(self._project.upstream[key] for key in self._insights)}

    async def _add_insights(
        self,
        key: dg.AssetKey,
        count: InsightsCount,
        recordings: list[Recording] | None,
        transcripts: list[Transcript] | None,
    ) -> None:
        """Of recordings that are not transcribed yet only their length is known."""
        if recordings is None:
            if transcripts is None and self._project.upstream[key] not in self._transcripts:
                name = key.to_user_string()
                self.without_transcripts[name] = self.without_transcripts.get(name, 0) + 1
            await count.add(transcripts or [], self._kept[key])
            return
        heard = _by_recording(transcripts or [])
        to_read: list[Transcript] = []
        for recording in recordings:
            transcript = heard.get(recording.recording_id)
            if recording.status is not RowStatus.OK:
                count.add_without_model(1)
            elif transcript is None or transcript.status is RowStatus.FAILED:
                count.add_unheard(recording.recording_id, recording.duration_seconds or 0.0)
            else:
                to_read.append(transcript)
        await count.add(to_read, self._kept[key])


def _unread(source: RecordingSource, read: Mapping[str, int], days: Sequence[str]) -> dict[str, int]:
    listed = find_in_days(source, partition_dates(days))
    left = {partition_key(day): len(found) - read.get(partition_key(day), 0) for day, found in listed.items()}
    return {day: count for day, count in left.items() if count > 0}


def _by_recording(transcripts: Iterable[Transcript]) -> dict[str, Transcript]:
    return {each.recording_id: each for each in transcripts}


def _budgets(
    project: ProjectStages,
    plans: Mapping[dg.AssetKey, Plan],
    spent: Mapping[str, Decimal],
    unread: Mapping[dg.AssetKey, int],
    days: Sequence[str],
) -> Iterator[BudgetPlan]:
    """Of each resource that has a cap."""
    by_resource: dict[str, list[dg.AssetKey]] = {}
    for key in plans:
        by_resource.setdefault(project.stages[key].surroundings.openai_key, []).append(key)
    for resource, keys in by_resource.items():
        budget = project.config(keys[0]).budget
        if budget.usd_per_day is None and budget.usd_per_run is None:
            continue
        days_per_run = min(project.stages[key].surroundings.days_per_backfill_run for key in keys)
        yield BudgetPlan(
            resource=resource,
            budget=budget,
            cost_usd=_sum(plans[key] for key in keys),
            spent_today_usd=spent[resource],
            runs=len(list(in_runs(days, days_per_run))),
            uncounted=sum(unread.get(key, 0) for key in {_origin(project, key) for key in keys}),
        )


def _origin(project: ProjectStages, key: dg.AssetKey) -> dg.AssetKey:
    """Where what an asset is made of begins."""
    while key in project.upstream:
        key = project.upstream[key]
    return key


def _sum(plans: Iterable[Plan]) -> Cost | None:
    costs = [plan.cost_usd for plan in plans]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    return sum((cost[0] for cost in known), Decimal(0)), sum((cost[1] for cost in known), Decimal(0))
