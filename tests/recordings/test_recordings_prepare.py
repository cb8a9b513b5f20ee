"""Preparing chunks: the original where it can go, else cut in pauses with times that add up."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from made_audio import ENCODINGS, FLAC, OPUS, RATE, WAV, encoded, hush, recording_of, sound, talk

from llm_assets.errors import ConfigurationError, RecordingSilent, RecordingUnreadable
from llm_assets.recordings.decode import decode_mono
from llm_assets.recordings.encode import Encoding, Samples
from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.recordings.probe import probe
from llm_assets.records import AudioChunk

DAY = date(2026, 3, 2)
SHORT = ChunkLimits(max_seconds=9, target_seconds=6, window_seconds=3)
CALL, PAUSES = talk([(1.7, 0.5), (2.1, 0.4), (1.2, 0.6), (2.4, 0.5)] * 2)


def prepared(audio: bytes, name: str, limits: ChunkLimits) -> list[AudioChunk]:
    return list(prepare_chunks(audio, recording_of(audio, name), limits))


@pytest.mark.parametrize("extension", sorted(ENCODINGS))
def test_what_a_provider_takes_goes_as_it_is(extension: str) -> None:
    """Within the limits the original bytes are the one chunk, under a name a provider knows."""
    audio = encoded(sound(6), ENCODINGS[extension])
    [chunk] = prepared(audio, f"call.{extension}", ChunkLimits())
    assert chunk.audio == audio
    known = "ogg" if extension == "opus" else extension
    assert chunk.file_name == f"0123456789abcdef0123.{known}"
    assert (chunk.index, chunk.start_seconds) == (0, 0.0)
    assert chunk.end_seconds == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        (Encoding("mka", "matroska", "libopus"), "call.mka"),
        (Encoding("wav", "wav", "adpcm_ima_wav"), "call.wav"),
        (Encoding("aac", "adts", "aac"), "call.aac"),
    ],
    ids=["container", "codec", "neither"],
)
def test_what_a_provider_does_not_take_is_encoded_again(encoding: Encoding, name: str) -> None:
    """Another container or codec becomes Opus in Ogg, as long as it was."""
    audio = encoded(sound(6), encoding)
    [chunk] = prepared(audio, name, ChunkLimits())
    facts = probe(chunk.audio, chunk.file_name)
    assert (facts.format, facts.codec) == ("ogg", "opus")
    assert facts.duration_seconds == pytest.approx(6, abs=0.2)
    assert chunk.file_name.endswith(".ogg")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_s64le", "pcm_f64le"])
def test_samples_of_every_size_are_heard(codec: str, channels: int) -> None:
    """Also those that can be decoded and not looked into."""
    audio = encoded(sound(6), Encoding("wav", "wav", codec), channels=channels)
    [chunk] = prepared(audio, "call.wav", ChunkLimits())
    assert chunk.audio_seconds == pytest.approx(6 / channels, abs=0.1)


def test_chunks_are_cut_in_pauses() -> None:
    """Too long for the model, a call is cut within pauses, to 50 ms of their middle."""
    chunks = prepared(encoded(CALL, FLAC), "call.flac", SHORT)
    assert len(chunks) == 4
    for chunk in chunks[:-1]:
        assert min(abs((begin + end) / 2 - chunk.end_seconds) for begin, end in PAUSES) <= 0.05


@pytest.mark.parametrize("extension", sorted(ENCODINGS))
@pytest.mark.parametrize("encoding", ["opus", "flac"])
def test_times_are_continuous_and_add_up(extension: str, encoding: Any) -> None:
    """Chunks begin where the one before ended, and are together as long as the recording."""
    audio = encoded(CALL, ENCODINGS[extension])
    limits = ChunkLimits(max_seconds=9, target_seconds=6, window_seconds=3, encoding=encoding)
    recording = recording_of(audio, f"call.{extension}")
    chunks = list(prepare_chunks(audio, recording, limits))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert chunks[0].start_seconds == 0
    for before, after in pairwise(chunks):
        assert after.start_seconds == before.end_seconds
    assert sum(chunk.duration_seconds for chunk in chunks) == pytest.approx(
        recording.duration_seconds, abs=0.1
    )


@pytest.mark.parametrize("encoding", ["opus", "flac"])
def test_a_chunk_holds_the_audio_of_its_times(encoding: Any) -> None:
    """Decoded again, every chunk is exactly as long as its times say, and none breaks a limit."""
    limits = ChunkLimits(
        max_bytes=250_000, max_seconds=9, target_seconds=6, window_seconds=3, encoding=encoding
    )
    chunks = prepared(encoded(CALL, WAV), "call.wav", limits)
    extension = "ogg" if encoding == "opus" else "flac"
    for chunk in chunks:
        assert sum(block.size for block in decode_mono(chunk.audio)) == round(chunk.duration_seconds * RATE)
        assert chunk.duration_seconds <= 9
        assert len(chunk.audio) <= 250_000
        assert chunk.file_name == f"0123456789abcdef0123-{chunk.index:03d}.{extension}"


def test_too_many_bytes_alone_make_chunks() -> None:
    """A recording above the size limit is encoded again, and cut when even that is too much."""
    audio = encoded(sound(30), WAV)
    [chunk] = prepared(audio, "call.wav", ChunkLimits(max_bytes=500_000))
    assert len(chunk.audio) < 500_000
    chunks = prepared(audio, "call.wav", ChunkLimits(max_bytes=60_000))
    assert len(chunks) > 1
    assert max(len(chunk.audio) for chunk in chunks) <= 60_000


@pytest.mark.parametrize("max_seconds", [4.7, 6.3, 9.4])
def test_the_limit_of_the_model_goes_before_the_target(max_seconds: float) -> None:
    """However cuts are moved into pauses, no chunk is longer than the model takes."""
    chunks = prepared(encoded(CALL, WAV), "call.wav", ChunkLimits(max_seconds=max_seconds))
    assert max(chunk.duration_seconds for chunk in chunks) <= max_seconds


def test_chunks_are_even() -> None:
    """No tiny rest is left at the end: a chunk of half a second is a chunk to hallucinate on."""
    chunks = prepared(encoded(CALL[: 18 * RATE + 3000], FLAC), "call.flac", SHORT)
    assert len(chunks) == 4
    assert min(chunk.duration_seconds for chunk in chunks) > 2


@pytest.mark.parametrize("claimed", [1.0, 1000.0])
def test_a_wrong_duration_breaks_no_limit(claimed: float) -> None:
    """Where the row's duration is wrong, chunks keep within the limits and nothing is lost."""
    audio = encoded(CALL, Encoding("mka", "matroska", "flac"))
    chunks = list(prepare_chunks(audio, recording_of(audio, "call.mka", claimed), SHORT))
    assert max(chunk.duration_seconds for chunk in chunks) <= 9
    assert chunks[-1].end_seconds == pytest.approx(CALL.size / RATE)


