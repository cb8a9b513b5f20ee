"""Telling speech from silence: no word is taken for silence, and long silences go with their times kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_audio import RATE, hush, sound, talk

from llm_assets.recordings.encode import Samples
from llm_assets.recordings.listen import Heard, joined, listen, runs

turns = st.lists(st.tuples(st.floats(0.3, 8), st.floats(0.2, 15)), min_size=1, max_size=6)


def heard_in(samples: Samples, longest: float | None = 2.0) -> Heard:
    whole: Heard | None = None
    for heard in listen(np.array_split(samples, 7), RATE, longest):
        whole = heard if whole is None else joined(whole, heard)
    assert whole is not None
    return whole


def stretches(heard: Heard) -> list[tuple[float, float]]:
    """What was kept, in seconds of the recording."""
    there = np.zeros(int(heard.places[-1]) + 1 if heard.moments else 0, np.bool_)
    there[heard.places] = True
    return [(begin / 100, end / 100) for begin, end in zip(*runs(there), strict=True)]


@settings(max_examples=40, deadline=None)
@given(turns=turns, noise=st.sampled_from([0, 12, 60]))
def test_all_speech_is_kept_and_long_silence_is_not(turns: list[tuple[float, float]], noise: int) -> None:
    """Whatever people say is in what is kept, in order, and pauses above two seconds are a second long."""
    samples, pauses = talk(turns)
    if noise == 0:
        for begin, end in pauses:
            samples[round(begin * RATE) : round(end * RATE)] = 0
    elif noise > 12:
        extra = np.random.default_rng(5).normal(0, noise, samples.size)
        samples = np.clip(samples + extra, -32768, 32767).astype(np.int16)
    heard = heard_in(samples)
    kept = stretches(heard)
    position = 0.0
    for _, (begin, end) in zip(turns, pauses, strict=True):
        assert any(first <= position + 0.01 and begin - 0.01 <= last for first, last in kept)
        position = end
    for begin, end in pauses[:-1]:
        inside = sum(
            min(last, end) - max(first, begin) for first, last in kept if first < end and last > begin
        )
        if not 1.9 < end - begin < 2.2:  # near the limit either is right
            assert inside == pytest.approx(end - begin if end - begin < 2 else 1.0, abs=0.15)
    assert heard.samples.size == pytest.approx(heard.moments * RATE / 100, abs=RATE / 100)


@settings(max_examples=25, deadline=None)
@given(turns=turns, sizes=st.lists(st.integers(0, 200_000), max_size=8))
def test_how_samples_arrive_changes_nothing(turns: list[tuple[float, float]], sizes: list[int]) -> None:
    """However a decoder hands out its blocks, the same moments are kept and the same ones are speech."""
    samples, _ = talk(turns)
    bounds = np.cumsum(sizes)
    arriving = np.split(samples, bounds[bounds < samples.size])
    for one, other in zip(listen([samples], RATE, 2.0), listen(arriving, RATE, 2.0), strict=True):
        assert np.array_equal(one.samples, other.samples)
        assert np.array_equal(one.places, other.places)
        assert np.array_equal(one.speech, other.speech)


def test_speech_is_heard_to_50_ms() -> None:
    """Where speech begins and ends is known to the smoothing of a tenth of a second."""
    samples, pauses = talk([(2.0, 1.0), (1.5, 1.0), (3.0, 1.0)])
    begins, ends = runs(heard_in(samples, None).speech)
    assert [end / 100 for end in ends] == pytest.approx([begin for begin, _ in pauses], abs=0.06)
    assert [begin / 100 for begin in begins[1:]] == pytest.approx([end for _, end in pauses[:-1]], abs=0.06)


def test_a_quiet_voice_beside_a_loud_one_is_speech() -> None:
    """A customer who is heard 30 dB below the agent is not taken for silence."""
    quiet = (sound(4) / 32).astype(np.int16)
    heard = heard_in(np.concatenate([sound(20), hush(0.4), quiet, hush(0.4), sound(10)]))
    assert stretches(heard) == [(0, pytest.approx(34.8, abs=0.02))]
    assert heard.speech[2060:2420].mean() > 0.5


def test_speech_in_a_loud_noise_is_not_silence() -> None:
    """Where a voice is only 6 dB above the noise around it, none of it is left out."""
    voice, pauses = talk([(3.0, 1.0), (4.0, 6.0), (3.5, 1.0), (5.0, 0.5)])
    power = np.square(sound(5).astype(float)).mean()
    noise = np.random.default_rng(4).normal(0, np.sqrt(power / 4), voice.size)
    kept = stretches(heard_in(np.clip(voice + noise, -32768, 32767).astype(np.int16)))
    position = 0.0
    for begin, end in pauses:
        assert any(first <= position + 0.1 and begin - 0.1 <= last for first, last in kept)
        position = end


def test_a_steady_noise_is_silence() -> None:
    """Noise as loud as a fan is no speech, however long; only the second around it stays."""
    noise = np.random.default_rng(3).normal(0, 400, 60 * RATE).astype(np.int16)
    samples = np.concatenate([sound(5), noise, sound(5)])
    kept = stretches(heard_in(np.clip(samples, -32768, 32767).astype(np.int16)))
    assert len(kept) == 2
    assert kept[0][1] == pytest.approx(5.5, abs=0.06)
    assert kept[1][0] == pytest.approx(64.5, abs=0.06)


@pytest.mark.parametrize("nothing", [np.zeros(40 * RATE, np.int16), hush(40)], ids=["zeros", "line"])
def test_of_silence_nothing_is_kept(nothing: Samples) -> None:
    """A recording in which nobody speaks is nothing at all."""
    assert heard_in(nothing).moments == 0


def test_silence_is_kept_where_that_is_wanted() -> None:
    """Without a longest silence everything stays."""
    samples = np.concatenate([hush(8), sound(3), hush(12.345)])
    assert np.array_equal(heard_in(samples, None).samples, samples)
