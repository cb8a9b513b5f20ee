"""Cutting where people pause: nothing lost, no chunk too long, never inside a word that can be avoided."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_audio import RATE, hush, sound, talk

from llm_assets.recordings.encode import Samples
from llm_assets.recordings.listen import Heard, joined, listen
from llm_assets.recordings.split import Piece, quietest, split_at_pauses

SLOW = 1000  # samples a second, so that properties are tried on small arrays


def blocks_of(samples: Samples, sizes: list[int]) -> list[Samples]:
    bounds = np.cumsum(sizes)
    return np.split(samples, bounds[bounds < samples.size])


def cut(blocks: list[Samples], rate: int, every: float, window: float) -> list[Piece]:
    return list(split_at_pauses(listen(blocks, rate), lambda _: every, window))


def cuts_of(pieces: list[Piece]) -> list[int]:
    """Where chunks end, in samples from the start."""
    ends = np.cumsum([piece.heard.samples.size for piece in pieces])
    return [int(end) for end, piece in zip(ends, pieces, strict=True) if piece.ends_chunk]


def all_of(samples: Samples) -> Heard:
    whole: Heard | None = None
    for heard in listen([samples], RATE):
        whole = heard if whole is None else joined(whole, heard)
    assert whole is not None
    return whole


def seconds_of_quietest(samples: Samples) -> float:
    return quietest(all_of(samples).levels) / 100


recordings = st.integers(1, 60_000).map(
    lambda count: np.random.default_rng(count).normal(0, 3000, count).astype(np.int16)
)
block_sizes = st.lists(st.integers(0, 5000), max_size=20)


@given(samples=recordings, sizes=block_sizes, every=st.floats(0.5, 25), window=st.floats(0.01, 0.5))
def test_nothing_is_lost_and_nothing_is_too_long(
    samples: Samples, sizes: list[int], every: float, window: float
) -> None:
    """The pieces are the same samples in the same order, and no chunk is longer or shorter than told."""
    pieces = cut(blocks_of(samples, sizes), SLOW, every, window)
    assert np.array_equal(np.concatenate([piece.heard.samples for piece in pieces]), samples)
    assert np.array_equal(
        np.concatenate([piece.heard.places for piece in pieces]), np.arange(-(-samples.size // 10))
    )
    cuts = cuts_of(pieces)
    assert cuts[-1] == samples.size
    lengths = np.diff([0, *cuts])
    assert all(abs(length - every * SLOW) <= window * SLOW / 2 + 20 for length in lengths[:-1])
    assert lengths[-1] <= every * SLOW + window * SLOW / 2 + 20


@given(samples=recordings, sizes=block_sizes)
def test_the_cuts_do_not_depend_on_how_samples_arrive(samples: Samples, sizes: list[int]) -> None:
    """However a decoder hands out its blocks, the chunks are the same: their hashes are journal keys."""
    assert cuts_of(cut(blocks_of(samples, sizes), SLOW, 4, 1)) == cuts_of(cut([samples], SLOW, 4, 1))


def test_little_is_held_back() -> None:
    """Beyond the window of a cut, no more than some blocks of ten seconds wait to be passed on."""
    drawn, passed_on = 0, 0

    def blocks() -> Iterator[Samples]:
        nonlocal drawn
        for number in range(180):
            drawn += RATE
            yield sound(1, seed=number)

    for piece in split_at_pauses(listen(blocks(), RATE, 2.0), lambda _: 20, window_seconds=4):
        assert drawn - passed_on <= (4 + 40) * RATE
        passed_on += piece.heard.samples.size
    assert passed_on == drawn == 180 * RATE


@pytest.mark.parametrize("every", [7.0, 11.0, 16.0])
def test_cuts_lie_in_pauses(every: float) -> None:
    """Where the window holds a pause, the cut is in its middle, to 50 ms."""
    samples, pauses = talk([(2.7, 0.5), (3.1, 0.4), (2.2, 0.6), (3.4, 0.5)] * 5)
    cuts = cuts_of(cut(np.array_split(samples, 333), RATE, every, 6.0))[:-1]
    assert len(cuts) >= 2
    for each in cuts:
        nearest = min(abs((begin + end) / 2 - each / RATE) for begin, end in pauses)
        assert nearest <= 0.05


def test_the_longest_pause_is_preferred() -> None:
    """A short closure as silent as a pause is no place to cut while there is a pause."""
    samples = np.concatenate([sound(1), np.zeros(900, np.int16), sound(1), hush(0.5), sound(2)])
    assert seconds_of_quietest(samples) == pytest.approx(1 + 900 / RATE + 1 + 0.25, abs=0.05)


def test_of_equal_pauses_the_nearest_to_the_middle() -> None:
    """Between equal pauses the one nearest the aim keeps the chunks even."""
    pause = np.zeros(RATE // 2, np.int16)
    samples = np.concatenate([pause, sound(1), pause, sound(0.2), pause, sound(2), pause])
    assert seconds_of_quietest(samples) == pytest.approx(2.45, abs=0.05)


def test_sound_without_a_pause_is_cut_where_it_is_quietest() -> None:
    """There is always a cut, also in a monologue or a tone."""
    samples = sound(4)
    samples[2 * RATE : 2 * RATE + RATE // 5] //= 8
    assert seconds_of_quietest(samples) == pytest.approx(2.1, abs=0.1)


def test_silence_is_cut_in_the_middle() -> None:
    """A stretch that is all silence is cut half way, and one that is nothing where it begins."""
    assert seconds_of_quietest(np.zeros(RATE, np.int16)) == pytest.approx(0.5, abs=0.02)
    assert quietest(np.zeros(0, np.float32)) == 0
