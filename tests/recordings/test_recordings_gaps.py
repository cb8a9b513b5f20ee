"""Sound that is missing by the time stamps is silence, so that what comes after it keeps its time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_audio import M4A, OPUS, OTHERS, RATE, WAV, WEBM, encoded, recording_of, sound

from llm_assets.recordings.decode import decode_mono
from llm_assets.recordings.encode import Encoding, Samples
from llm_assets.recordings.gaps import LEAST_SECONDS, MOST_SECONDS, Stamps
from llm_assets.recordings.glance import glance
from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.recordings.probe import probe
from llm_assets.records import AudioChunk

MKV = OTHERS["mkv"][0]
STAMPED = {"ogg": OPUS, "webm": WEBM, "mkv": MKV, "m4a": M4A}
# Ten seconds, of which the middle goes missing.
CALL = np.concatenate((sound(3), sound(4, seed=7), sound(3, seed=3)))


def remuxed(audio: bytes, encoding: Encoding, changed: Callable[[float], float | None]) -> bytes:
    """The same packets at other seconds; None drops one."""
    target = io.BytesIO()
    with av.open(io.BytesIO(audio)) as source, av.open(target, "w", format=encoding.container) as made:
        track = source.streams.audio[0]
        copy: Any = made.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.pts is None or track.time_base is None:
                continue
            seconds = changed(float(packet.pts * track.time_base))
            if seconds is not None:
                packet.pts = packet.dts = round(seconds / track.time_base)
                packet.stream = copy
                made.mux(packet)
    return target.getvalue()


def without_the_middle(encoding: Encoding) -> bytes:
    return remuxed(encoded(CALL, encoding), encoding, lambda at: None if 3 <= at < 7 else at)


def decoded(audio: bytes) -> Samples:
    return np.concatenate([*decode_mono(audio)])


def loudness(samples: Samples, begin: float, end: float) -> float:
    part = samples[round(begin * RATE) : round(end * RATE)].astype(np.float64)
    return float(np.sqrt(np.square(part).mean()))


def prepared(audio: bytes, name: str, limits: ChunkLimits | None = None) -> list[AudioChunk]:
    return [*prepare_chunks(audio, recording_of(audio, name), limits or ChunkLimits())]


@pytest.mark.parametrize("extension", sorted(STAMPED))
def test_what_comes_after_a_gap_keeps_its_time(extension: str) -> None:
    """Lost packets are silence, and count in the duration."""
    audio = without_the_middle(STAMPED[extension])
    samples = decoded(audio)
    assert samples.size / RATE == pytest.approx(10, abs=0.1)
    assert loudness(samples, 3.2, 6.8) < 50
    assert min(loudness(samples, 0.1, 2.9), loudness(samples, 7.1, 9.9)) > 1000
    assert probe(audio, f"call.{extension}").duration_seconds == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("extension", sorted(STAMPED))
def test_a_recording_with_a_gap_does_not_go_as_it_is(extension: str) -> None:
    """A provider would put the pieces end to end; one chunk tells where each of them stands."""
    audio = without_the_middle(STAMPED[extension])
    assert glance(audio).has_gap
    [chunk] = prepared(audio, f"call.{extension}")
    assert chunk.audio != audio
    first, second = chunk.spans
    assert (first.start_seconds, second.end_seconds) == pytest.approx((0, 10), abs=0.15)
    assert (first.end_seconds, second.start_seconds) == pytest.approx((3.5, 6.5), abs=0.15)


@pytest.mark.parametrize("extension", sorted([*STAMPED, "wav"]))
def test_a_whole_recording_has_no_gap(extension: str) -> None:
    """What is whole goes as it is, also with the unevenness that stamps have."""
    audio = encoded(CALL, (STAMPED | {"wav": WAV})[extension])
    assert not glance(audio).has_gap
    assert decoded(audio).size == pytest.approx(CALL.size, abs=RATE * 0.05)
    assert extension == "mkv" or [chunk.audio for chunk in prepared(audio, f"call.{extension}")] == [audio]


@pytest.mark.parametrize(
    "changed",
    [
        lambda at: at if at < 3 else at + 1_700_000_000,
        lambda at: at if at < 3 else at + MOST_SECONDS + 1,
        lambda at: at + 500,
    ],
    ids=["a clock of another kind", "beyond the bound", "a late beginning"],
)
def test_absurd_stamps_are_no_gap(changed: Callable[[float], float]) -> None:
    """Days of silence because a counter jumped would help nobody."""
    audio = remuxed(encoded(CALL, MKV), MKV, changed)
    assert decoded(audio).size / RATE == pytest.approx(10, abs=0.1)
    assert probe(audio, "call.mkv").duration_seconds == pytest.approx(10, abs=0.3)


def test_many_small_losses_add_up_to_no_shift() -> None:
    """Every third packet is lost: no stretch is long, and the whole is as long as it was."""
    number = iter(range(10**6))
    audio = remuxed(encoded(CALL, WEBM), WEBM, lambda at: None if next(number) % 3 == 2 else at)
    assert decoded(audio).size / RATE == pytest.approx(10, abs=LEAST_SECONDS + 0.1)


SOUNDS = some.tuples(some.floats(0.01, 5), some.floats(-0.09, 0.09), some.floats(0, 30))


@given(some.lists(SOUNDS, min_size=1, max_size=40))
def test_sounds_end_up_near_their_stamps(sounds: list[tuple[float, float, float]]) -> None:
    """However uneven stamps are, and whatever is missing, a sound stands within a moment of its stamp."""
    stamps = Stamps()
    start = told = 0.0
    first = sounds[0][1]
    for length_seconds, unevenness, gap_seconds in sounds:
        stamp = start + unevenness
        told += stamps.missing(stamp, length_seconds)
        assert stamp - first - LEAST_SECONDS - 1e-6 <= told <= start + 2 * LEAST_SECONDS + 1e-6
        told += length_seconds
        start += length_seconds + gap_seconds
