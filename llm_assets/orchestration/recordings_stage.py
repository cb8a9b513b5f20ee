"""What the asset `recordings` does: find the days' recordings, read and probe them. Calls no model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any

import dagster as dg

from llm_assets.errors import RecordingForbidden, RecordingUnsettled
from llm_assets.llm.stream import stream
from llm_assets.orchestration.days import DAY_FINGERPRINT
from llm_assets.orchestration.event_loop import run_coroutine
from llm_assets.orchestration.partitions import partition_dates
from llm_assets.orchestration.progress import ProgressReporter
from llm_assets.orchestration.row_builder import RowBuilder
from llm_assets.orchestration.rows import recording_row
from llm_assets.orchestration.stage_result import StageResult
from llm_assets.recordings.changes import fingerprint_of
from llm_assets.recordings.find import FoundDay, list_days
from llm_assets.recordings.outage import forbidden
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.row import listed_row, unreadable
from llm_assets.recordings.settle import seconds_to_settle
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.workers import Preparers
from llm_assets.warehouse.tables import RECORDINGS

# Most of them wait for a place to answer; decoding is bounded by the worker processes.
READERS = 16
# For a recording that will count as finished so soon, a run waits rather than leave it to the next.
PATIENCE_SECONDS = 15.0
NAMES_SHOWN = 10


Numbered = Sequence[tuple[date, FoundRecording]]


@dataclass(slots=True)
class _Read:
    """What became of found recordings, by their numbers: rows, and why some are left for a later run."""

    rows: RowBuilder
    left: dict[int, str] = field(default_factory=dict[int, str])
    forbidden: int = 0
    why_forbidden: str = ""


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
    read = _Read(RowBuilder(RECORDINGS, len(found)))
    if found:
        run_coroutine(_read_all(context, source, found, read))
    if found and read.forbidden == len(found):
        raise forbidden(source, read.forbidden, read.why_forbidden)
    place = {"recordings_root": dg.MetadataValue.path(source.place)}
    by_day = {day: place | _about(context, listed[day], _of_day(day, found, read.left)) for day in days}
    return StageResult(table=RECORDINGS, rows=read.rows.rows(), by_day=by_day)


def _of_day(day: date, found: Numbered, left: Mapping[int, str]) -> list[tuple[FoundRecording, str | None]]:
    """What was found on a day, each with the reason why it is left, None when it is a row."""
    return [(each, left.get(number)) for number, (its_day, each) in enumerate(found) if its_day == day]


def _about(
    context: dg.AssetExecutionContext, day: FoundDay, read: Sequence[tuple[FoundRecording, str | None]]
) -> dict[str, Any]:
    """What the sensor for late recordings compares with, and what was left for a later run."""
    rows = (found for found, why_left in read if why_left is None)
    left = [f"`{found.path}`: {why_left}" for found, why_left in read if why_left is not None]
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
    context: dg.AssetExecutionContext, source: RecordingSource, found: Numbered, read: _Read
) -> None:
    """Those that have to settle are read last."""
    reporter = ProgressReporter("recordings", len(found), context.log.info)
    preparers = Preparers(takes_kept=True, keeps_workers=True)

    async def read_one(number: int) -> None:
        day, each = found[number]
        wait_seconds = seconds_to_settle(source, each)
        if 0 < wait_seconds <= PATIENCE_SECONDS:
            await asyncio.sleep(wait_seconds)
        try:
            row = await preparers.read(source, each, day)
        except RecordingUnsettled as unsettled:
            read.left[number] = str(unsettled)
            return
        except RecordingForbidden as error:
            row = unreadable(listed_row(each, day), str(error))
            read.forbidden += 1
            read.why_forbidden = read.why_forbidden or str(error)
        read.rows.put(number, recording_row(row))

    numbers = sorted(range(len(found)), key=lambda number: seconds_to_settle(source, found[number][1]))
    async with preparers, aclosing(stream(read_one, numbers, concurrency=READERS)) as results:
        async for _ in results:
            reporter.advance()


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
