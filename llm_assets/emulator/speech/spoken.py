"""What recognition gives: words with their times, grouped between pauses. Times in seconds from the start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word and when it was said."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words said between two pauses, and the same as a sentence. Never empty."""

    text: str
    words: tuple[Word, ...]

    @property
    def start_seconds(self) -> float:
        return self.words[0].start_seconds

    @property
    def end_seconds(self) -> float:
        return self.words[-1].end_seconds


@dataclass(frozen=True, slots=True)
class Speech:
    """All that was recognised in one recording."""

    stretches: tuple[Stretch, ...]
    duration_seconds: float

    @property
    def text(self) -> str:
        return " ".join(stretch.text for stretch in self.stretches)


class UndecodableAudio(Exception):
    """The bytes are no audio that FFmpeg can decode."""


class Stopped(Exception):
    """The emulator is shutting down."""


class RecognizerCrashed(Exception):
    """A worker process died over this recording; the next ones get new workers."""