def test_prepared_twice_the_chunks_are_the_same() -> None:
    """The same recording with the same limits gives the same bytes, so nothing is paid for twice."""
    audio = encoded(CALL, OPUS)
    assert prepared(audio, "call.ogg", SHORT) == prepared(audio, "call.ogg", SHORT)


def test_a_recording_that_cannot_be_decoded_is_an_error() -> None:
    """There are no chunks of what is not audio."""
    recording = recording_of(encoded(sound(6), Encoding("mka", "matroska", "flac")), "call.mka")
    with pytest.raises(RecordingUnreadable):
        list(prepare_chunks(b"not audio " * 100, recording, ChunkLimits()))


def sides(left: Samples, right: Samples) -> bytes:
    return encoded(np.stack((left, right), axis=1).reshape(-1), FLAC, channels=2)


def apart(audio: bytes, longest_silence_seconds: float | None = 2.0) -> list[AudioChunk]:
    listening = Listening(channels="split", longest_silence_seconds=longest_silence_seconds)
    return list(prepare_chunks(audio, recording_of(audio, "call.flac"), SHORT, listening))


def rms(audio: bytes) -> float:
    return float(np.sqrt(np.square(np.concatenate(list(decode_mono(audio))).astype(float)).mean()))


def test_long_silences_are_left_out_and_times_stay_right() -> None:
    """The spans tell where a chunk's audio comes from; beside speech, half a second of silence stays."""
    call, _ = talk([(3.0, 6.0), (4.0, 1.0), (2.0, 9.0), (2.5, 4.0)])
    [chunk] = prepared(encoded(call, Encoding("mka", "matroska", "flac")), "call.mka", ChunkLimits())
    expected = [(0, 3.5), (8.5, 16.5), (24.5, 28.0)]
    for span, (begin, end) in zip(chunk.spans, expected, strict=True):
        assert (span.start_seconds, span.end_seconds) == pytest.approx((begin, end), abs=0.07)
    assert (chunk.start_seconds, chunk.end_seconds) == pytest.approx((0, 28.0), abs=0.07)
    assert chunk.speech_seconds == pytest.approx(11.5, abs=0.6)
    samples = sum(block.size for block in decode_mono(chunk.audio))
    assert samples / RATE == pytest.approx(chunk.audio_seconds, abs=0.001)


