"""Two channels that are the same upside down are heard, mixed by us or sent as they are."""

from __future__ import annotations

import numpy as np
import pytest
from made_audio import FLAC, M4A, MP3, OPUS, OTHERS, RATE, WAV, encoded, hush, sound
from test_recordings_gaps import decoded, loudness, prepared

from llm_assets.recordings.encode import Encoding, Samples
from llm_assets.recordings.glance import glance

TALK = np.concatenate([part for turn in range(4) for part in (hush(0.7, seed=turn), sound(1.9, seed=turn))])
EVERY = {"wav": WAV, "flac": FLAC, "mp3": MP3, "m4a": M4A, "ogg": OPUS, "aiff": OTHERS["aiff"][0]}


def stereo(left: Samples, right: Samples, encoding: Encoding) -> bytes:
    return encoded(np.stack((left, right), axis=1).reshape(-1), encoding, channels=2)


@pytest.mark.parametrize("extension", sorted(EVERY))
def test_channels_that_cancel_each_other_are_heard(extension: str) -> None:
    """The mix is as loud as one of them, and no provider gets them as they are."""
    encoding = EVERY[extension]
    audio = stereo(TALK, np.invert(TALK), encoding)
    assert glance(audio).cancels
    assert loudness(decoded(audio), 0, 10) == pytest.approx(loudness(TALK, 0, 10), rel=0.1)
    [chunk] = prepared(audio, f"call.{extension}")
    assert chunk.audio != audio
    assert loudness(decoded(chunk.audio), 0, 10) == pytest.approx(loudness(TALK, 0, 10), rel=0.15)


def test_a_softer_copy_upside_down_counts_as_well() -> None:
    """A line that loses a little on the way round still takes the voice away."""
    audio = stereo(TALK, np.invert((TALK * 0.8).astype(np.int16)), FLAC)
    assert glance(audio).cancels
    assert loudness(decoded(audio), 0, 10) == pytest.approx(loudness(TALK, 0, 10) * 0.9, rel=0.1)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (TALK, TALK),
        (TALK, np.roll(TALK, RATE)),
        (TALK, np.zeros_like(TALK)),
        (hush(8, seed=1), np.invert(hush(8, seed=1))),
    ],
    ids=["the same", "two voices", "one is silent", "only noise"],
)
def test_other_channels_stay_as_they_are(left: Samples, right: Samples) -> None:
    """A conversation of two, one voice on both sides, or nothing to tell by."""
    audio = stereo(left, right, FLAC)
    assert not glance(audio).cancels
    [chunk] = prepared(audio, "call.flac")
    assert chunk.audio == audio


def test_one_channel_has_no_phase() -> None:
    """Mono is not looked at."""
    assert not glance(encoded(TALK, FLAC)).cancels
