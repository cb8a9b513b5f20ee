"""Turn a recording into the audio chunks that go to a provider.

What a provider takes as it is goes as it is: a second lossy encoding costs accuracy. Chunks are yielded
one by one, and the same recording with the same limits gives the same bytes (see `encode`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from llm_assets.recordings.decode import SAMPLE_RATE, decode_mono
from llm_assets.recordings.encode import FLAC, OPUS, Encoder, Encoding
from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.split import split_at_pauses
from llm_assets.records import AudioChunk, Recording

# Container to the extension a provider knows it by; `.oga` and `.opus` are not on OpenAI's list.
_TAKEN_FORMATS = {
    "flac": "flac",
    "mp3": "mp3",
    "ogg": "ogg",
    "wav": "wav",
    "webm": "webm",
    "mp4": "mp4",
    "m4a": "m4a",
    "mov": "mp4",
}
_TAKEN_CODECS = frozenset(
    {"aac", "flac", "mp3", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"}
)
_ENCODINGS: dict[str, Encoding] = {"opus": OPUS, "flac": FLAC}


def prepare_chunks(audio: bytes, recording: Recording, limits: ChunkLimits) -> Iterator[AudioChunk]:
    """The chunks of one recording in order; together they are the whole of it, without overlap.

    Raises:
        RecordingUnreadable: it cannot be decoded.
    """
    extension = _taken_as(recording)
    if extension is not None and limits.fits(recording):
        yield AudioChunk(
            index=0,
            start_seconds=0.0,
            end_seconds=recording.duration_seconds or 0.0,
            audio=audio,
            file_name=f"{recording.recording_id}.{extension}",
        )
        return
    yield from _cut(audio, recording, limits)


def _taken_as(recording: Recording) -> str | None:
    if recording.codec not in _TAKEN_CODECS:
        return None
    return _TAKEN_FORMATS.get(recording.format or "")


def _cut(audio: bytes, recording: Recording, limits: ChunkLimits) -> Iterator[AudioChunk]:
    encoding = _ENCODINGS[limits.encoding]
    every_seconds, window_seconds = _cadence(recording.duration_seconds, limits, encoding)
    pieces = split_at_pauses(decode_mono(audio), SAMPLE_RATE, every_seconds, window_seconds)
    index, start, end = 0, 0, 0  # in samples, so that times add up exactly
    encoder: Encoder | None = None
    for piece in pieces:
        encoder = encoder or Encoder(encoding, SAMPLE_RATE)
        encoder.write(piece.samples)
        end += piece.samples.size
        if not piece.ends_chunk:
            continue
        yield AudioChunk(
            index=index,
            start_seconds=start / SAMPLE_RATE,
            end_seconds=end / SAMPLE_RATE,
            audio=encoder.finish(),
            file_name=f"{recording.recording_id}-{index:03d}.{encoding.extension}",
        )
        index, start, encoder = index + 1, end, None


def _cadence(duration_seconds: float | None, limits: ChunkLimits, encoding: Encoding) -> tuple[float, float]:
    """Every how many seconds to cut, and the window around it, so that no chunk breaks a limit."""
    most_seconds = min(limits.max_seconds, limits.max_bytes / encoding.most_bytes_per_second(SAMPLE_RATE))
    window_seconds = min(limits.window_seconds, limits.target_seconds / 2, most_seconds / 4)
    aim_seconds = min(limits.target_seconds, most_seconds - window_seconds)
    if not duration_seconds:
        return aim_seconds, window_seconds
    return duration_seconds / math.ceil(duration_seconds / aim_seconds), window_seconds
