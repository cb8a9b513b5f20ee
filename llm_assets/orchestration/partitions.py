"""Days as partitions: the one place that turns Dagster's partition keys into dates and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from llm_assets.orchestration.settings import Settings


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition for each whole day from the first one on, in the configured time zone.

    Today's partition appears when the day is over there.
    """
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone
    )


def partition_dates(keys: Iterable[str]) -> tuple[date, ...]:
    """The days of partition keys (`2026-03-02`)."""
    return tuple(date.fromisoformat(key) for key in keys)


def partition_key(day: date) -> str:
    """The partition key of a day."""
    return day.isoformat()
