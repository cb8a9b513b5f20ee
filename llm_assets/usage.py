"""Usage is what happened; limits and budgets are what is allowed. They are never the same type."""

from __future__ import annotations

from typing import NamedTuple


class Usage(NamedTuple):
    """What one or several answers consumed.

    `input_tokens` includes `cached_tokens` (read from the provider's cache) and `cache_write_tokens`
    (written to it, at a surcharge); `audio_seconds` is what per-minute models bill. `is_estimated`: the
    provider did not tell all of it, or nothing that could be true, and what is missing was estimated.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    audio_seconds: float = 0.0
    cache_write_tokens: int = 0
    is_estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.audio_seconds + other.audio_seconds,
            self.cache_write_tokens + other.cache_write_tokens,
            self.is_estimated or other.is_estimated,
        )
