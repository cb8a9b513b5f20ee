"""The member of an enum that says what is suggested, and a harmless one where nothing does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from llm_assets.emulator.schema.accepts import Unsatisfiable, accepts
from llm_assets.emulator.schema.check import Schema
from llm_assets.emulator.schema.suggestion import UNKNOWN, Scaled, Suggestion

Synonyms = Mapping[str, tuple[str, ...]]

_HARMLESS = (
    "unknown", "not_stated", "unspecified", "undetermined", "other", "none", "not_applicable", "n_a",
    "neutral",
)  # fmt: skip


def plain(text: object) -> str:
    """A name as it is compared: case, spaces, dashes and underscores do not matter."""
    return re.sub(r"[^a-z0-9]+", "_", str(text).lower()).strip("_")


def enum_values(schema: Schema) -> list[Any]:
    """The members of an enum; a constant is an enum of one."""
    return [schema["const"]] if "const" in schema else cast("list[Any]", schema["enum"])


def member(schema: Schema, suggestion: Suggestion, synonyms: Synonyms) -> Any:
    """The member that says what is suggested: by name, by a synonym, by the nearest number."""
    values = [value for value in enum_values(schema) if accepts(schema, value)]
    if not values:
        raise Unsatisfiable(f"no member of the enum {enum_values(schema)} fits the rest of its schema")
    if suggestion in (None, UNKNOWN) and None in values:
        return None
    if isinstance(suggestion, int | float | Scaled) and not isinstance(suggestion, bool):
        return _nearest(values, suggestion)
    by_name = {plain(value): value for value in reversed(values)}
    for name in (*_names(suggestion, synonyms), *_HARMLESS):
        if name in by_name:
            return by_name[name]
    return values[0]


def names_member(schema: Schema, suggestion: Suggestion, synonyms: Synonyms) -> bool:
    """Whether the enum has a member for what is suggested."""
    names = {plain(value) for value in enum_values(schema)}
    return any(name in names for name in _names(suggestion, synonyms))


def _names(suggestion: Suggestion, synonyms: Synonyms) -> tuple[str, ...]:
    if suggestion in (None, UNKNOWN) or isinstance(suggestion, list | dict | Scaled):
        return ()
    said = plain(suggestion)
    return (said, *synonyms.get(said, ()))


def _nearest(values: list[Any], suggestion: float | Scaled) -> Any:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers:
        return values[0]
    if isinstance(suggestion, Scaled):
        suggestion = suggestion.between(min(numbers), max(numbers))
    wanted = suggestion
    return min(numbers, key=lambda value: abs(value - wanted))
