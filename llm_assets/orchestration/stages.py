"""What the assets do: read the rows of the partitions, call one stage, return rows and report numbers.

Imported when a run needs it: everything heavy (pandas, DuckDB, PyAV) comes in here, so that the
project loads in the time Dagster itself needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import Outcome
from llm_assets.llm.stream import stream
from llm_assets.orchestration.calls import AllFinished, Call, ask_all, raise_if_mendable
from llm_assets.orchestration.checks import check_row_per_recording, check_usable_rows
from llm_assets.orchestration.event_loop import run_coroutine
from llm_assets.orchestration.metadata import call_metadata, row_metadata, run_metadata
from llm_assets.orchestration.partitions import partition_dates, partition_key
from llm_assets.orchestration.progress import ProgressReporter
from llm_assets.orchestration.rows import (
    as_date,
    frame_of,
    insight_row,
    recording_row,
    recordings_of,
    transcript_row,
    transcripts_of,
)
from llm_assets.recordings.find import FoundRecording, find_recordings
from llm_assets.recordings.prepare import ChunkLimits, prepare_chunks
from llm_assets.recordings.read import load_audio, read_recording
from llm_assets.records import AudioChunk, Insight, Recording, Transcript
from llm_assets.transcription.transcribe import TranscriptionOptions, transcribe
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Table

if TYPE_CHECKING:
    from pandas import DataFrame

    from llm_assets.orchestration.resource import OpenAIResource

# A recording in flight holds its audio in memory; a transcript is only text.
RECORDINGS_IN_FLIGHT = 32
READERS = 4

Outcomes = tuple[Outcome, ...]


def read_recordings(
    context: dg.AssetExecutionContext, root: str, minimum_seconds: float
) -> dg.MaterializeResult[DataFrame]:
    """Find and probe the recordings of the run's days. Calls no model."""
    days = partition_dates(context.partition_keys)
    found = [(day, each) for day in days for each in find_recordings(root, day)]
    if not found:
        context.log.info(f"There are no recordings for {_span(days)} in {root}: the partition is empty.")
    recordings = run_coroutine(_read_all(context, root, found, minimum_seconds)) if found else []
    frame = frame_of(RECORDINGS, [recording_row(recording) for recording in recordings])
    for day in days:
        _report(context, day, frame, {"recordings_root": dg.MetadataValue.path(root)})
    return dg.MaterializeResult(value=frame, check_results=[check_usable_rows(frame)])


async def _read_all(
    context: dg.AssetExecutionContext,
    root: str,
    found: Sequence[tuple[date, FoundRecording]],
    minimum_seconds: float,
) -> list[Recording]:
    reporter = ProgressReporter("recordings", len(found), context.log.info)

    async def read(numbered: tuple[int, tuple[date, FoundRecording]]) -> tuple[int, Recording]:
        number, (day, each) = numbered
        return number, await asyncio.to_thread(read_recording, root, each, day, minimum_seconds)

    recordings: dict[int, Recording] = {}
    async for number, recording in stream(read, enumerate(found), concurrency=READERS):
        recordings[number] = recording
        reporter.advance()
    return [recordings[number] for number in range(len(found))]


@dataclass(frozen=True, slots=True)
class TranscriptionStage:
    """How recordings become transcripts."""

    root: str
    options: TranscriptionOptions
    limits: ChunkLimits

    async def ask(self, recording: Recording, call: Call) -> tuple[Transcript, Outcomes]:
        return await transcribe(recording, self._chunks(recording), call, self.options)

    async def _chunks(self, recording: Recording) -> AsyncIterator[AudioChunk]:
        """Chunks as they are cut, in a thread: decoding would hold up every call in flight."""
        audio = await asyncio.to_thread(load_audio, self.root, recording)
        chunks = prepare_chunks(audio, recording, self.limits)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk


def make_transcripts(
    context: dg.AssetExecutionContext, openai: OpenAIResource, recordings: DataFrame, root: str
) -> dg.MaterializeResult[DataFrame]:
    """Transcribe the recordings of the run's days."""
    items = [(recording.partition_date, recording) for recording in recordings_of(recordings)]
    stage = TranscriptionStage(root, TranscriptionOptions(), chunk_limits(openai.client_config()))
    in_flight = min(RECORDINGS_IN_FLIGHT, openai.max_concurrency)
    finished = ask_all(context, openai, items, stage.ask, concurrency=in_flight)
    raise_if_mendable("transcripts", finished.items, lambda transcript: transcript.status)
    to_row = partial(transcript_row, run_id=context.run.run_id)
    rows = [to_row(each.day, each.result, each.outcomes) for each in finished.items]
    return _result(context, frame_of(TRANSCRIPTS, rows), recordings, finished)


def chunk_limits(config: ClientConfig) -> ChunkLimits:
    """Chunks that every transcription model of the chain takes, so that a fallback needs no other ones."""
    longest = [model.max_audio_seconds for model in config.transcription if model.max_audio_seconds]
    usual = ChunkLimits()
    return ChunkLimits(max_seconds=min([usual.max_seconds, *longest]))


def make_insights(
    context: dg.AssetExecutionContext,
    openai: OpenAIResource,
    transcripts: DataFrame,
    extractor: Extractor,
    table: Table,
) -> dg.MaterializeResult[DataFrame]:
    """Extract the output model's fields from the transcripts of the run's days."""
    items = transcripts_of(transcripts)

    async def ask(transcript: Transcript, call: Call) -> tuple[Insight, Outcomes]:
        return await extract(transcript, extractor, call)

    finished = ask_all(context, openai, items, ask, concurrency=openai.max_concurrency)
    raise_if_mendable("insights", finished.items, lambda insight: insight.status)
    to_row = partial(insight_row, run_id=context.run.run_id)
    rows = [to_row(each.day, each.result, each.outcomes) for each in finished.items]
    return _result(context, frame_of(table, rows), transcripts, finished)


def _result(
    context: dg.AssetExecutionContext,
    frame: DataFrame,
    upstream: DataFrame,
    finished: AllFinished[Any],
) -> dg.MaterializeResult[DataFrame]:
    of_the_run = run_metadata(finished.metrics) if finished.metrics else {}
    for day in partition_dates(context.partition_keys):
        calls = [outcome for each in finished.items if each.day == day for outcome in each.outcomes]
        _report(context, day, frame, call_metadata(calls) | of_the_run)
    checks = [check_usable_rows(frame), check_row_per_recording(frame, upstream)]
    return dg.MaterializeResult(value=frame, check_results=checks)


def _report(context: dg.AssetExecutionContext, day: date, frame: DataFrame, more: dict[str, Any]) -> None:
    """Metadata for one day. Without the partition's key Dagster would copy it to every day of the run."""
    rows = frame.iloc[[at for at, value in enumerate(frame["partition_date"]) if as_date(value) == day]]
    context.add_asset_metadata(row_metadata(rows) | more, partition_key=partition_key(day))


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
