"""Encoding and decoding: what goes in comes out, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_audio import ENCODINGS, FLAC, MP3, OPUS, RATE, WAV, encoded, hush, sound

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.decode import decode_mono
from llm_assets.recordings.encode import Encoder, Encoding


@pytest.mark.parametrize("extension", sorted(ENCODINGS))
def test_the_same_samples_give_the_same_bytes(extension: str) -> None:
    """Encoded twice, the bytes are equal: their hash decides whether a chunk was paid for already."""
    samples = sound(3)
    assert encoded(samples, ENCODINGS[extension]) == encoded(samples, ENCODINGS[extension])


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, RATE // 2), max_size=5))
def test_the_bytes_do_not_depend_on_how_samples_are_written(cuts: list[int]) -> None:
    """Written at once or in blocks of any size, the bytes are the same."""
    samples = sound(0.5)
    with Encoder(OPUS, RATE) as encoder:
        for block in np.split(samples, sorted(cuts)):
            encoder.write(block)
        assert encoder.finish() == encoded(samples, OPUS)


@pytest.mark.parametrize("encoding", [OPUS, FLAC, MP3, WAV], ids=lambda encoding: encoding.extension)
@pytest.mark.parametrize("seconds", [0.2, 1.0, 7.00123])
def test_decoding_gives_as_many_samples_as_were_encoded(encoding: Encoding, seconds: float) -> None:
    """Padding and delay of a codec are taken off again, so that times stay right."""
    samples = sound(seconds)
    assert sum(block.size for block in decode_mono(encoded(samples, encoding))) == samples.size


def test_lossless_stays_lossless() -> None:
    """FLAC of the right rate comes back sample for sample."""
    samples = sound(2)
    assert np.array_equal(np.concatenate(list(decode_mono(encoded(samples, FLAC)))), samples)


def test_blocks_are_small() -> None:
    """A long recording is decoded in blocks, never as a whole."""
    blocks = [block.size for block in decode_mono(encoded(sound(60), FLAC))]
    assert max(blocks) <= 5 * RATE
    assert sum(blocks) == 60 * RATE


def test_another_rate_keeps_the_duration() -> None:
    """44.1 kHz becomes 16 kHz, as long as before."""
    audio = encoded(sound(3, rate=44_100), WAV, rate=44_100)
    assert sum(block.size for block in decode_mono(audio)) == pytest.approx(3 * RATE, abs=RATE * 0.01)


@pytest.mark.parametrize("side", [0, 1])
def test_both_channels_are_heard(side: int) -> None:
    """A voice on one side of a stereo recording is in the mix."""
    stereo = np.zeros((2 * RATE, 2), np.int16)
    stereo[:, side] = sound(2)
    mixed = np.concatenate(list(decode_mono(encoded(stereo.reshape(-1), FLAC, channels=2))))
    assert np.abs(mixed).mean() > 10 * np.abs(hush(1)).mean()


@pytest.mark.parametrize("extension", ["ogg", "mp3", "flac", "webm"])
def test_damage_in_the_middle_costs_only_what_is_damaged(extension: str) -> None:
    """Some bytes overwritten in the middle do not end the recording there."""
    audio = bytearray(encoded(sound(20), ENCODINGS[extension]))
    middle = len(audio) // 2
    audio[middle : middle + 200] = b"\xaa" * 200
    heard = sum(block.size for block in decode_mono(bytes(audio)))
    assert 17.5 * RATE < heard <= 20.2 * RATE


def test_joined_recordings_are_heard_to_the_end() -> None:
    """Two recordings of different rate and channels, one after the other in one file, are both heard."""
    adts = Encoding("aac", "adts", "aac", bit_rate=64_000)
    stereo = np.repeat(sound(4, rate=24_000), 2)
    audio = encoded(sound(2), adts) + encoded(stereo, adts, rate=24_000, channels=2)
    assert sum(block.size for block in decode_mono(audio)) == pytest.approx(6 * RATE, abs=RATE * 0.2)


@pytest.mark.parametrize("audio", [b"", b"not audio " * 100, encoded(np.zeros(0, np.int16), WAV)])
def test_what_cannot_be_decoded_says_so(audio: bytes) -> None:
    """Nothing decodable is an error, never silence."""
    with pytest.raises(RecordingUnreadable):
        list(decode_mono(audio))
