"""Who speaks, told by the pitch of the voice alone: enough for voices that are well apart, no more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_assets.emulator.speech.audio import SAMPLE_RATE, Samples

_FRAME, _STEP = SAMPLE_RATE // 25, SAMPLE_RATE // 50
_SHORTEST_PERIOD, _LONGEST_PERIOD = SAMPLE_RATE // 350, SAMPLE_RATE // 60
_VOICED = 0.5
_SAME_VOICE = 1.25  # the ratio of two pitches up to which they are taken for one voice


def pitch_hz(samples: Samples) -> float:
    """The median pitch of the voiced parts, 0 where nothing is voiced."""
    starts = range(0, len(samples) - _FRAME, _STEP)
    if not starts:
        return 0.0
    frames = np.stack([samples[start : start + _FRAME] for start in starts]).astype(np.float64)
    alike = _autocorrelation(frames - frames.mean(axis=1, keepdims=True))
    energy = np.maximum(alike[:, 0], 1.0)
    periods = alike[:, _SHORTEST_PERIOD:_LONGEST_PERIOD] / energy[:, None]
    voiced = periods.max(axis=1) > _VOICED
    if not voiced.any():
        return 0.0
    best = periods[voiced].argmax(axis=1) + _SHORTEST_PERIOD
    return float(SAMPLE_RATE / np.median(best))


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(frames, 2 * _FRAME, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :_FRAME]


def speaker_labels(pitches: Sequence[float]) -> list[str]:
    """A, B, … as the voices are first heard. What has no pitch goes with the one before."""
    voices: list[float] = []
    labels: list[str] = []
    for pitch in pitches:
        labels.append(_label(pitch, voices) if pitch else (labels[-1] if labels else "A"))
    return labels


def _label(pitch: float, voices: list[float]) -> str:
    """Adds a voice that was not heard before to `voices`."""
    near = [index for index, known in enumerate(voices) if _apart(pitch, known) <= math.log(_SAME_VOICE)]
    if not near:
        voices.append(pitch)
        near = [len(voices) - 1]
    best = min(near, key=lambda index: _apart(pitch, voices[index]))
    return chr(ord("A") + min(best, 25))


def _apart(one: float, other: float) -> float:
    return abs(math.log(one / other))
