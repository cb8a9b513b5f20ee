"""Digital silence is known before anything is sent, and nothing that could be heard is taken for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_audio import ENCODINGS, OTHERS, RATE, WAV, encoded, hush, recording_of, sound

from llm_assets.errors import RecordingSilent
from llm_assets.recordings.encode import FLAC, Encoding, Samples
from llm_assets.recordings.glance import glance
from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.records import AudioChunk

SECONDS = 20
NOTHING: Samples = np.zeros(SECONDS * RATE, np.int16)
WAYS = {
    "mixed": Listening(),
    "apart": Listening(channels="split"),
    "silence kept": Listening(longest_silence_seconds=None),
}


def prepared(
    audio: bytes, name: str, duration_seconds: float | None = None, listening: Listening = WAYS["mixed"]
) -> list[AudioChunk]:
    recording = recording_of(audio, name, duration_seconds)
    return list(prepare_chunks(audio, recording, ChunkLimits(), listening))


def sides(left: Samples, right: Samples) -> Samples:
    return np.stack((left, right), axis=1).reshape(-1)


def late(seconds: float) -> Samples:
    """A fifth of a second of sound in the silence."""
    samples, begin = NOTHING.copy(), round(seconds * RATE)
    samples[begin : begin + RATE // 5] = sound(0.2)
    return samples


@pytest.mark.parametrize("listening", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("extension", [*ENCODINGS, "mkv"])
def test_silence_is_not_sent(extension: str, listening: Listening) -> None:
    """In every format, also in those that a provider would take as they are."""
    encoding = ENCODINGS[extension] if extension in ENCODINGS else OTHERS[extension][0]
    with pytest.raises(RecordingSilent, match="no speech"):
        prepared(encoded(NOTHING, encoding), f"call.{extension}", listening=listening)


@pytest.mark.parametrize(
    "encoding",
    [Encoding("wav", "wav", "pcm_mulaw"), Encoding("wav", "wav", "pcm_alaw")],
    ids=["mu-law", "A-law"],
)
def test_a_telephone_line_without_a_sound_is_silent(encoding: Encoding) -> None:
    """A-law has no zero: its silence is a small constant."""
    with pytest.raises(RecordingSilent):
        prepared(encoded(NOTHING, encoding), "call.wav")


@pytest.mark.parametrize("listening", WAYS.values(), ids=WAYS)
def test_all_channels_are_silent_or_it_is_sent(listening: Listening) -> None:
    """One channel with a sound is enough, also where both would cancel each other."""
    with pytest.raises(RecordingSilent):
        prepared(encoded(sides(NOTHING, NOTHING), FLAC, channels=2), "call.flac", listening=listening)
    voice = sound(SECONDS)
    for left, right in ((NOTHING, voice), (voice, NOTHING), (voice, -voice)):
        assert prepared(encoded(sides(left, right), FLAC, channels=2), "call.flac", listening=listening)


HEARD: dict[str, Any] = {
    "a quiet line": hush(SECONDS),
    "noise of two bits": np.random.default_rng(1).integers(-2, 3, SECONDS * RATE).astype(np.int16),
    "speech 60 dB below a usual one": (sound(SECONDS) / 1000).astype(np.int16),
    "a word at the end": late(SECONDS - 0.2),
    "a word in the middle": late(SECONDS / 2),
}


@pytest.mark.parametrize("what", HEARD)
def test_whatever_could_be_heard_is_sent_as_it_is(what: str) -> None:
    """Only a model knows whether somebody speaks in it."""
    audio = encoded(HEARD[what], WAV)
    [chunk] = prepared(audio, "call.wav")
    assert chunk.audio == audio


def test_the_noise_of_the_last_bit_and_a_constant_are_silence() -> None:
    """A converter without a microphone gives that."""
    last_bit = np.random.default_rng(1).integers(-1, 2, SECONDS * RATE).astype(np.int16)
    for nothing in (last_bit, NOTHING + 300, last_bit - 5000):
        assert not glance(encoded(nothing, WAV)).has_sound


def test_extremes_are_no_silence() -> None:
    """From the lowest value to the highest is more than 16 bits can count."""
    loudest = np.where(np.arange(SECONDS * RATE) % 50 < 25, -32768, 32767).astype(np.int16)
    assert glance(encoded(loudest, WAV)).has_sound


def test_what_cannot_be_decoded_to_its_end_is_not_known_to_be_silent() -> None:
    """A provider may get further than we do, so it is sent."""
    audio = encoded(NOTHING, ENCODINGS["mp3"])
    [chunk] = prepared(audio, "call.mp3", duration_seconds=SECONDS + 10)
    assert chunk.audio == audio
