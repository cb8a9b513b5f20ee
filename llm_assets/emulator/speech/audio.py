"""Audio in any container as 16 kHz mono samples, and where in it somebody speaks."""

from __future__ import annotations

import io
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from llm_assets.emulator.speech.spoken import UndecodableAudio

SAMPLE_RATE = 16_000
FRAME_SAMPLES = SAMPLE_RATE // 100
_MINUTE_SAMPLES = SAMPLE_RATE * 60

Samples = NDArray[np.int16]

# Tuned by word accuracy on spoken calls encoded as Opus with 24 kbit/s; see docs/emulator.md.
_SPEECH_SHARE_OF_LOUD, _LEAST_LOUDNESS = 0.03, 50.0
_PAUSE_FRAMES, _MARGIN_FRAMES = 25, 15
_LONGEST_FRAMES, _SHORTEST_FRAMES = 2_000, 1_000


def decode(audio: bytes) -> Samples:
    """All samples of the first audio track. Raises UndecodableAudio."""
    try:
        with av.open(io.BytesIO(audio)) as container:
            if not container.streams.audio:
                raise UndecodableAudio("there is no audio track")
            return _resampled(container)
    except (av.error.FFmpegError, ValueError, IndexError, MemoryError) as error:
        raise UndecodableAudio(str(error)) from error


def _resampled(container: Any) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts = [
        part.to_ndarray().reshape(-1)
        for frame in (*container.decode(audio=0), None)
        for part in resampler.resample(frame)
    ]
    return np.concatenate(parts).astype(np.int16) if parts else np.zeros(0, np.int16)


def speech_spans(samples: Samples) -> list[tuple[int, int]]:
    """First and last sample of every stretch between pauses of a quarter of a second, with a margin.

    Recognising stretch by stretch is more accurate than the whole at once. A stretch that goes on for
    more than 20 s is cut at its quietest moment after the tenth second.
    """
    loudness = _loudness(samples)
    if not len(loudness):
        return []
    threshold = max(_LEAST_LOUDNESS, float(np.percentile(loudness, 95)) * _SPEECH_SHARE_OF_LOUD)
    speaking = np.flatnonzero(loudness > threshold)
    if not len(speaking):
        return []
    stretches = np.split(speaking, np.flatnonzero(np.diff(speaking) > _PAUSE_FRAMES) + 1)
    spans: list[tuple[int, int]] = []
    for stretch in stretches:
        for first, last in _cut(int(stretch[0]), int(stretch[-1]), loudness):
            start, end = (first - _MARGIN_FRAMES) * FRAME_SAMPLES, (last + _MARGIN_FRAMES) * FRAME_SAMPLES
            spans.append((max(0, start), min(len(samples), end)))
    return spans


def _loudness(samples: Samples) -> NDArray[np.float32]:
    """Root mean square of every 10 ms, a minute at a time to keep memory flat."""
    whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
    minutes = [
        samples[start : min(start + _MINUTE_SAMPLES, whole)] for start in range(0, whole, _MINUTE_SAMPLES)
    ]
    frames = (minute.reshape(-1, FRAME_SAMPLES).astype(np.float32) for minute in minutes)
    return np.concatenate([np.zeros(0, np.float32), *(np.sqrt((part**2).mean(axis=1)) for part in frames)])


def _cut(first: int, last: int, loudness: NDArray[np.float32]) -> list[tuple[int, int]]:
    parts: list[tuple[int, int]] = []
    while last - first > _LONGEST_FRAMES:
        quietest = (
            first
            + _SHORTEST_FRAMES
            + int(np.argmin(loudness[first + _SHORTEST_FRAMES : first + _LONGEST_FRAMES]))
        )
        parts.append((first, quietest))
        first = quietest + 1
    return [*parts, (first, last)]
