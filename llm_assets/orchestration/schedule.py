"""The daily schedule: yesterday's partition, early in the morning of the partitions' own time zone.

Off until a person turns it on: a project that has just been installed spends nothing by itself.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

# Recordings of the late evening need some time to arrive.
HOUR_OF_DAY = 3

# Ahead of backfills, in Dagster's run queue and at the model's shared limits.
_RUN_TAGS = {"dagster/priority": "10"}


def daily_schedule(job: Any):
    """Materialize the day that has just ended, once a day. Stopped by default."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name=f"{job.name}_schedule",
        description="The day before, every morning.",
        hour_of_day=HOUR_OF_DAY,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        tags=_RUN_TAGS,
    )
