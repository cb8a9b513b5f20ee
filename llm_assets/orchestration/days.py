"""Which days need a run: bounded questions to Dagster's instance, as schedule and sensor ask them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta

import dagster as dg

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"

# Metadata of a materialization of the recordings: what its day looked like.
DAY_FINGERPRINT = "recordings_fingerprint"

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def recent_days(partitions: dg.DailyPartitionsDefinition, count: int, now: datetime) -> list[str]:
    """The last `count` days that are over, oldest first, as the partitions' own time zone sees `now`."""
    return list(partitions.get_partition_keys(current_time=now))[-count:] if count > 0 else []


def missing_days(
    instance: dg.DagsterInstance, assets: Collection[dg.AssetKey], days: Sequence[str]
) -> list[str]:
    """Those of the `days` for which an asset is not materialized and no run is under way."""
    done = [instance.get_materialized_partitions(asset) for asset in assets] if days else []
    missing = [day for day in days if not all(day in each for each in done)]
    under_way = days_under_way(instance, assets) if missing else set[str]()
    return [day for day in missing if day not in under_way]


def days_under_way(instance: dg.DagsterInstance, assets: Collection[dg.AssetKey]) -> set[str]:
    """The days that runs of these assets are about to make: queued, or started and not finished."""
    found: set[str] = set()
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        run = record.dagster_run
        if run.asset_selection and not run.asset_selection & set(assets):
            continue
        if day := run.tags.get(PARTITION):
            found.add(day)
        elif RANGE_START in run.tags and RANGE_END in run.tags:
            found |= set(_days_between(run.tags[RANGE_START], run.tags[RANGE_END]))
    return found


def in_runs(days: Sequence[str], longest: int) -> Iterator[tuple[str, str]]:
    """Days in a row as ranges (first, last) of at most `longest` days."""
    first = last = None
    for day in days:
        if first and last and _next(last) == day and len(_days_between(first, day)) <= longest:
            last = day
            continue
        if first and last:
            yield first, last
        first = last = day
    if first and last:
        yield first, last


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _days_between(first: str, last: str) -> list[str]:
    start = date.fromisoformat(first)
    count = (date.fromisoformat(last) - start).days + 1
    return [(start + timedelta(days=number)).isoformat() for number in range(count)]
