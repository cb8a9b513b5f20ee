"""Cutting where people pause: nothing lost, no chunk too long, never inside a word that can be avoided."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_audio import RATE, hush, sound, talk

from llm_assets.recordings.encode import Samples
from llm_assets.recordings.split import Piece, quietest, split_at_pauses

SLOW = 1000  # samples a second, so that properties are tried on small arrays


def blocks_of(samples: Samples, sizes: list[int]) -> list[Samples]:
    bounds = np.cumsum(sizes)
    return np.split(samples, bounds[bounds < samples.size])


def cuts_of(pieces: list[Piece]) -> list[int]:
    """Where chunks end, in samples from the start."""
    ends = np.cumsum([piece.samples.size for piece in pieces])
    return [int(end) for end, piece in zip(ends, pieces, strict=True) if piece.ends_chunk]


recordings = st.integers(0, 30_000).map(
    lambda count: np.random.default_rng(count).normal(0, 3000, count).astype(np.int16)
)
block_sizes = st.lists(st.integers(0, 5000), max_size=20)


@given(samples=recordings, sizes=block_sizes, every=st.floats(0.5, 9), window=st.floats(0.01, 0.5))
def test_nothing_is_lost_and_nothing_is_too_long(
    samples: Samples, sizes: list[int], every: float, window: float
) -> None:
    """The pieces are the same samples in the same order, and every cut is within the window of its aim."""
    pieces = list(split_at_pauses(blocks_of(samples, sizes), SLOW, every, window))
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), samples)
    cuts = cuts_of(pieces)
    assert cuts[-1] == samples.size
    for number, cut in enumerate(cuts[:-1], start=1):
        assert abs(cut - number * round(every * SLOW)) <= window * SLOW / 2 + 1
    assert samples.size <= len(cuts) * round(every * SLOW) + window * SLOW / 2 + 1


@given(samples=recordings, sizes=block_sizes)
def test_the_cuts_do_not_depend_on_how_samples_arrive(samples: Samples, sizes: list[int]) -> None:
    """However a decoder hands out its blocks, the chunks are the same: their hashes are journal keys."""
    at_once = list(split_at_pauses([samples], SLOW, 4, 1))
    in_blocks = list(split_at_pauses(blocks_of(samples, sizes), SLOW, 4, 1))
    assert cuts_of(in_blocks) == cuts_of(at_once)


def test_only_the_window_is_held_back() -> None:
    """Never more than one block beyond the window of a cut waits to be passed on."""
    drawn, passed_on = 0, 0

    def blocks() -> Iterator[Samples]:
        nonlocal drawn
        for number in range(60):
            drawn += RATE
            yield sound(1, seed=number)

    for piece in split_at_pauses(blocks(), RATE, every_seconds=20, window_seconds=4):
        assert drawn - passed_on <= (4 + 1) * RATE
        passed_on += piece.samples.size
    assert passed_on == drawn == 60 * RATE


@pytest.mark.parametrize("every", [7.0, 11.0, 16.0])
def test_cuts_lie_in_pauses(every: float) -> None:
    """Where the window holds a pause, the cut is in its middle, to 50 ms."""
    samples, pauses = talk([(2.7, 0.5), (3.1, 0.4), (2.2, 0.6), (3.4, 0.5)] * 5)
    cuts = cuts_of(list(split_at_pauses(np.array_split(samples, 333), RATE, every, 6.0)))[:-1]
    assert len(cuts) >= 2
    for cut in cuts:
        nearest = min(abs((begin + end) / 2 - cut / RATE) for begin, end in pauses)
        assert nearest <= 0.05


def test_the_longest_pause_is_preferred() -> None:
    """A short closure as silent as a pause is no place to cut while there is a pause."""
    samples = np.concatenate([sound(1), np.zeros(900, np.int16), sound(1), hush(0.5), sound(2)])
    cut = quietest(samples, RATE) / RATE
    assert cut == pytest.approx(1 + 900 / RATE + 1 + 0.25, abs=0.05)


def test_of_equal_pauses_the_nearest_to_the_middle() -> None:
    """Between equal pauses the one nearest the aim keeps the chunks even."""
    pause = np.zeros(RATE // 2, np.int16)
    samples = np.concatenate([pause, sound(1), pause, sound(0.2), pause, sound(2), pause])
    assert quietest(samples, RATE) / RATE == pytest.approx(2.45, abs=0.05)


def test_sound_without_a_pause_is_cut_where_it_is_quietest() -> None:
    """There is always a cut, also in a monologue or a tone."""
    samples = sound(4)
    samples[2 * RATE : 2 * RATE + RATE // 5] //= 8
    assert quietest(samples, RATE) / RATE == pytest.approx(2.1, abs=0.1)


def test_silence_is_cut_in_the_middle() -> None:
    """A stretch that is all silence is cut half way."""
    assert quietest(np.zeros(RATE, np.int16), RATE) == pytest.approx(RATE // 2, abs=RATE // 50)
    assert quietest(np.zeros(3, np.int16), RATE) == 1