def test_silence_can_be_kept() -> None:
    """Without a longest silence, chunks are all of the recording."""
    call, _ = talk([(3.0, 6.0), (4.0, 1.0)])
    audio = encoded(call, Encoding("mka", "matroska", "flac"))
    listening = Listening(longest_silence_seconds=None)
    [chunk] = prepare_chunks(audio, recording_of(audio, "call.mka"), ChunkLimits(), listening)
    assert (chunk.spans, chunk.start_seconds, chunk.end_seconds) == ((), 0, 14)


def test_a_recording_without_a_sound_has_nothing_to_send() -> None:
    """Silence from beginning to end is a reason, not a chunk to pay for."""
    audio = encoded(hush(30), Encoding("mka", "matroska", "flac"))
    with pytest.raises(RecordingSilent, match="silent from beginning to end"):
        prepared(audio, "call.mka", ChunkLimits())


def test_channels_are_heard_apart() -> None:
    """With `split` each channel has chunks of its own, numbered together, with its own voice in them."""
    quiet = (CALL / 4).astype(np.int16)[::-1]
    chunks = apart(sides(CALL, quiet))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.channel for chunk in chunks} == {0, 1}
    assert len({chunk.file_name for chunk in chunks}) == len(chunks)
    for channel, voice in enumerate((CALL, quiet)):
        own = [chunk for chunk in chunks if chunk.channel == channel]
        assert sum(chunk.audio_seconds for chunk in own) == pytest.approx(CALL.size / RATE, abs=1.1)
        assert max(chunk.duration_seconds for chunk in own) <= 9
        expected = float(np.sqrt(np.square(voice.astype(float)).mean()))
        assert np.mean([rms(chunk.audio) for chunk in own]) == pytest.approx(expected, rel=0.15)


def test_a_silent_channel_has_no_chunks() -> None:
    """What nobody speaks on is not sent, and holds nothing up."""
    chunks = apart(sides(hush(CALL.size / RATE), CALL))
    assert {chunk.channel for chunk in chunks} == {1}


def test_one_channel_twice_is_one() -> None:
    """Two channels with the same on both are mixed, and go as they are where they can."""
    audio = sides(CALL, CALL)
    assert {chunk.channel for chunk in apart(audio)} == {None}
    [whole] = prepare_chunks(
        audio, recording_of(audio, "call.flac"), ChunkLimits(), Listening(channels="split")
    )
    assert whole.audio == audio


def test_one_channel_has_nothing_to_split() -> None:
    """A mono recording with `split` is prepared as with `mix`."""
    audio = encoded(CALL, FLAC)
    assert apart(audio) == prepared(audio, "call.flac", SHORT)


def test_a_call_is_taken_apart_even_where_one_piece_would_do() -> None:
    """An original with two voices is not sent as it is when they are to be heard apart."""
    audio = sides(CALL, CALL[::-1])
    chunks = prepare_chunks(
        audio, recording_of(audio, "call.flac"), ChunkLimits(), Listening(channels="split")
    )
    assert [chunk.channel for chunk in chunks] == [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_bytes": 0},
        {"max_seconds": -1.0},
        {"target_seconds": 0.0},
        {"window_seconds": 0.0},
        {"encoding": "mp3"},
    ],
    ids=str,
)
def test_limits_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    """A limit of nothing, or an encoding that is none, fails when it is built and names itself."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        ChunkLimits(**wrong)
