"""The sensor for late recordings: a day that has changed since it was materialized is asked for again.

What a day looked like is noted with its materialization, so nothing is missed between two looks or over
a restart. The cursor only spares work: a day that looks as it did last time is not asked about further, and
days for which a look had no time come first in the next one. Everything paid for is in the journal, so the
run asks only for what is new.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from llm_assets.errors import ConfigurationError, LLMAssetsError
from llm_assets.orchestration.days import DAY_FINGERPRINT, days_under_way, recent_days
from llm_assets.orchestration.schedule import MISSED_NEXT, run_of_days

# Dagster gives a look sixty seconds and forgets all of one that takes longer. Listings are begun for the
# first time span, and one that is under way then has until the second.
BEGIN_WITHIN_SECONDS = 20.0
END_WITHIN_SECONDS = 45.0

# Days that are listed together, and how they look by now.
Listing = tuple[Sequence[date], Callable[[], Mapping[date, str]]]
Listings = Callable[[Iterable[date]], Iterator[Listing]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRecordings:
    """How many of the latest days are looked at, and how often. Each look lists these days' folders.

    Where that takes longer than a look has, as for years of days, it goes on in the next one.
    """

    days: int = 14
    every_seconds: int = 600

    def __post_init__(self) -> None:
        if self.days < 1 or self.every_seconds < 1:
            raise ConfigurationError("late recordings: days and every_seconds must be 1 or more")


LATEST_DAYS = LateRecordings()


@dataclass(slots=True)
class _Memory:
    """What the cursor keeps: what days looked like, and up to which day the last look came."""

    looks: dict[str, str] = field(default_factory=dict[str, str])
    next_day: str | None = None

    @classmethod
    def read(cls, cursor: str | None) -> _Memory:
        kept: Any = json.loads(cursor or "{}")
        # A cursor of an earlier version is the looks alone.
        return cls(**kept) if "looks" in kept else cls(kept)

    def written(self) -> str:
        return json.dumps({"looks": self.looks, "next_day": self.next_day})

    def in_turn(self, days: Sequence[str]) -> list[str]:
        """The latest day first, unless the last look was not done: then from where it stopped."""
        latest_first = sorted(days, reverse=True)
        left = [day for day in latest_first if self.next_day and day <= self.next_day]
        return left + latest_first[: len(latest_first) - len(left)]


def late_recordings_sensor(
    name: str,
    job: dg.UnresolvedAssetJobDefinition,
    partitions: dg.DailyPartitionsDefinition,
    recordings: dg.AssetKey,
    listings: Listings,
    late: LateRecordings,
    clock: Callable[[], float] = time.monotonic,
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
        memory = _Memory.read(context.cursor)
        turn = memory.in_turn(days)
        try:
            seen = _look(listings(map(date.fromisoformat, turn)), clock)
        except LLMAssetsError as error:
            return dg.SkipReason(f"The recordings cannot be listed: {error}")
        now = seen.looks
        changed = [day for day in days if day in now and memory.looks.get(day) != now[day]]
        busy = days_under_way(context.instance, [recordings]) if changed else set[str]()
        late_days = [
            day
            for day in changed
            if day not in busy and _made_of(context.instance, recordings, day) != now[day]
        ]
        requests = [run_of_days(f"{day}:{now[day]}", day, day, MISSED_NEXT) for day in late_days]
        # A day under way is looked at again: its run may have listed the recordings before the change.
        looks = {day: look for day, look in (memory.looks | now).items() if day in days and day not in busy}
        memory = _Memory(looks, next((day for day in turn if day not in seen.tried), None))
        reason = None if requests else _nothing(len(now), len(days)) + seen.too_slow
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=memory.written())

    return sensor


@dataclass(slots=True)
class _Seen:
    """How days look by now, for which days that was tried, and a word on the one that took too long."""

    looks: dict[str, str] = field(default_factory=dict[str, str])
    tried: set[str] = field(default_factory=set[str])
    too_slow: str = ""


def _look(listings: Iterator[Listing], clock: Callable[[], float]) -> _Seen:
    """List as many days as there is time for, at least one listing."""
    from llm_assets.recordings.background import in_background

    started, seen = clock(), _Seen()
    for group, look in listings:
        passed = clock() - started
        if seen.tried and passed > BEGIN_WITHIN_SECONDS:
            break
        seen.tried |= {day.isoformat() for day in group}
        # In a thread that nobody waits for: a place that is silent must not take the whole look with it.
        found: Future[Mapping[date, str]] = in_background(look)
        try:
            looks = found.result(max(END_WITHIN_SECONDS - passed, 0.0))
        except TimeoutError:
            seen.too_slow = f" Listing {group[0]} took longer than a look has."
            break
        seen.looks |= {day.isoformat(): each for day, each in looks.items()}
    return seen


def _nothing(looked: int, days: int) -> str:
    more = f"; the other {days - looked} are looked at next" if looked < days else ""
    return f"Nothing came late in {looked} days{more}."


def _made_of(instance: dg.DagsterInstance, recordings: dg.AssetKey, day: str) -> str | None:
    """What the recordings of a day looked like when it was last materialized."""
    wanted = dg.AssetRecordsFilter(recordings, asset_partitions=[day])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        noted = record.asset_materialization and record.asset_materialization.metadata.get(DAY_FINGERPRINT)
        return str(noted.value) if noted else None
    return None
