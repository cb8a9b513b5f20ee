"""Recordings to measure with: talk with pauses, as MP3. The same arguments give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm_assets.recordings.encode import Encoder, Encoding, Samples

_RATE = 16_000
_MP3 = Encoding("mp3", "mp3", "libmp3lame", bit_rate=32_000)
_WRITTEN_AT = 1_772_409_600  # in the morning of 2026-03-02
_BLOCK_SECONDS = 400  # no multiple of a chunk's length, so that no two chunks sound the same


def write_talk(path: Path, seconds: int, seed: int = 1) -> None:
    """One recording. From 400 s on the same talk is repeated, which MP3 allows."""
    block = _encoded(min(seconds, _BLOCK_SECONDS), seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, block * max(1, round(seconds / _BLOCK_SECONDS)))


def write_many(folder: Path, count: int, seconds: int) -> None:
    """Many recordings that differ in a comment only: their content, and so their id, is another one."""
    folder.mkdir(parents=True, exist_ok=True)
    talk = _encoded(seconds, seed=2)
    for number in range(count):
        _write(folder / f"{number:06}.mp3", _comment(f"{folder.name} {seconds} {number}") + talk)


def _write(path: Path, content: bytes) -> None:
    """As old as recordings usually are: one that is quite new might still be written to."""
    path.write_bytes(content)
    os.utime(path, (_WRITTEN_AT, _WRITTEN_AT))


def _comment(text: str) -> bytes:
    """An ID3 tag with one text."""
    content = b"\x00" + text.encode()
    frame = b"TIT2" + len(content).to_bytes(4) + b"\x00\x00" + content
    return b"ID3\x03\x00\x00" + bytes([0, 0, 0, len(frame)]) + frame


def _encoded(seconds: int, seed: int) -> bytes:
    with Encoder(_MP3, _RATE) as encoder:
        for turn in _turns(seconds, seed):
            encoder.write(turn)
        return encoder.finish()


def _turns(seconds: int, seed: int) -> Iterator[Samples]:
    """Turns of four seconds: a hum that wavers like syllables, and a pause as a telephone line has it."""
    random = np.random.default_rng(seed)
    for _ in range(0, seconds, 4):
        spoken = random.uniform(2.5, 3.6)
        time = np.arange(round(spoken * _RATE)) / _RATE
        hum = np.sin(2 * np.pi * random.uniform(100, 220) * time) * (0.55 + 0.45 * np.sin(8 * np.pi * time))
        yield ((hum + random.normal(0, 0.05, time.size)) * 8000).astype(np.int16)
        yield random.normal(0, 12, 4 * _RATE - time.size).astype(np.int16)
