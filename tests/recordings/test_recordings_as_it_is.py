"""What goes to a provider as it is, and what is worth preparing: silence is billed like speech."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_audio import FLAC, M4A, MP3, OPUS, OTHERS, RATE, WAV, WEBM, encoded, hush, recording_of, sound

from llm_assets.errors import RecordingSilent
from llm_assets.recordings import replayed
from llm_assets.recordings.encode import Samples
from llm_assets.recordings.glance import silent_seconds, skim
from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.recordings.noticed import Noticed
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.recordings.replayed import Replayed
from llm_assets.records import AudioChunk

EVERY = {"wav": WAV, "flac": FLAC, "mp3": MP3, "m4a": M4A, "ogg": OPUS, "webm": WEBM}
MKV = OTHERS["mkv"][0]
# A caller who is put on hold for a minute, in a line with its noise.
ON_HOLD = np.concatenate((sound(20), hush(61), sound(19, seed=3)))


def prepared(
    audio: bytes, name: str, listening: Listening | None = None, limits: ChunkLimits | None = None
) -> list[AudioChunk]:
    recording = recording_of(audio, name)
    return list(prepare_chunks(audio, recording, limits or ChunkLimits(), listening or Listening()))


def turns(count: int, spoken: float, pause: float) -> Samples:
    return np.concatenate([part for turn in range(count) for part in (sound(spoken, seed=turn), hush(pause))])


@pytest.mark.parametrize("extension", sorted(EVERY))
def test_a_long_silence_is_not_paid_for(extension: str) -> None:
    """Though a provider would take the original, it is prepared, and every time stays right."""
    audio = encoded(ON_HOLD, EVERY[extension])
    [chunk] = prepared(audio, f"call.{extension}")
    assert chunk.audio != audio
    assert chunk.audio_seconds == pytest.approx(40, abs=0.3)
    before, after = chunk.spans
    assert (before.start_seconds, before.end_seconds) == pytest.approx((0, 20.5), abs=0.15)
    assert (after.start_seconds, after.end_seconds) == pytest.approx((80.5, 100), abs=0.15)


def test_what_would_have_been_one_piece_stays_one() -> None:
    """A model that tells voices apart counts them anew in every piece."""
    limits = ChunkLimits(target_seconds=15, window_seconds=4)
    assert len(prepared(encoded(ON_HOLD, WAV), "call.wav", limits=limits)) == 1
    assert len(prepared(encoded(ON_HOLD, MKV), "call.mkv", limits=limits)) > 1


@pytest.mark.parametrize("listening", [Listening(), Listening(channels="split")], ids=["mix", "split"])
def test_a_long_silence_on_both_channels_is_not_paid_for(listening: Listening) -> None:
    """One voice on both sides is a single line, also where channels are to be heard apart."""
    [chunk] = prepared(stereo(ON_HOLD, ON_HOLD), "call.flac", listening)
    assert (chunk.channel, len(chunk.spans)) == (None, 2)
    assert chunk.audio_seconds == pytest.approx(40, abs=0.3)


@pytest.mark.parametrize(
    "samples",
    [
        np.concatenate((sound(20), hush(28), sound(20))),
        np.concatenate((sound(140), hush(33), sound(12))),
        turns(20, 1.6, 2.4),
    ],
    ids=["less than half a minute", "a small share", "pauses that are no longer than pauses"],
)
def test_a_little_silence_goes_as_it_is(samples: Samples) -> None:
    """A second lossy encoding costs accuracy, so it has to be worth it."""
    audio = encoded(samples, WAV)
    assert [chunk.audio for chunk in prepared(audio, "call.wav")] == [audio]


def test_silence_that_is_to_be_kept_goes_as_it_is() -> None:
    """Who keeps silence has chosen to pay for it."""
    audio = encoded(ON_HOLD, WAV)
    [chunk] = prepared(audio, "call.wav", Listening(longest_silence_seconds=None))
    assert chunk.audio == audio


@pytest.mark.parametrize("nothing", [hush(600), np.zeros(600 * RATE, np.int16)], ids=["a line", "digital"])
def test_ten_silent_minutes_say_that_they_are_silent(nothing: Samples) -> None:
    """Nothing is sent, and the reason is not that the recording is short."""
    with pytest.raises(RecordingSilent, match="silent from beginning to end, all 600 s of it"):
        prepared(encoded(nothing, WAV), "call.wav")


def stereo(left: Samples, right: Samples) -> bytes:
    return encoded(np.stack((left, right), axis=1).reshape(-1), FLAC, channels=2)


class Watched(io.BytesIO):
    """Counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.taken += len(content)
        return content


