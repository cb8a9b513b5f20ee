"""What worker processes do with recordings. Decoders are imported where a job runs, not where it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import AudioChunk, Recording


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A recording's row: first what is known before anything is decoded, then all of it."""

    source: RecordingSource
    found: FoundRecording
    partition_date: date

    def run(self) -> Iterator[Recording]:
        from llm_assets.recordings.read import read_recording

        yield read_recording(self.source, self.found, self.partition_date)


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """A recording's chunks."""

    source: RecordingSource
    recording: Recording
    limits: ChunkLimits

    def run(self) -> Iterator[AudioChunk]:
        from llm_assets.recordings.prepare import prepare_chunks
        from llm_assets.recordings.read import load_audio

        listening = Listening(
            channels=self.source.channels, longest_silence_seconds=self.source.longest_silence_seconds
        )
        audio = load_audio(self.source, self.recording)
        yield from prepare_chunks(audio, self.recording, self.limits, listening)


@dataclass(frozen=True, slots=True)
class HalveJob:
    """A chunk's two halves."""

    chunk: AudioChunk

    def run(self) -> Iterator[AudioChunk]:
        from llm_assets.recordings.halve import halved

        yield from halved(self.chunk)
