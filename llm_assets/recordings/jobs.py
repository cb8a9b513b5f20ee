"""What worker processes do with recordings. Decoders are imported where a job runs, not where it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.records import AudioChunk, Recording


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A recording's row: first what is known before anything is decoded, then all of it."""

    file: Path
    row: Recording
    minimum_seconds: float

    def run(self) -> Iterator[Recording]:
        from llm_assets.recordings.local_file import rows_of

        yield from rows_of(self.file, self.row, self.minimum_seconds)


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """A recording's chunks."""

    file: Path
    recording: Recording
    limits: ChunkLimits
    listening: Listening

    def run(self) -> Iterator[AudioChunk]:
        from llm_assets.recordings.local_file import opened
        from llm_assets.recordings.prepare import prepare_chunks

        with opened(self.file, self.recording) as audio:
            yield from prepare_chunks(audio, self.recording, self.limits, self.listening)


@dataclass(frozen=True, slots=True)
class HalveJob:
    """A chunk's two halves."""

    chunk: AudioChunk

    def run(self) -> Iterator[AudioChunk]:
        from llm_assets.recordings.halve import halved

        yield from halved(self.chunk)
