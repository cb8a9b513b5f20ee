"""Cut a stream of samples where people pause. Pure: no file, no codec.

Cuts are aimed at even multiples of a length, so that no tiny rest is left at the end. Only the stretch in
which a cut is sought is held back; everything before it is passed on as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_assets.recordings.encode import Samples

_LEVELS_PER_SECOND = 100
_SMOOTHED_SECONDS = 0.1
_PAUSE_SECONDS = 0.25
_QUIET_WITHIN_DECIBELS = 6.0
_FLOOR_DECIBELS = -70.0
_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Some samples, and whether the chunk ends behind them."""

    samples: Samples
    ends_chunk: bool


def split_at_pauses(
    blocks: Iterable[Samples], sample_rate: int, every_seconds: float, window_seconds: float
) -> Iterator[Piece]:
    """The same samples in the same order, cut about every `every_seconds`.

    A cut lies within half of `window_seconds` before or after its aim, so a chunk is at most
    `every_seconds + window_seconds` long. The last piece always ends a chunk.
    """
    every, window = round(every_seconds * sample_rate), round(window_seconds * sample_rate)
    held: Samples = np.empty(0, dtype=np.int16)
    position = 0  # samples before `held`
    aim = every
    for block in blocks:
        held = np.concatenate((held, block))
        while position + held.size > aim + window // 2:
            earliest, latest = aim - window // 2 - position, aim + window // 2 - position
            cut = earliest + quietest(held[earliest:latest], sample_rate)
            yield Piece(held[:cut], True)
            held, position, aim = held[cut:], position + cut, aim + every
        free = min(max(aim - window // 2 - position, 0), held.size)
        if free:
            yield Piece(held[:free], False)
            held, position = held[free:], position + free
    yield Piece(held, True)


def quietest(samples: Samples, sample_rate: int) -> int:
    """The middle of the best stretch about as quiet as the quietest moment, as an index into `samples`.

    A longer stretch is better until it is a pause for certain; of several such, the one nearest the middle.
    """
    step = max(sample_rate // _LEVELS_PER_SECOND, 1)
    levels = _levels(samples, step)
    if levels.size == 0:
        return samples.size // 2
    starts, ends = _runs(levels <= levels.min() + _QUIET_WITHIN_DECIBELS)
    middles = (starts + ends) / 2
    away = np.abs(middles - levels.size / 2)
    best = np.lexsort((away, -np.minimum(ends - starts, _PAUSE_SECONDS * _LEVELS_PER_SECOND)))[0]
    return int(middles[best] * step)


def _levels(samples: Samples, step: int) -> npt.NDArray[np.float64]:
    """Loudness in decibels of every `step` samples, smoothed.

    Smoothed, because the closure of a `t` or `p` is silent too, only shorter than a pause. With a floor,
    because digital silence is no better a place to cut than a quiet line.
    """
    count = samples.size // step
    scaled = samples[: count * step].reshape(count, step).astype(np.float64) / _FULL_SCALE
    energy = np.square(scaled).mean(axis=1)
    width = max(round(_SMOOTHED_SECONDS * _LEVELS_PER_SECOND), 1)
    padded = np.pad(energy, (width // 2, width - 1 - width // 2), mode="edge") if count else energy
    smoothed = np.convolve(padded, np.full(width, 1 / width), mode="valid") if count else energy
    return np.maximum(10 * np.log10(np.maximum(smoothed, 1e-12)), _FLOOR_DECIBELS)


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where stretches of true begin, and where each ends (exclusive)."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
