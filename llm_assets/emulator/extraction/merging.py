"""One answer from the answers for the parts of a long call, by plain rules.

The parts come as lines of JSON in a message. Lists are joined, numbers averaged, of names the most frequent
wins, and of equals the last, since a call is known by how it ends.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, cast

from llm_assets.emulator.schema.check import Schema
from llm_assets.emulator.schema.suggestion import UNKNOWN, Suggestion

Part = dict[str, Any]


def part_answers(user_messages: Iterable[str]) -> list[Part]:
    """The answers in the last message that holds at least two, none where nothing is to be merged."""
    for text in reversed(list(user_messages)):
        parts = [part for line in text.splitlines() if (part := _object(line)) is not None]
        if len(parts) > 1:
            return parts
    return []


def merged(parts: list[Part]) -> Callable[[str, Schema], Suggestion]:
    """What is known about a field when these parts are known."""

    def suggest(name: str, schema: Schema) -> Suggestion:
        values = [part[name] for part in parts if name in part]
        return _merged(values, schema) if values else UNKNOWN

    return suggest


def _object(line: str) -> Part | None:
    if not line.startswith("{"):
        return None
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return cast(Part, found) if isinstance(found, dict) else None


def _merged(values: list[Any], schema: Schema) -> Suggestion:
    given = [value for value in values if value is not None]
    if not given:
        return None
    first = given[0]
    if isinstance(first, bool):
        return any(given)
    if isinstance(first, int | float):
        return sum(given) / len(given)
    if isinstance(first, list):
        joined = [json.dumps(item) for value in given for item in value]
        return [json.loads(item) for item in dict.fromkeys(joined)]
    if isinstance(first, dict):
        names = dict.fromkeys(name for value in given for name in value)
        return {name: _merged([value[name] for value in given if name in value], {}) for name in names}
    if "enum" not in schema and " " in str(first):
        return " ".join(dict.fromkeys(given))
    return Counter(reversed(given)).most_common(1)[0][0]
