"""A string of the format, pattern and length that a schema asks for, the suggested one where it fits."""

from __future__ import annotations

import re
from typing import Any, cast

from llm_assets.emulator.schema.accepts import Unsatisfiable, accepts
from llm_assets.emulator.schema.check import Schema
from llm_assets.emulator.schema.pattern import string_for
from llm_assets.emulator.schema.suggestion import NOT_STATED, UNKNOWN, Scaled, Suggestion

# By format: what any value looks like, and one that says nothing, from the ranges kept for documentation.
_FORMATS = {
    "date-time": (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "1970-01-01T00:00:00Z"),
    "date": (r"\d{4}-\d\d-\d\d", "1970-01-01"),
    "time": (r"\d\d:\d\d:\d\dZ", "00:00:00Z"),
    "duration": (r"PT\d+S", "PT0S"),
    "email": (r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "unknown@example.com"),
    "hostname": (r"[a-z0-9-]+(\.[a-z0-9-]+)+", "example.com"),
    "ipv4": (r"(\d{1,2}\.){3}\d{1,2}", "192.0.2.1"),
    "ipv6": (r"2001:db8::\d+", "2001:db8::1"),
    "uuid": (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "00000000-0000-0000-0000-000000000000"),
}


def string(schema: Schema, suggestion: Suggestion) -> str:
    """A string that the schema takes."""
    text = text_of(suggestion)
    shape, sample = _FORMATS.get(schema.get("format", ""), (None, None))
    if accepts(schema, text) and (shape is None or re.fullmatch(shape, text)):
        return text
    made = string_for(schema["pattern"]) if "pattern" in schema else None
    for candidate in (sample, NOT_STATED, made, _sized(schema, text)):
        if candidate is not None and accepts(schema, candidate):
            return candidate
    raise Unsatisfiable(f"no string was found for {schema}")


def text_of(suggestion: Suggestion) -> str:
    """Any suggestion in words; of an object, what it says first."""
    if suggestion is UNKNOWN or suggestion is None:
        return NOT_STATED
    if isinstance(suggestion, list):
        return "; ".join(text_of(part) for part in cast("list[Any]", suggestion)) or "none"
    if isinstance(suggestion, dict):
        return text_of(next(iter(cast("dict[str, Any]", suggestion).values()), UNKNOWN))
    return str(suggestion.value) if isinstance(suggestion, Scaled) else str(suggestion)


def _sized(schema: Schema, text: str) -> str:
    longest = schema.get("maxLength", len(text))
    return text[:longest].ljust(schema.get("minLength", 0), ".")
