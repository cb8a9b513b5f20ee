"""What the asset `transcripts` does: prepare each recording's audio and have it transcribed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import Outcome
from llm_assets.orchestration.calls import Call, ask_all, raise_if_mendable
from llm_assets.orchestration.rows import frame_of, recordings_of, transcript_row
from llm_assets.orchestration.stage_result import stage_result
from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.recordings.read import load_audio
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import AudioChunk, Recording, Transcript
from llm_assets.transcription.options import TranscriptionOptions
from llm_assets.transcription.transcribe import transcribe
from llm_assets.warehouse.tables import TRANSCRIPTS

if TYPE_CHECKING:
    from pandas import DataFrame

    from llm_assets.orchestration.resource import OpenAIResource

# A recording in flight holds its audio in memory; a transcript is only text.
RECORDINGS_IN_FLIGHT = 32


@dataclass(frozen=True, slots=True)
class TranscriptionStage:
    """How recordings become transcripts."""

    source: RecordingSource
    options: TranscriptionOptions
    limits: ChunkLimits

    async def ask(self, recording: Recording, call: Call) -> tuple[Transcript, tuple[Outcome, ...]]:
        return await transcribe(recording, self._chunks(recording), call, self.options)

    async def _chunks(self, recording: Recording) -> AsyncIterator[AudioChunk]:
        """Chunks as they are cut, in a thread: decoding would hold up every call in flight."""
        audio = await asyncio.to_thread(load_audio, self.source, recording)
        chunks = prepare_chunks(audio, recording, self.limits)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk


def make_transcripts(
    context: dg.AssetExecutionContext, openai: OpenAIResource, recordings: DataFrame, source: RecordingSource
) -> dg.MaterializeResult[DataFrame]:
    """Transcribe the recordings of the run's days."""
    items = [(recording.partition_date, recording) for recording in recordings_of(recordings)]
    stage = TranscriptionStage(source, TranscriptionOptions(), chunk_limits(openai.client_config()))
    in_flight = min(RECORDINGS_IN_FLIGHT, openai.max_concurrency)
    finished = ask_all(context, openai, items, stage.ask, concurrency=in_flight)
    raise_if_mendable("transcripts", finished.items, lambda transcript: transcript.status)
    to_row = partial(transcript_row, run_id=context.run.run_id)
    rows = [to_row(each.day, each.result, each.outcomes) for each in finished.items]
    return stage_result(context, frame_of(TRANSCRIPTS, rows), recordings, finished)


def chunk_limits(config: ClientConfig) -> ChunkLimits:
    """Chunks that every transcription model of the chain takes, so that a fallback needs no other ones."""
    longest = [model.max_audio_seconds for model in config.transcription if model.max_audio_seconds]
    usual = ChunkLimits()
    return ChunkLimits(max_seconds=min([usual.max_seconds, *longest]))
