"""One answer from the answers for the parts of a long call, by plain rules.

The parts come as lines of JSON in a message. Lists are joined, numbers averaged, of names the most frequent
wins, and of equals the last, since a call is known by how it ends. A model that is asked for one to three
passages does not name a hundred because there were a hundred parts, so lists and texts have an end; asked for
something much shorter, an early one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from llm_assets.emulator.schema.check import Schema
from llm_assets.emulator.schema.suggestion import UNKNOWN, Suggestion

Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Length:
    """The most items of a list, and the most sentences of a text."""

    items: int
    sentences: int


_USUAL, _BRIEF = _Length(12, 4), _Length(2, 1)
_BRIEFLY = "much shorter"
_SENTENCE = re.compile(r"(?<=[.!?]) ")


def part_answers(user_messages: Iterable[str]) -> list[Part]:
    """The answers in the last message that holds at least two, or one that is to become much shorter; none
    where nothing is to be merged."""
    for text in reversed(list(user_messages)):
        parts = [part for line in text.splitlines() if (part := _object(line)) is not None]
        if len(parts) > 1 or (parts and _BRIEFLY in text):
            return parts
    return []


def merged(parts: list[Part], user_messages: Iterable[str]) -> Callable[[str, Schema], Suggestion]:
    """What is known about a field when these parts are known."""
    length = _BRIEF if any(_BRIEFLY in text for text in user_messages) else _USUAL

    def suggest(name: str, schema: Schema) -> Suggestion:
        values = [part[name] for part in parts if name in part]
        return _merged(values, schema, length) if values else UNKNOWN

    return suggest


def _object(line: str) -> Part | None:
    if not line.startswith("{"):
        return None
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return cast(Part, found) if isinstance(found, dict) else None


def _merged(values: list[Any], schema: Schema, length: _Length) -> Suggestion:
    given = [value for value in values if value is not None]
    if not given:
        return None
    first = given[0]
    if isinstance(first, bool):
        return any(given)
    if isinstance(first, int | float):
        return sum(given) / len(given)
    if isinstance(first, list):
        joined = Counter(json.dumps(item) for value in given for item in value)
        most = {item for item, _ in joined.most_common(length.items)}
        return [json.loads(item) for item in joined if item in most]
    if isinstance(first, dict):
        names = dict.fromkeys(name for value in given for name in value)
        return {
            name: _merged([value[name] for value in given if name in value], {}, length) for name in names
        }
    if "enum" not in schema and " " in str(first):
        sentences = (sentence for text in given for sentence in _SENTENCE.split(text))
        return " ".join(list(dict.fromkeys(sentences))[: length.sentences])
    return Counter(reversed(given)).most_common(1)[0][0]
