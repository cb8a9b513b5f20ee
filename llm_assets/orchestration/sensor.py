"""The sensor for late recordings: a day that has changed since it was materialized is asked for again.

What a day looked like is noted with its materialization, so nothing is missed between two looks or over
a restart. The cursor only spares work: a day that looks as it did last time is not asked about further.
Everything paid for is in the journal, so the run asks only for what is new.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from llm_assets.errors import ConfigurationError, LLMAssetsError
from llm_assets.orchestration.days import days_under_way, recent_days
from llm_assets.orchestration.metadata import DAY_FINGERPRINT
from llm_assets.orchestration.schedule import MISSED_NEXT, run_of_days

Fingerprints = Callable[[Iterable[date]], Mapping[date, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRecordings:
    """How many of the latest days are looked at, and how often. Each look lists these days' folders."""

    days: int = 14
    every_seconds: int = 600

    def __post_init__(self) -> None:
        if self.days < 1 or self.every_seconds < 1:
            raise ConfigurationError("late recordings: days and every_seconds must be 1 or more")


LATEST_DAYS = LateRecordings()


def late_recordings_sensor(
    name: str,
    job: dg.UnresolvedAssetJobDefinition,
    partitions: dg.DailyPartitionsDefinition,
    recordings: dg.AssetKey,
    fingerprints: Fingerprints,
    late: LateRecordings,
) -> dg.SensorDefinition:
    """Ask for materialized days whose recordings are others than they were. Stopped by default."""

    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=late.every_seconds,
        description=f"Recordings that came or changed after their day was materialized ({late.days} days).",
        default_status=dg.DefaultSensorStatus.STOPPED,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        done = context.instance.get_materialized_partitions(recordings)
        days = [day for day in recent_days(partitions, late.days, datetime.now(UTC)) if day in done]
        try:
            seen = fingerprints([date.fromisoformat(day) for day in days])
            now = {day.isoformat(): fingerprint for day, fingerprint in seen.items()}
        except LLMAssetsError as error:
            return dg.SkipReason(f"The recordings cannot be listed: {error}")
        before: dict[str, str] = json.loads(context.cursor or "{}")
        changed = [day for day in days if before.get(day) != now[day]]
        busy = days_under_way(context.instance, [recordings]) if changed else set[str]()
        late_days = [
            day
            for day in changed
            if day not in busy and _made_of(context.instance, recordings, day) != now[day]
        ]
        requests = [run_of_days(f"{day}:{now[day]}", day, day, MISSED_NEXT) for day in late_days]
        # A day under way is looked at again: its run may have listed the recordings before the change.
        cursor = {day: now[day] for day in days if day not in busy}
        reason = None if requests else f"Nothing came late in {len(days)} days."
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(cursor))

    return sensor


def _made_of(instance: dg.DagsterInstance, recordings: dg.AssetKey, day: str) -> str | None:
    """What the recordings of a day looked like when it was last materialized."""
    wanted = dg.AssetRecordsFilter(recordings, asset_partitions=[day])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        noted = record.asset_materialization and record.asset_materialization.metadata.get(DAY_FINGERPRINT)
        return str(noted.value) if noted else None
    return None
