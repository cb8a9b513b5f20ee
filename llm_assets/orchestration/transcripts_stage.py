"""What the asset `transcripts` does: prepare each recording's audio and have it transcribed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import dagster as dg

from llm_assets.errors import RecordingForbidden, RecordingUnreadable
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import Outcome
from llm_assets.orchestration.calls import Call, ask_all
from llm_assets.orchestration.gathered import Gathered
from llm_assets.orchestration.partitions import partition_dates
from llm_assets.orchestration.rows import Content, Items, recordings_of, transcript_row
from llm_assets.orchestration.stage_result import StageResult
from llm_assets.recordings.background import in_background
from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.outage import silent
from llm_assets.recordings.sidecars import Sidecars, find_sidecars
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.workers import Preparers
from llm_assets.records import AudioChunk, Recording, RowStatus, Transcript
from llm_assets.transcription.options import TranscriptionOptions
from llm_assets.transcription.room import AudioRoom
from llm_assets.transcription.transcribe import transcribe
from llm_assets.warehouse.plain import Rows
from llm_assets.warehouse.tables import TRANSCRIPTS

if TYPE_CHECKING:
    from llm_assets.orchestration.resource import OpenAIResource

# Beside those whose calls are on their way: recordings that are read and cut meanwhile.
PREPARED_AHEAD = 8
# A text without times stands as a whole where its chunk begins, so channels that are heard apart are cut
# into pieces no longer than a few turns of a conversation.
TURNS_SECONDS = 30.0
_LOOKED_FOR_AT_A_TIME = 16
_NAMED_FIELDS = 20


class TranscriptionStage:
    """How recordings become transcripts. An async context manager around the processes that prepare them."""

    def __init__(self, sidecars: Sidecars, config: ClientConfig) -> None:
        self._sidecars = sidecars
        self._config = config
        # No later step of a run needs them, and the rows that are written next need the memory.
        self._preparers = Preparers(takes_kept=True)
        self._room = AudioRoom()
        self._looking = asyncio.Semaphore(_LOOKED_FOR_AT_A_TIME)

    async def __aenter__(self) -> Self:
        await self._preparers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._preparers.__aexit__(kind, error, trace)

    async def ask(self, recording: Recording, call: Call) -> tuple[Transcript, tuple[Outcome, ...]]:
        """A recording's transcript, and its calls."""
        source = self._sidecars.source
        if recording.status is RowStatus.OK:
            try:
                async with self._looking:
                    source = await asyncio.wrap_future(in_background(self._sidecars.source_for, recording))
            except RecordingForbidden as error:
                raise silent(source, str(error)) from error
            except RecordingUnreadable as error:
                recording = replace(recording, status=RowStatus.UNREADABLE, error=str(error))
        return await transcribe(
            recording,
            self._chunks(source, recording),
            call,
            options_of(source),
            halve=self._preparers.halved,
            room=self._room,
        )

    async def _chunks(self, source: RecordingSource, recording: Recording) -> AsyncGenerator[AudioChunk]:
        limits = chunk_limits(self._config, source, recording)
        async with aclosing(self._preparers.chunks(source, recording, limits)) as chunks:
            try:
                async for chunk in chunks:
                    yield chunk
            except RecordingForbidden as error:  # it was read before, so that is the place's doing
                raise silent(source, str(error)) from error


def make_transcripts(
    context: dg.AssetExecutionContext, openai: OpenAIResource, recordings: Rows, source: RecordingSource
) -> StageResult:
    """Transcribe the recordings of the run's days."""
    items = recordings_of(recordings)
    sidecars = find_sidecars(source, partition_dates(context.partition_keys))
    for told in _hints_given_up(sidecars, items):
        context.log.warning(told)
    stage = TranscriptionStage(sidecars, openai.client_config())
    gathered = Gathered(TRANSCRIPTS, len(items), partial(transcript_row, run_id=context.run.run_id))
    asked = ask_all(
        context,
        openai,
        items,
        stage.ask,
        gathered,
        concurrency=openai.max_concurrency + PREPARED_AHEAD,
        beside=stage,
    )
    if sidecars.unknown_fields:
        context.log.info(f"Beside recordings stand fields that are no hints: {_listed(sidecars)}.")
    gathered.raise_if_mendable("transcripts")
    return StageResult(table=TRANSCRIPTS, rows=gathered.rows(), asked=asked)


def _hints_given_up(sidecars: Sidecars, recordings: Items[Recording]) -> Iterator[str]:
    """The same content twice in a day is one transcript, so it can be heard in one way only."""
    counts = Counter(recordings.contents())
    same: dict[Content, list[Recording]] = {}
    for position, content in enumerate(recordings.contents()):
        if counts[content] > 1 and (each := recordings[position]).status is RowStatus.OK:
            same.setdefault(content, []).append(each)
    for copies in same.values():
        if len(copies) > 1 and len({_heard(sidecars, each) for each in copies}) > 1:
            names = ", ".join(each.path for each in copies)
            yield (
                f"The recordings {names} have the same content and different hints. They are heard once, "
                f"with the hints of {copies[0].path}."
            )


def _heard(sidecars: Sidecars, recording: Recording) -> str:
    """How it would be heard, or why it cannot be."""
    try:
        return sidecars.source_for(recording).hearing
    except RecordingForbidden as error:
        raise silent(sidecars.source, str(error)) from error
    except RecordingUnreadable as error:
        return str(error)


def _listed(sidecars: Sidecars) -> str:
    return ", ".join(sorted(sidecars.unknown_fields)[:_NAMED_FIELDS])


def options_of(source: RecordingSource) -> TranscriptionOptions:
    """How a source's recordings are heard."""
    return TranscriptionOptions(
        language=source.hints.language,
        prompt=source.hints.prompt,
        keywords=source.hints.keywords,
        speakers=source.speakers,
        continue_prompt=source.continue_prompt,
    )


def chunk_limits(config: ClientConfig, source: RecordingSource, recording: Recording) -> ChunkLimits:
    """Chunks that every transcription model of the chain takes, so that a fallback needs no other ones."""
    longest = [model.max_audio_seconds for model in config.transcription if model.max_audio_seconds]
    untimed = any(model.transcription_format == "json" for model in config.transcription)
    apart = source.channels == "split" and (recording.channels or 1) > 1
    target_seconds = min(source.target_seconds, TURNS_SECONDS) if apart and untimed else source.target_seconds
    return ChunkLimits(
        max_seconds=min([ChunkLimits().max_seconds, *longest]),
        target_seconds=target_seconds,
        encoding=source.encoding,
    )
