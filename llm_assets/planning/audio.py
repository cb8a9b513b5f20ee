"""The audio of a run for a transcription model, added up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.pricing import AUDIO_TOKENS_PER_SECOND, is_billed_by_time
from llm_assets.usage import Usage

# Of models that are paid for by tokens: of audio, and of what is said in it.
_LEAST_TOKENS_HEARD_PER_SECOND = 10
_MOST_TOKENS_SAID_PER_SECOND = 5


@dataclass(slots=True)
class PlannedAudio:
    """Adds up the audio that will be sent to `model`, in seconds, at least and at most."""

    model: ModelConfig
    requests: int = 0
    calls: int = 0
    in_parts: int = 0
    least_seconds: float = 0.0
    most_seconds: float = 0.0

    def add(self, least_seconds: float, most_seconds: float, calls: int) -> None:
        """One more recording, sent in so many calls."""
        self.requests += 1
        self.calls += calls
        self.in_parts += calls > 1
        self.least_seconds += least_seconds
        self.most_seconds += most_seconds

    def usages(self) -> tuple[Usage, Usage]:
        """What they use at least and at most: nobody may be speaking, and nobody speaks without a break."""
        is_by_time = is_billed_by_time(self.model)
        return (
            _heard(self.least_seconds, 0.0 if is_by_time else _LEAST_TOKENS_HEARD_PER_SECOND, 0.0),
            _heard(
                self.most_seconds,
                0.0 if is_by_time else AUDIO_TOKENS_PER_SECOND,
                0.0 if is_by_time else _MOST_TOKENS_SAID_PER_SECOND,
            ),
        )


def _heard(seconds: float, input_rate: float, output_rate: float) -> Usage:
    return Usage(
        input_tokens=math.ceil(seconds * input_rate),
        output_tokens=math.ceil(seconds * output_rate),
        audio_seconds=seconds,
    )