def times_read(audio: bytes, name: str, listening: Listening, limits: ChunkLimits | None = None) -> float:
    """How often all of it is read, without the reading of what is sent as it is."""
    file = Watched(audio)
    chunks = list(prepare_chunks(file, recording_of(audio, name), limits or ChunkLimits(), listening))
    return (file.taken - sum(len(audio) for chunk in chunks if chunk.audio == audio)) / len(audio)


TALK = np.concatenate((np.zeros(12 * RATE, np.int16), sound(13)))


@pytest.mark.parametrize(
    ("audio", "name", "way"),
    [
        (stereo(TALK, TALK), "call.flac", "split"),
        (stereo(TALK, np.roll(TALK, RATE)), "call.flac", "split"),
        (stereo(TALK, np.roll(TALK, RATE)), "call.flac", "mix"),
        (encoded(TALK, WEBM), "call.webm", "mix"),
        (encoded(TALK, MKV), "call.mkv", "mix"),
        (stereo(np.tile(TALK, 3), np.tile(TALK, 3)), "call.flac", "split"),
    ],
    ids=["one voice twice", "apart", "mixed", "stamped", "not taken", "one voice twice, and silence"],
)
def test_a_recording_is_decoded_once(audio: bytes, name: str, way: str) -> None:
    """Sound, gaps, phase, channels and silence are told by the same look, which is also what is cut."""
    assert times_read(audio, name, Listening(channels="split" if way == "split" else "mix")) < 1.4


def test_a_long_silence_takes_a_second_look() -> None:
    """Most calls are skimmed and sent; only where that finds silence all is listened to."""
    assert times_read(encoded(ON_HOLD, WAV), "call.wav", Listening()) < 2.4


def test_more_than_is_held_gives_the_same_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held or decoded another time, the journal knows them by their bytes."""
    audio = encoded(ON_HOLD, WAV)
    held = prepared(audio, "call.wav")
    monkeypatch.setattr(replayed, "_MOST_HELD", RATE)
    assert prepared(audio, "call.wav") == held


@given(count=some.integers(0, 12), looked_at=some.integers(0, 14), most=some.integers(0, 12))
def test_what_was_looked_at_comes_again(count: int, looked_at: int, most: int) -> None:
    """All of it, from the beginning, however much was looked at and may be held."""
    decoded = 0

    def decode() -> Iterator[Samples]:
        nonlocal decoded
        decoded += 1
        yield from (np.array([number], np.int16) for number in range(count))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replayed, "_MOST_HELD", most)
        blocks = Replayed(decode)
        assert [int(block[0]) for block in islice(blocks, looked_at)] == [*range(min(looked_at, count))]
        assert [int(block[0]) for block in blocks.again()] == [*range(count)]
    assert decoded == (2 if min(looked_at, count) > most else 1)


@pytest.mark.parametrize("extension", sorted(EVERY))
def test_skimming_tells_silence_about(extension: str) -> None:
    """From a tenth of the packets, in every format."""
    levels = skim(encoded(ON_HOLD, EVERY[extension]), Noticed())
    assert silent_seconds(levels, 100, 2.0) == pytest.approx(61, abs=5)
    levels = skim(encoded(turns(25, 2.6, 1.4), EVERY[extension]), Noticed())
    assert silent_seconds(levels, 100, 2.0) < 10
