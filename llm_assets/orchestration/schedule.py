"""The daily schedule: yesterday's partition every morning, and the days that were missed.

Off until a person turns it on: a project that has just been installed spends nothing by itself. Mornings
that pass while Dagster's daemon is down are not made up for by Dagster; so every morning asks for the
latest days that have no materialization as well, in runs that stand behind yesterday's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import dagster as dg

from llm_assets.errors import ConfigurationError
from llm_assets.orchestration.days import RANGE_END, RANGE_START, in_runs, missing_days, recent_days

PRIORITY = "dagster/priority"
# In Dagster's run queue and at the models' shared limits: yesterday, then missed days, then backfills.
YESTERDAY_FIRST = "10"
MISSED_NEXT = "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyRhythm:
    """When the daily run comes, and how far back missed days are made up for.

    `hour` is local to the partitions; recordings of the late evening need some time to arrive.
    `catch_up_days` counts the days before yesterday that are looked at; 0 looks at none.
    """

    hour: int = 3
    catch_up_days: int = 7

    def __post_init__(self) -> None:
        if not 0 <= self.hour <= 23:
            raise ConfigurationError(f"the hour of the daily schedule is {self.hour}: it must be 0 to 23")
        if self.catch_up_days < 0:
            raise ConfigurationError(f"catch_up_days is {self.catch_up_days}: it must be 0 or more")


EVERY_MORNING = DailyRhythm()


def daily_schedule(
    job: dg.UnresolvedAssetJobDefinition,
    partitions: dg.DailyPartitionsDefinition,
    assets: Collection[dg.AssetKey],
    rhythm: DailyRhythm,
    days_per_run: int,
) -> dg.ScheduleDefinition:
    """Materialize the day that has just ended, and missed ones, once a day. Stopped by default."""

    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=f"0 {rhythm.hour} * * *",
        execution_timezone=partitions.timezone,
        description="Yesterday, every morning; and the latest days before it that are missing.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def morning(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        now = context.scheduled_execution_time
        days = recent_days(partitions, 1 + rhythm.catch_up_days, now)
        if not days:
            yield dg.SkipReason("The first day of the partitions is not over yet.")
            return
        *before, yesterday = days
        yield dg.RunRequest(run_key=yesterday, partition_key=yesterday, tags={PRIORITY: YESTERDAY_FIRST})
        missed = missing_days(context.instance, assets, before)
        for first, last in in_runs(missed, days_per_run):
            # With the morning in its key: a day that fails is asked for again the next morning.
            yield run_of_days(f"{first}-{last}@{yesterday}", first, last, MISSED_NEXT)

    return morning


def run_of_days(run_key: str, first: str, last: str, priority: str) -> dg.RunRequest:
    """One run for the days from `first` to `last`."""
    if first == last:
        return dg.RunRequest(run_key=run_key, partition_key=first, tags={PRIORITY: priority})
    days = {RANGE_START: first, RANGE_END: last}
    return dg.RunRequest(run_key=run_key, tags=days | {PRIORITY: priority})
