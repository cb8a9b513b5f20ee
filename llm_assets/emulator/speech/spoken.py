"""What recognition gives: words with their times, grouped between pauses. Times in seconds from the start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word and when it was said."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words said between two pauses, and the same as a sentence. Never empty.

    `pitch_hz` is the pitch of the voice, 0 where there is none.
    """

    text: str
    words: tuple[Word, ...]
    pitch_hz: float = 0.0

    @property
    def start_seconds(self) -> float:
        return self.words[0].start_seconds

    @property
    def end_seconds(self) -> float:
        return self.words[-1].end_seconds


@dataclass(frozen=True, slots=True)
class Speech:
    """All that was recognised in one recording. `to_json` and `from_json` carry it between processes."""

    stretches: tuple[Stretch, ...]
    duration_seconds: float

    @property
    def text(self) -> str:
        return " ".join(stretch.text for stretch in self.stretches)

    def to_json(self) -> str:
        stretches = [
            [part.text, [[w.text, w.start_seconds, w.end_seconds] for w in part.words], part.pitch_hz]
            for part in self.stretches
        ]
        return json.dumps([self.duration_seconds, stretches])

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        duration_seconds, stretches = json.loads(text)
        made = (Stretch(said, tuple(Word(*word) for word in words), hz) for said, words, hz in stretches)
        return cls(tuple(made), duration_seconds)


def fixed_speech(text: str) -> Speech:
    """A text as if it had been said word by word, two words a second."""
    words = tuple(Word(word, index / 2, index / 2 + 0.4) for index, word in enumerate(text.split()))
    return Speech((Stretch(text, words),) if words else (), max(len(words), 1) / 2)


class UndecodableAudio(Exception):
    """The bytes are no audio that FFmpeg can decode."""


class Stopped(Exception):
    """The emulator is shutting down."""


class RecognizerCrashed(Exception):
    """A worker process died over this recording; the next ones get a new one."""
