"""How good a model's answers are: valid, repaired, refused, invalid. Pure numbers.

The view `model_quality` tells the same of the tables: a row of `llm_calls` is one answer, whose `status` is
`answered` when it was valid, `invalid_output` or `refused` when it was of no use, `failed` when none came;
`fallback_reason` says why an earlier model did not answer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from llm_assets.insights.ask import is_repair
from llm_assets.llm.requests import Outcome, OutcomeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerQuality:
    """Of a model's answers. `valid` counts repaired ones too, `fallbacks` those for another model."""

    answers: int = 0
    valid: int = 0
    repaired: int = 0
    refused: int = 0
    invalid_output: int = 0
    fallbacks: int = 0


class QualityCounts:
    """Answers counted by model as they come. Calls without an answer say nothing about answers."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        if outcome.answer is None:
            return
        count = self._counts.setdefault(f"{outcome.provider}.{outcome.model}", Counter())
        is_valid = outcome.status is OutcomeStatus.ANSWERED
        count["answers"] += 1
        count["valid"] += is_valid
        count["repaired"] += is_valid and is_repair(outcome)
        count["refused"] += outcome.status is OutcomeStatus.REFUSED
        count["invalid_output"] += outcome.status is OutcomeStatus.INVALID_OUTPUT
        count["fallbacks"] += outcome.fallback_reason is not None

    def by_model(self) -> dict[str, AnswerQuality]:
        """By `provider.model`."""
        return {name: AnswerQuality(**count) for name, count in self._counts.items()}
