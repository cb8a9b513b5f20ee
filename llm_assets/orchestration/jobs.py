"""The job that materializes a day of the assets: for the schedule, the demo and the launchpad."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

JOB_NAME = "audio_insights_daily"


def daily_job(name: str, assets: Sequence[dg.AssetsDefinition]):
    """A job over these assets and their checks, a partition at a time."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets),
        description="A day's recordings to transcripts to insights.",
        # The assets of a run follow each other, so a process for each would only cost its start.
        executor_def=dg.in_process_executor,
    )
