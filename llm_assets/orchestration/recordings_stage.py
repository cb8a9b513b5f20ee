"""What the asset `recordings` does: find the days' recordings, read and probe them. Calls no model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import dagster as dg

from llm_assets.errors import RecordingForbidden, RecordingUnsettled
from llm_assets.llm.stream import stream
from llm_assets.orchestration.event_loop import run_coroutine
from llm_assets.orchestration.metadata import DAY_FINGERPRINT
from llm_assets.orchestration.partitions import partition_dates
from llm_assets.orchestration.progress import ProgressReporter
from llm_assets.orchestration.rows import frame_of, recording_row
from llm_assets.orchestration.stage_result import StageResult
from llm_assets.recordings.changes import fingerprint_of
from llm_assets.recordings.find import FoundDay, list_days
from llm_assets.recordings.outage import forbidden
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.row import listed_row, unreadable
from llm_assets.recordings.settle import seconds_to_settle
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.workers import Preparers
from llm_assets.records import Recording
from llm_assets.warehouse.tables import RECORDINGS

# Most of them wait for a place to answer; decoding is bounded by the worker processes.
READERS = 16
# For a recording that will count as finished so soon, a run waits rather than leave it to the next.
PATIENCE_SECONDS = 15.0
NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of a found recording: its row, or the reason why it is left for a later run."""

    day: date
    found: FoundRecording
    row: Recording | None
    reason: str = ""
    is_forbidden: bool = False


def read_recordings(context: dg.AssetExecutionContext, source: RecordingSource) -> StageResult:
    """Find and probe the recordings of the run's days. Calls no model.

    One that is still being written is no row: it is left for a later run, and said so.
    """
    days = partition_dates(context.partition_keys)
    listed = list_days(source, days)
    found = [(day, each) for day in days for each in listed[day].recordings]
    if not found:
        context.log.info(
            f"There are no recordings for {_span(days)} in {source.place}: the partition is empty."
        )
    read = run_coroutine(_read_all(context, source, found)) if found else []
    if read and all(each.is_forbidden for each in read):
        raise forbidden(source, len(read), read[0].reason)
    frame = frame_of(RECORDINGS, [recording_row(each.row) for each in read if each.row is not None])
    place = {"recordings_root": dg.MetadataValue.path(source.place)}
    by_day = {
        day: place | _about(context, listed[day], [each for each in read if each.day == day]) for day in days
    }
    return StageResult(frame=frame, by_day=by_day)


def _about(context: dg.AssetExecutionContext, day: FoundDay, read: Sequence[_Read]) -> dict[str, Any]:
    """What the sensor for late recordings compares with, and what was left for a later run."""
    rows = (each.found for each in read if each.row is not None)
    left = [f"`{each.found.path}`: {each.reason}" for each in read if each.row is None]
    about: dict[str, Any] = {
        DAY_FINGERPRINT: fingerprint_of(chain(rows, day.sidecars)),
        "left_for_a_later_run": len(left),
    }
    if left:
        more = [f"{len(left) - NAMES_SHOWN} more"] if len(left) > NAMES_SHOWN else []
        shown = left[:NAMES_SHOWN] + more
        context.log.warning(
            f"Left for a later run, as they are still being written ({len(left)}): {'; '.join(shown)}"
        )
        about["left_recordings"] = dg.MetadataValue.md("\n".join(f"- {each}" for each in shown))
    return about


async def _read_all(
    context: dg.AssetExecutionContext,
    source: RecordingSource,
    found: Sequence[tuple[date, FoundRecording]],
) -> list[_Read]:
    """In the order in which they were found; those that have to settle are read last."""
    reporter = ProgressReporter("recordings", len(found), context.log.info)
    preparers = Preparers(keeps_workers=True)

    async def read(number: int) -> tuple[int, _Read]:
        day, each = found[number]
        wait_seconds = seconds_to_settle(source, each)
        if 0 < wait_seconds <= PATIENCE_SECONDS:
            await asyncio.sleep(wait_seconds)
        try:
            return number, _Read(day, each, await preparers.read(source, each, day))
        except RecordingUnsettled as unsettled:
            return number, _Read(day, each, None, str(unsettled))
        except RecordingForbidden as error:
            row = unreadable(listed_row(each, day), str(error))
            return number, _Read(day, each, row, str(error), is_forbidden=True)

    numbers = sorted(range(len(found)), key=lambda number: seconds_to_settle(source, found[number][1]))
    done: dict[int, _Read] = {}
    async with preparers, aclosing(stream(read, numbers, concurrency=READERS)) as results:
        async for number, result in results:
            done[number] = result
            reporter.advance()
    return [done[number] for number in range(len(found))]


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
