"""What is known about a field before its schema is looked at. The schema decides the form, never this.

Plain strings, numbers, booleans, lists and dicts mean themselves and None means "there is none", as
opposed to UNKNOWN: nothing is known about such a field at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class Unknown:
    """Nothing is known about a field."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

Suggestion = Any


@dataclass(frozen=True, slots=True)
class Scaled:
    """A number on a scale of its own, which may be asked for on another: 0.5 of 0…1 is 3 of 1…5."""

    value: float
    low: float
    high: float

    def between(self, low: float, high: float) -> float:
        return low + (self.value - self.low) / (self.high - self.low) * (high - low)


NOT_STATED = "not stated"
