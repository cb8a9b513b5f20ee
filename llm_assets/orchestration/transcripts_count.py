"""What is going to be asked about recordings, counted without reading any of their audio.

What a chunk sounds like is not known before it is made, so the journal is asked for what it holds of a
recording by name: a change of language, prompt or keywords since then is not seen here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from llm_assets.llm.kept import KeptAnswers
from llm_assets.llm.models import ClientConfig
from llm_assets.orchestration.transcripts_stage import chunk_limits
from llm_assets.planning.audio import PlannedAudio
from llm_assets.planning.plan import Plan, make_plan
from llm_assets.recordings.as_it_is import LEAST_LEFT_OUT_SECONDS
from llm_assets.recordings.prepare import taken_as
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording, RowStatus, Transcript


class _Chunks(NamedTuple):
    """How a recording is likely to be sent. Of one that was transcribed before, one answer stands for all."""

    calls: int
    least_seconds: float
    most_seconds: float
    names: Sequence[str]
    was_heard: bool


class TranscriptsCount:
    """Counts the rows of an asset of transcripts, whatever days they are of."""

    def __init__(self, source: RecordingSource, config: ClientConfig) -> None:
        self._source = source
        self._config = config
        self._planned = PlannedAudio(config.transcription[0]) if config.transcription else None
        self._rows = dict.fromkeys(("without_model", "answered", "repeated"), 0)
        self._seen: set[str] = set()

    async def add(
        self, recordings: Iterable[Recording], heard: Mapping[str, Transcript], kept: KeptAnswers
    ) -> None:
        """Count these; `heard` are the transcripts there are, by recording. Raises StateUnavailable."""
        to_hear = [self._chunks(each, heard) for each in recordings if self._is_to_hear(each, heard)]
        known = await kept.heard([name for chunks in to_hear for name in chunks.names])
        for chunks in to_hear:
            found = sum(name in known for name in chunks.names)
            self._add(chunks, chunks.calls if found and chunks.was_heard else found)

    def plan(self, asset: str) -> Plan | None:
        """What has been counted; None without a model."""
        if self._planned is None:
            return None
        model = self._planned.model
        limits = model.limits or self._config.limits.get(model.pool or model.model)
        return make_plan(asset, self._planned, limits, **self._rows)

    def _is_to_hear(self, recording: Recording, heard: Mapping[str, Transcript]) -> bool:
        transcript = heard.get(recording.recording_id)
        if recording.status is not RowStatus.OK or (transcript is not None and _needs_no_model(transcript)):
            self._rows["without_model"] += 1
            return False
        if recording.recording_id in self._seen:
            self._rows["repeated"] += 1
            return False
        self._seen.add(recording.recording_id)
        return True

    def _add(self, chunks: _Chunks, kept: int) -> None:
        if kept >= chunks.calls:
            self._rows["answered"] += 1
        elif self._planned is not None:
            left = chunks.calls - kept
            share = left / chunks.calls
            self._planned.add(chunks.least_seconds * share, chunks.most_seconds * share, left)

    def _chunks(self, recording: Recording, heard: Mapping[str, Transcript]) -> _Chunks:
        limits = chunk_limits(self._config, self._source, recording)
        seconds = recording.duration_seconds or 0.0
        channels = (recording.channels or 1) if self._source.channels == "split" else 1
        is_short = seconds <= LEAST_LEFT_OUT_SECONDS
        as_it_is = channels == 1 and taken_as(recording) is not None and limits.fits(recording)
        count = channels * math.ceil(seconds / min(limits.target_seconds, limits.max_seconds))
        count = 1 if as_it_is else max(count, 1)
        transcript = heard.get(recording.recording_id)
        was_heard = transcript is not None and transcript.status is RowStatus.OK
        return _Chunks(
            calls=count,
            # Of all others long silences are left out, and of channels those on which nobody speaks.
            least_seconds=seconds if as_it_is and is_short else 0.0,
            most_seconds=seconds * channels,
            names=[f"{recording.recording_id}:{number}" for number in range(1 if was_heard else count)],
            was_heard=was_heard,
        )


def _needs_no_model(transcript: Transcript) -> bool:
    """Whether it ended without a call, as that of a recording in which nothing is heard."""
    return transcript.chunk_count == 0 and transcript.status in (RowStatus.TOO_SHORT, RowStatus.UNREADABLE)
