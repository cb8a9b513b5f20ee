"""Tell speech from silence in a stream of samples, and leave out long silences. Pure: no file, no codec.

Everything is counted in moments of 10 ms. Loudness is smoothed, because the closure of a `t` or `p` is silent
too, only shorter than a pause. Speech is what is louder than the quietest of the last minute, with two
thresholds (hysteresis), so that a word's soft end still belongs to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from llm_assets.recordings.encode import Samples

T = TypeVar("T")
Levels = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Moments = npt.NDArray[np.int64]

MOMENTS_PER_SECOND = 100
KEPT_SILENCE_SECONDS = 0.5
LONGEST_SILENCE_SECONDS = 10.0
_BLOCK_MOMENTS = round(LONGEST_SILENCE_SECONDS * MOMENTS_PER_SECOND)
_SMOOTHED_MOMENTS = 10
_REMEMBERED_BLOCKS = 6
_QUIETEST_SHARE = 0.02
_SPEECH_ABOVE_DECIBELS = 9.0
_LEAST_ABOVE_DECIBELS = 2.0
_SPEECH_SHARE = 0.3
_SILENCE_SHARE = 2 / 3
# Noise of the last bit; what is softer than a little above it is silence wherever it stands.
_FLOOR_DECIBELS = -80.0
_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Some samples, and for each moment of them: its place in the recording, loudness, whether it is speech.

    Places that do not follow each other tell that silence between them was left out.
    """

    samples: Samples
    places: Moments
    levels: Levels
    speech: Flags
    step: int

    @property
    def moments(self) -> int:
        return self.places.size

    def part(self, begin: int, end: int | None = None) -> Heard:
        """From one moment to another."""
        begin, end, _ = slice(begin, end).indices(self.moments)
        # The last moment of a recording is shorter than the others.
        return Heard(
            self.samples[begin * self.step : end * self.step],
            self.places[begin:end],
            self.levels[begin:end],
            self.speech[begin:end],
            self.step,
        )

    def kept(self, keep: Flags) -> Heard:
        """Only the moments that are true."""
        if keep.all():
            return self
        samples = self.samples[np.repeat(keep, self.step)[: self.samples.size]]
        return Heard(samples, self.places[keep], self.levels[keep], self.speech[keep], self.step)


def joined(first: Heard, second: Heard) -> Heard:
    if not first.moments:
        return second
    return Heard(
        np.concatenate((first.samples, second.samples)),
        np.concatenate((first.places, second.places)),
        np.concatenate((first.levels, second.levels)),
        np.concatenate((first.speech, second.speech)),
        first.step,
    )


