"""How large a chunk may be, and how recordings are listened to. Free of heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llm_assets.errors import ConfigurationError
from llm_assets.records import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLimits:
    """How large a chunk may be, in bytes and in seconds, and how long chunks should be where cut.

    `max_seconds` is the model's own limit. Cuts are sought within `window_seconds` around their aim.
    """

    max_bytes: int = 25_000_000
    max_seconds: float = 1400.0
    target_seconds: float = 300.0
    window_seconds: float = 20.0
    encoding: Literal["opus", "flac"] = "opus"

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_seconds", "target_seconds", "window_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"ChunkLimits.{name} is {getattr(self, name)}; it must be above 0")
        if self.encoding not in ("opus", "flac"):
            raise ConfigurationError(f"ChunkLimits.encoding is {self.encoding!r}; it can be opus or flac")

    def fits(self, recording: Recording) -> bool:
        """Whether the original is within the limits; a recording of unknown duration is not."""
        seconds = recording.duration_seconds
        return seconds is not None and seconds <= self.max_seconds and recording.size_bytes <= self.max_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How a recording that is cut or encoded again is listened to.

    `split` hears each channel on its own. Silences longer than `longest_silence_seconds` are left out but
    for half a second at either side; None keeps them.
    """

    channels: Literal["mix", "split"] = "mix"
    longest_silence_seconds: float | None = 2.0
