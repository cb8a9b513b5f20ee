"""Audio for the tests: bursts of sound with pauses at known times, in any container."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from av.codec.codec import Codec, UnknownCodecError

from llm_assets.recordings.encode import FLAC, OPUS, Encoder, Encoding, Samples
from llm_assets.recordings.probe import probe
from llm_assets.records import Recording

RATE = 16_000
MP3 = Encoding("mp3", "mp3", "libmp3lame", bit_rate=32_000)
WAV = Encoding("wav", "wav", "pcm_s16le")
M4A = Encoding("m4a", "ipod", "aac", bit_rate=32_000)
WEBM = Encoding("webm", "webm", "libopus", bit_rate=24_000)
ENCODINGS = {"ogg": OPUS, "flac": FLAC, "mp3": MP3, "wav": WAV, "m4a": M4A, "webm": WEBM, "opus": OPUS}


def _can_be_made(encoding: Encoding) -> bool:
    """PyAV's wheels since version 19 read AMR and do not write it."""
    try:
        Codec(encoding.codec, "w")
    except UnknownCodecError:
        return False
    return True


# With the sample rate that each of them takes.
_OTHERS = {
    "aac": (Encoding("aac", "adts", "aac", bit_rate=32_000), 16_000),
    "amr": (Encoding("amr", "amr", "libopencore_amrnb", bit_rate=12_200), 8_000),
    "wma": (Encoding("wma", "asf", "wmav2", bit_rate=32_000), 16_000),
    "mkv": (Encoding("mkv", "matroska", "libopus", bit_rate=24_000), 16_000),
    "mov": (Encoding("mov", "mov", "aac", bit_rate=32_000), 16_000),
    "mp4": (Encoding("mp4", "mp4", "aac", bit_rate=32_000), 16_000),
    "avi": (Encoding("avi", "avi", "libmp3lame", bit_rate=32_000), 16_000),
    "3gp": (Encoding("3gp", "3gp", "libopencore_amrnb", bit_rate=12_200), 8_000),
    "aiff": (Encoding("aiff", "aiff", "pcm_s16be"), 16_000),
    "caf": (Encoding("caf", "caf", "alac"), 16_000),
}
OTHERS = {name: (encoding, rate) for name, (encoding, rate) in _OTHERS.items() if _can_be_made(encoding)}


def sound(seconds: float, rate: int = RATE, seed: int = 1) -> Samples:
    """A hum whose loudness wavers like syllables do, never silent."""
    moments = np.arange(round(seconds * rate)) / rate
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * moments)
    noise = np.random.default_rng(seed).normal(0, 0.05, moments.size)
    return ((np.sin(2 * np.pi * 180 * moments) * syllables + noise) * 8000).astype(np.int16)


def hush(seconds: float, rate: int = RATE, seed: int = 2) -> Samples:
    """A pause as a telephone line has it: quiet, not zero."""
    return np.random.default_rng(seed).normal(0, 12, round(seconds * rate)).astype(np.int16)


def talk(turns: Sequence[tuple[float, float]]) -> tuple[Samples, list[tuple[float, float]]]:
    """Turns of (seconds of sound, seconds of pause); the samples, and where the pauses begin and end."""
    parts: list[Samples] = []
    pauses: list[tuple[float, float]] = []
    position = 0.0
    for number, (spoken, pause) in enumerate(turns):
        parts += [sound(spoken, seed=number), hush(pause, seed=number)]
        pauses.append((position + spoken, position + spoken + pause))
        position += spoken + pause
    return np.concatenate(parts), pauses


def encoded(samples: Samples, encoding: Encoding, rate: int = RATE, channels: int = 1) -> bytes:
    with Encoder(encoding, rate, channels) as encoder:
        encoder.write(samples)
        return encoder.finish()


def put(root: Path, path: str, content: bytes) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    finished(target)
    return target


def finished(file: Path) -> None:
    """Half a minute old, so that nobody can be taken to be still writing it."""
    half_a_minute_ago = time.time() - 30
    os.utime(file, (half_a_minute_ago, half_a_minute_ago))


def recording_of(audio: bytes, name: str, duration_seconds: float | None = None) -> Recording:
    """What is known of `audio` once it was probed; `duration_seconds` says otherwise than the file."""
    facts = probe(audio, name)
    return Recording(
        partition_date=date(2026, 3, 2),
        recording_id="0123456789abcdef0123",
        path=f"2026-03-02/{name}",
        file_name=name,
        size_bytes=len(audio),
        sha256="",
        format=facts.format,
        codec=facts.codec,
        channels=facts.channels,
        duration_seconds=duration_seconds or facts.duration_seconds,
    )