def listen(
    blocks: Iterable[Samples], sample_rate: int, longest_silence_seconds: float | None = None
) -> Iterator[Heard]:
    """What is heard, in blocks, some of them empty where silence was left out.

    Of a silence longer than `longest_silence_seconds`, half a second is kept at either side of it. The same
    samples give the same, however they arrive.
    """
    step = max(sample_rate // MOMENTS_PER_SECOND, 1)
    heard = _told_apart(_measured(_aligned(blocks, step * _BLOCK_MOMENTS), step), step)
    if longest_silence_seconds is None:
        return heard
    longest = round(longest_silence_seconds * MOMENTS_PER_SECOND)
    return _without_silences(heard, longest, round(KEPT_SILENCE_SECONDS * MOMENTS_PER_SECOND))


def _aligned(blocks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of one size but for the last."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.size
        while count >= size:
            whole = np.concatenate(held)
            yield whole[:size]
            held, count = [whole[size:]], count - size
    if count:
        yield np.concatenate(held)


def _measured(blocks: Iterable[Samples], step: int) -> Iterator[tuple[Samples, Levels]]:
    """Each block with the loudness of its moments in decibels."""
    energies = ((block, _energy(block, step)) for block in blocks)
    for before, (block, energy), after in _in_context(energies):
        tail = before[1][-_SMOOTHED_MOMENTS:] if before else energy[:1]
        head = after[1][:_SMOOTHED_MOMENTS] if after else energy[-1:]
        padded = np.pad(
            np.concatenate((tail, energy, head)),
            (_SMOOTHED_MOMENTS - tail.size, _SMOOTHED_MOMENTS - head.size),
            mode="edge",
        )
        sums = np.concatenate(([0.0], np.cumsum(padded)))
        first = _SMOOTHED_MOMENTS - _SMOOTHED_MOMENTS // 2
        means = (sums[first + _SMOOTHED_MOMENTS :] - sums[first:-_SMOOTHED_MOMENTS]) / _SMOOTHED_MOMENTS
        levels = 10 * np.log10(np.maximum(means[: energy.size], 1e-12))
        yield block, np.maximum(levels, _FLOOR_DECIBELS).astype(np.float32)


def _energy(block: Samples, step: int) -> npt.NDArray[np.float64]:
    whole = block.size // step * step
    rows = block[:whole].reshape(-1, step).astype(np.float32)
    energy = np.einsum("ij,ij->i", rows, rows) / (step * _FULL_SCALE**2)
    rest = block[whole:].astype(np.float32)
    if rest.size:
        energy = np.append(energy, np.dot(rest, rest) / (rest.size * _FULL_SCALE**2))
    return energy.astype(np.float64)


def _told_apart(measured: Iterable[tuple[Samples, Levels]], step: int) -> Iterator[Heard]:
    remembered: deque[Levels] = deque(maxlen=_REMEMBERED_BLOCKS)
    place, speaking = 0, False
    for _, (samples, levels), after in _in_context(measured):
        remembered.append(levels)
        known = np.concatenate([*remembered, after[1]] if after else [*remembered])
        nth = int(known.size * _QUIETEST_SHARE)
        ordered = np.partition(known, (nth, known.size - 1 - nth))
        floor, loud = float(ordered[nth]), float(ordered[known.size - 1 - nth])
        speech = _hysteresis(levels, floor, loud - floor, speaking)
        speaking = bool(speech[-1])
        yield Heard(samples, np.arange(place, place + levels.size), levels, speech, step)
        place += levels.size


def _hysteresis(levels: Levels, floor: float, span: float, speaking: bool) -> Flags:
    """Speech from where it is clearly louder than the floor until it is hardly so any more."""
    above = speech_above(span)
    marks = np.zeros(levels.size + 1, dtype=np.int8)
    marks[0] = 1 if speaking else -1
    marks[1:][levels >= floor + above] = 1
    marks[1:][levels < floor + above * _SILENCE_SHARE] = -1
    latest = np.maximum.accumulate(np.where(marks != 0, np.arange(marks.size), 0))
    return marks[latest][1:] > 0


def speech_above(span: float) -> float:
    """How many decibels speech is louder than the floor, which are `span` from it to the loudest.

    Where speech stands little out of a noise, all of it is near the floor, so this is less; never so little
    that a steady noise, which wavers by a decibel, reaches it.
    """
    return float(np.clip(span * _SPEECH_SHARE, _LEAST_ABOVE_DECIBELS, _SPEECH_ABOVE_DECIBELS))


def _without_silences(heard: Iterable[Heard], longest: int, kept: int) -> Iterator[Heard]:
    """Before the beginning and after the end everything counts as silent."""
    for before, block, after in _in_context(heard):
        around = before.speech if before else np.zeros(_BLOCK_MOMENTS, np.bool_)
        behind = after.speech if after else np.zeros(_BLOCK_MOMENTS, np.bool_)
        behind = np.pad(behind, (0, _BLOCK_MOMENTS - behind.size))
        silent = _in_long_silence(np.concatenate((around, block.speech, behind)), longest, kept)
        yield block.kept(~silent[around.size : around.size + block.moments])


def _in_long_silence(speech: Flags, longest: int, kept: int) -> Flags:
    """Moments of silences longer than `longest`, but for `kept` at either side."""
    dropped = np.zeros(speech.size, np.bool_)
    for begin, end in zip(*runs(~speech), strict=True):
        if end - begin > longest:
            dropped[begin + kept if begin else 0 : end - kept if end < speech.size else end] = True
    return dropped


def runs(flags: Flags) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where stretches of true begin, and where each ends (exclusive)."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _in_context(items: Iterable[T]) -> Iterator[tuple[T | None, T, T | None]]:
    """Each with the one before it and the one after it."""
    before: T | None = None
    here: T | None = None
    for after in chain(items, (None,)):
        if here is not None:
            yield before, here, after
        before, here = here, after
