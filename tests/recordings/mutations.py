"""Recordings of every format, damaged in the ways that uploads, disks and attackers damage them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from made_audio import ENCODINGS, OTHERS, RATE, encoded, talk

_RATES = dict.fromkeys(ENCODINGS, RATE) | {name: rate for name, (_, rate) in OTHERS.items()}


def sound_recordings() -> dict[str, bytes]:
    """One of each format, some seconds long."""
    encodings = ENCODINGS | {name: encoding for name, (encoding, _) in OTHERS.items()}
    samples, _ = talk([(1.7, 0.5), (2.1, 0.4)])
    return {
        name: encoded(samples if _RATES[name] == RATE else samples[::2].copy(), encoding, _RATES[name])
        for name, encoding in encodings.items()
    }


def mutated(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """File names and contents, the same for the same seed; formats and kinds of damage in turns."""
    sound = sound_recordings()
    dice = random.Random(seed)
    kinds = (_flipped, _truncated, _spliced, _header_damaged, _repeated, _noise)
    for number in range(count):
        extension = sorted(sound)[number % len(sound)]
        other = sound[dice.choice(sorted(sound))]
        damage = kinds[number // len(sound) % len(kinds)]
        yield f"{number:05d}.{extension}", damage(sound[extension], other, dice)


def _flipped(audio: bytes, _: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(audio)
    for _bit in range(dice.choice([1, 10, 200, 2000])):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def _truncated(audio: bytes, _: bytes, dice: random.Random) -> bytes:
    return audio[: dice.randrange(1, len(audio))]


def _spliced(audio: bytes, other: bytes, dice: random.Random) -> bytes:
    """The beginning of one format, the rest of another."""
    return audio[: dice.choice([8, 64, 500, len(audio) // 2])] + other[dice.randrange(len(other)) :]


def _header_damaged(audio: bytes, _: bytes, dice: random.Random) -> bytes:
    """Sizes, counts and rates become extreme."""
    damaged = bytearray(audio)
    for _field in range(dice.choice([1, 3, 8])):
        begin = dice.randrange(min(len(audio) - 8, 400))
        width = dice.choice([1, 2, 4, 8])
        damaged[begin : begin + width] = dice.choice([b"\xff", b"\x00", b"\x7f", b"\x80"]) * width
    return bytes(damaged)


def _repeated(audio: bytes, _: bytes, dice: random.Random) -> bytes:
    """A part of it over and over, so that tables point to themselves."""
    begin = dice.randrange(len(audio))
    return audio[:begin] + audio[begin : begin + dice.choice([4, 100, 3000])] * dice.choice([2, 50])


def _noise(audio: bytes, _: bytes, dice: random.Random) -> bytes:
    begin = dice.randrange(len(audio))
    return audio[:begin] + dice.randbytes(dice.choice([1, 50, 5000])) + audio[begin + 50 :]
