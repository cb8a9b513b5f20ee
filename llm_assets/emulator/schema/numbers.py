"""A number within a schema's bounds, as near to what is suggested as they allow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, cast

from llm_assets.emulator.schema.accepts import Unsatisfiable, accepts
from llm_assets.emulator.schema.check import Schema
from llm_assets.emulator.schema.suggestion import Scaled, Suggestion

_TRIES = 1000


def number(schema: Schema, suggestion: Suggestion, whole: bool) -> int | float:
    """A number that the schema takes, a whole one for integers."""
    low, high = _bounds(schema, whole)
    if low > high:
        raise Unsatisfiable(f"no number lies between {low} and {high}")
    wanted = min(max(_wanted(suggestion, low, high), low), high)
    step = schema.get("multipleOf", 1 if whole else None)
    if step is None:
        return _tidy(wanted, low, high)
    for value in _multiples(wanted, step):
        result = int(value) if whole else value
        if result == value and accepts(schema, result):
            return result
    raise Unsatisfiable(f"no multiple of {step} was found between {low} and {high}")


def _bounds(schema: Schema, whole: bool) -> tuple[float, float]:
    """The least and the greatest number allowed, both included."""
    low: float = schema.get("minimum", -math.inf)
    high: float = schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None:
        low = max(low, math.floor(above) + 1 if whole else math.nextafter(above, math.inf))
    if below is not None:
        high = min(high, math.ceil(below) - 1 if whole else math.nextafter(below, -math.inf))
    return low, high


def _wanted(suggestion: Suggestion, low: float, high: float) -> float:
    if isinstance(suggestion, Scaled):
        bounded = math.isfinite(low) and math.isfinite(high)
        return suggestion.between(low, high) if bounded else suggestion.value
    if isinstance(suggestion, int | float):
        return suggestion
    if isinstance(suggestion, list):  # "how many" asked where "which" is known
        return len(cast("list[Any]", suggestion))
    found = re.search(r"-?\d+(\.\d+)?", suggestion) if isinstance(suggestion, str) else None
    return float(found[0]) if found else 0


def _tidy(wanted: float, low: float, high: float) -> float:
    """A number of few digits where one is near, since exclusive bounds leave ugly ones."""
    candidates = [round(wanted, 3)]
    if math.isfinite(low):
        candidates.append(math.ceil(low))
    if math.isfinite(high):
        candidates.append(math.floor(high))
    return next((candidate for candidate in candidates if low <= candidate <= high), wanted)


def _multiples(wanted: float, step: float) -> Iterator[int | float]:
    """Multiples of `step`, the nearest to `wanted` first."""
    centre = round(wanted / step)
    for distance in range(_TRIES):
        yield (centre + distance) * step
        yield (centre - distance) * step
