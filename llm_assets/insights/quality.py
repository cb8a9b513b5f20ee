"""How good a model's answers are, and how much of a partition came from a fallback. Pure numbers.

The tables tell the same. A row of `llm_calls` is one answer: `status` is `answered` when it was valid,
`invalid_output` or `refused` when it was of no use, `failed` when none came; `fallback_reason` says why an
earlier model did not answer. An answer was repaired where the same recording, asset and model has an
`invalid_output` and an `answered` row. In an insights table `status` is how the row ended, and its
`fallback_reason` is not NULL when any of its valid answers came from a fallback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llm_assets.insights.ask import is_repair
from llm_assets.llm.requests import Outcome, OutcomeStatus

MOST_FROM_FALLBACK = 0.1
"""The share of a partition that may come from a fallback before somebody should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerQuality:
    """Of a model's answers. `valid` counts repaired ones too, `fallbacks` those for another model."""

    answers: int = 0
    valid: int = 0
    repaired: int = 0
    refused: int = 0
    invalid_output: int = 0
    fallbacks: int = 0


def quality_by_model(outcomes: Iterable[Outcome]) -> dict[str, AnswerQuality]:
    """By `provider.model`. Calls without an answer say nothing about answers."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        if outcome.answer is None:
            continue
        count = counts.setdefault(f"{outcome.provider}.{outcome.model}", Counter())
        is_valid = outcome.status is OutcomeStatus.ANSWERED
        count["answers"] += 1
        count["valid"] += is_valid
        count["repaired"] += is_valid and is_repair(outcome)
        count["refused"] += outcome.status is OutcomeStatus.REFUSED
        count["invalid_output"] += outcome.status is OutcomeStatus.INVALID_OUTPUT
        count["fallbacks"] += outcome.fallback_reason is not None
    return {name: AnswerQuality(**count) for name, count in counts.items()}


@dataclass(frozen=True, slots=True)
class FallbackShare:
    """How many rows a model answered, how many of them a fallback did, and why."""

    answered: int
    by_reason: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def from_fallback(self) -> int:
        return sum(self.by_reason.values())

    @property
    def share(self) -> float:
        """From 0 to 1; 0 where no row was answered."""
        return self.from_fallback / self.answered if self.answered else 0.0

    def is_too_much(self, most: float = MOST_FROM_FALLBACK) -> bool:
        return self.share > most


def fallback_share(rows: Iterable[tuple[str | None, str | None]]) -> FallbackShare:
    """Of the rows of a partition, each as its `model` and `fallback_reason`. No model, no answer."""
    reasons = [reason for model, reason in rows if model is not None]
    return FallbackShare(len(reasons), dict(Counter(reason for reason in reasons if reason is not None)))
