"""What the asset `recordings` does: find the days' recordings, read and probe them. Calls no model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.llm.stream import stream
from llm_assets.orchestration.checks import check_usable_rows
from llm_assets.orchestration.event_loop import run_coroutine
from llm_assets.orchestration.fingerprint import fingerprint_of
from llm_assets.orchestration.metadata import DAY_FINGERPRINT
from llm_assets.orchestration.partitions import partition_dates
from llm_assets.orchestration.progress import ProgressReporter
from llm_assets.orchestration.rows import frame_of, recording_row
from llm_assets.orchestration.stage_result import report_day
from llm_assets.recordings.find import find_in_days
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording
from llm_assets.warehouse.tables import RECORDINGS

if TYPE_CHECKING:
    from pandas import DataFrame

READERS = 4


def read_recordings(
    context: dg.AssetExecutionContext, source: RecordingSource
) -> dg.MaterializeResult[DataFrame]:
    """Find and probe the recordings of the run's days. Calls no model."""
    days = partition_dates(context.partition_keys)
    by_day = find_in_days(source, days)
    found = [(day, each) for day in days for each in by_day[day]]
    if not found:
        context.log.info(
            f"There are no recordings for {_span(days)} in {source.place}: the partition is empty."
        )
    recordings = run_coroutine(_read_all(context, source, found)) if found else []
    frame = frame_of(RECORDINGS, [recording_row(recording) for recording in recordings])
    for day in days:
        # What the sensor for late recordings compares with; of the listing that the rows are of.
        listed = fingerprint_of(each for its_day, each in found if its_day == day)
        more = {"recordings_root": dg.MetadataValue.path(source.place), DAY_FINGERPRINT: listed}
        report_day(context, day, frame, more)
    return dg.MaterializeResult(value=frame, check_results=[check_usable_rows(frame)])


async def _read_all(
    context: dg.AssetExecutionContext,
    source: RecordingSource,
    found: Sequence[tuple[date, FoundRecording]],
) -> list[Recording]:
    reporter = ProgressReporter("recordings", len(found), context.log.info)

    async def read(numbered: tuple[int, tuple[date, FoundRecording]]) -> tuple[int, Recording]:
        number, (day, each) = numbered
        return number, await asyncio.to_thread(read_recording, source, each, day)

    recordings: dict[int, Recording] = {}
    async for number, recording in stream(read, enumerate(found), concurrency=READERS):
        recordings[number] = recording
        reporter.advance()
    return [recordings[number] for number in range(len(found))]


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
