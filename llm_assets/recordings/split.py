"""Cut what is heard where people pause. Pure: no file, no codec.

Only the stretch in which a cut is sought is held back; everything before it is passed on as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from llm_assets.recordings.listen import MOMENTS_PER_SECOND, Heard, Levels, joined, runs

_PAUSE_SECONDS = 0.25
_QUIET_WITHIN_DECIBELS = 6.0
# Digital silence is no better a place to cut than a quiet line.
_FLOOR_DECIBELS = -70.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Something heard, and whether the chunk ends behind it."""

    heard: Heard
    ends_chunk: bool


def split_at_pauses(
    heard: Iterable[Heard], length_from: Callable[[float], float], window_seconds: float
) -> Iterator[Piece]:
    """The same in the same order, cut into chunks; at least a piece for each block, which may be empty.

    `length_from` tells how long a chunk is aimed to be that begins at so many seconds. It ends within half
    of `window_seconds` before or after that. The last piece always ends a chunk.
    """
    window = max(round(window_seconds * MOMENTS_PER_SECOND), 1)
    held: Heard | None = None
    passed_on, aim = 0, 0  # moments of this chunk
    for block in heard:
        held = block if held is None else joined(held, block)
        while held.moments:
            if not passed_on:
                aim = round(length_from(held.places[0] / MOMENTS_PER_SECOND) * MOMENTS_PER_SECOND)
                aim = max(aim, window)
            earliest, latest = aim - window // 2 - passed_on, aim + window - window // 2 - passed_on
            if held.moments <= latest:
                break
            cut = earliest + quietest(held.levels[earliest:latest])
            yield Piece(held.part(0, cut), True)
            held, passed_on = held.part(cut), 0
        free = min(max(aim - window // 2 - passed_on, 0), held.moments)
        yield Piece(held.part(0, free), False)
        held, passed_on = held.part(free), passed_on + free
    if held is not None:
        yield Piece(held, True)


def quietest(levels: Levels) -> int:
    """The middle of the best stretch about as quiet as the quietest moment, as an index into `levels`.

    A longer stretch is better until it is a pause for certain; of several such, the one nearest the middle.
    """
    if levels.size == 0:
        return 0
    starts, ends = runs(levels <= max(float(levels.min()), _FLOOR_DECIBELS) + _QUIET_WITHIN_DECIBELS)
    middles = (starts + ends) / 2
    away = np.abs(middles - levels.size / 2)
    best = np.lexsort((away, -np.minimum(ends - starts, _PAUSE_SECONDS * MOMENTS_PER_SECOND)))[0]
    return int(middles[best])
