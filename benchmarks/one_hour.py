"""A recording of one hour, every call taking two seconds: how much longer than preparing it and one call.

Chunks are on the wire while the next ones are prepared, so what cannot be avoided is preparing all of it
and then the last call. Every turn prepares alone, asks once alone, and then does the whole, so that a slow
minute of the machine meets all three.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.children import server, work_folder
from benchmarks.made_recordings import write_talk
from benchmarks.pipeline import DAY
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import TranscriptionRequest
from llm_assets.orchestration.transcripts_stage import TranscriptionStage, chunk_limits
from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.sidecars import Sidecars
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.workers import Preparers
from llm_assets.records import AudioChunk, Recording, RowStatus

_SECONDS, _QUICK_SECONDS = 3_600, 1_600
_TURNS, _QUICK_TURNS = 5, 1
_LATENCY_SECONDS = 2.0

Tell = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class _Hour:
    """The recording, and a client for each thing that is measured."""

    source: RecordingSource
    recording: Recording
    base_url: str
    folder: Path

    def config(self, name: str) -> ClientConfig:
        return ClientConfig(
            transcription=("gpt-transcribe",),  # pyright: ignore[reportArgumentType] - pydantic reads names
            base_url=self.base_url,
            state=str(self.folder / f"{name}.sqlite"),
        )

    async def prepared(self) -> tuple[float, AudioChunk]:
        """Seconds for all chunks, and the last of them."""
        started, last = time.monotonic(), None
        limits = chunk_limits(self.config("unused"), self.source, self.recording)
        async with Preparers() as preparers:
            async for chunk in preparers.chunks(self.source, self.recording, limits):
                last = chunk
        assert last is not None
        return time.monotonic() - started, last

    async def asked(self, name: str, chunk: AudioChunk) -> float:
        """Seconds for one call, with a client of its own."""
        request = TranscriptionRequest(
            audio=chunk.audio,
            file_name=chunk.file_name,
            sha256=hashlib.sha256(chunk.audio).hexdigest(),
            duration_seconds=chunk.audio_seconds,
        )
        started = time.monotonic()
        async with LLMClient(self.config(name)) as client:
            outcome = await client.call(request)
        assert outcome.answer is not None
        return time.monotonic() - started

    async def transcribed(self, name: str) -> tuple[float, int]:
        """Seconds for the whole, and how many chunks it was."""
        started = time.monotonic()
        config = self.config(name)
        async with LLMClient(config) as client, TranscriptionStage(Sidecars(self.source), config) as stage:
            transcript, _ = await stage.ask(self.recording, client.call)
        assert transcript.status is RowStatus.OK
        return time.monotonic() - started, transcript.chunk_count


async def measure(*, quick: bool, turns: int | None = None, tell: Tell) -> dict[str, Any]:
    """`ratio` is the median over all turns of the whole, divided by preparing and one call."""
    config = {
        "fixed_transcript": "word " * 700,
        "latency": {"kind": "constant", "mean_seconds": _LATENCY_SECONDS},
    }
    async with work_folder() as folder, server(config, folder) as emulator:
        hour = _written(folder, emulator.base_url, _QUICK_SECONDS if quick else _SECONDS)
        samples: list[dict[str, float]] = []
        for turn in range(turns or (_QUICK_TURNS if quick else _TURNS)):
            preparing, last = await hour.prepared()
            call = await hour.asked(f"call {turn}", last)
            whole, chunks = await hour.transcribed(f"whole {turn}")
            sample = {"preparing": preparing, "call": call, "whole": whole, "chunks": chunks}
            samples.append(sample | {"ratio": whole / (preparing + call)})
            tell(turn, samples[-1]["ratio"])
    ratios = [sample["ratio"] for sample in samples]
    return {
        "turns": len(samples),
        "ratio": round(median(ratios), 3),
        "least_ratio": round(min(ratios), 3),
        "greatest_ratio": round(max(ratios), 3),
        "chunks": int(samples[0]["chunks"]),
        **{
            f"{name}_seconds": round(median(sample[name] for sample in samples), 1)
            for name in ("preparing", "call", "whole")
        },
    }


def _written(folder: Path, base_url: str, seconds: int) -> _Hour:
    root = folder / "recordings"
    write_talk(root / DAY / "hour.mp3", seconds)
    source, day = RecordingSource(root=str(root)), date.fromisoformat(DAY)
    [found] = find_recordings(source, day)
    return _Hour(source, read_recording(source, found, day), base_url, folder)
