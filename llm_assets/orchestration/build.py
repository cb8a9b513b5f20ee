"""The pipeline as definitions for any Dagster project: assets with their checks, a job and a schedule.

The project in this repository and the component `AudioInsights` are plain users of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import dagster as dg

from llm_assets.errors import ConfigurationError
from llm_assets.insights.prompts import Extractor, call_insights_extractor
from llm_assets.orchestration.assets import insights_asset, recordings_asset, transcripts_asset
from llm_assets.orchestration.checks import USUAL_LIMITS, CheckLimits
from llm_assets.orchestration.jobs import JOB_NAME, daily_job
from llm_assets.orchestration.outages import AFTER_AN_OUTAGE
from llm_assets.orchestration.schedule import EVERY_MORNING, DailyRhythm, daily_schedule
from llm_assets.orchestration.sensor import LATEST_DAYS, LateRecordings, Listing, late_recordings_sensor
from llm_assets.orchestration.stage_asset import (
    DAYS_PER_BACKFILL_RUN,
    Surroundings,
    Translation,
    as_it_is,
)
from llm_assets.recordings.source import RecordingSource


def build_audio_insights(
    recordings: str | Path | RecordingSource,
    partitions: dg.DailyPartitionsDefinition,
    *,
    extractors: Sequence[Extractor] | None = None,
    prefix: str | None = None,
    group_name: str | None = None,
    days_per_backfill_run: int = DAYS_PER_BACKFILL_RUN,
    openai_key: str = "openai",
    io_manager_key: str | None = None,
    schedule: DailyRhythm = EVERY_MORNING,
    late_recordings: LateRecordings = LATEST_DAYS,
    checks: CheckLimits = USUAL_LIMITS,
    fresh_within_hours: float | None = None,
    owners: Sequence[str] = (),
    retry_policy: dg.RetryPolicy | None = AFTER_AN_OUTAGE,
    translation: Translation | None = None,
) -> dg.Definitions:
    """Assets `recordings`, `transcripts` and one per extractor; checks, a job, a schedule and a sensor.

    They need two resources, which are the project's to give (`dg.Definitions.merge`): an OpenAIResource
    under `openai_key`, and an IO manager that keeps data frames under `io_manager_key`. Several instances
    live side by side by their `prefix`, each with an IO manager of its own (`<prefix>_io_manager`), since
    tables are called by the last part of a key. `recordings` is their folder or URL, or a RecordingSource
    that says more about them. `extractors` are all that is extracted, None for `call_insights_extractor()`
    alone. `retry_policy` has an asset tried again after what passes by itself, an outage
    (twice by default, None for never); a spent budget or a refused key fails at once. `translation` changes
    how each asset is described.
    Raises ConfigurationError.
    """
    surroundings = Surroundings(
        partitions=partitions,
        prefix=prefix,
        group_name=group_name,
        days_per_backfill_run=days_per_backfill_run,
        openai_key=openai_key,
        io_manager_key=io_manager_key or (f"{prefix}_io_manager" if prefix else "io_manager"),
        check_limits=checks,
        fresh_within_hours=fresh_within_hours,
        owners=owners,
        retry_policy=retry_policy,
        translation=translation or as_it_is,
    )
    source = RecordingSource.of(recordings).in_timezone(partitions.timezone)
    wanted = [call_insights_extractor()] if extractors is None else list(extractors)
    _require_different_names(wanted)
    found = recordings_asset(source, surroundings)
    said = transcripts_asset(source, found.key, surroundings)
    assets = [found, said, *(insights_asset(each, said.key, surroundings) for each in wanted)]
    keys = [asset.key for asset in assets]
    job = daily_job(surroundings.name(JOB_NAME), assets)
    daily = daily_schedule(job, partitions, keys, schedule, days_per_backfill_run)
    late = late_recordings_sensor(
        surroundings.name("late_recordings"),
        job,
        partitions,
        found.key,
        partial(_listings, source),
        late_recordings,
    )
    return dg.Definitions(assets=assets, jobs=[job], schedules=[daily], sensors=[late])


def _listings(source: RecordingSource, days: Iterable[date]) -> Iterator[Listing]:
    """Listing is imported when the sensor looks: definitions load without any file system's library."""
    from llm_assets.recordings.changes import day_fingerprints, listed_together

    for group in listed_together(source, days):
        yield group, partial(day_fingerprints, source, group)


def _require_different_names(extractors: Sequence[Extractor]) -> None:
    names = [extractor.name for extractor in extractors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"two extractors are called {twice[0]!r}: give each a name of its own")
