"""A mapping as strict schemas write it, a list of keys and values: no key stands there twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from llm_assets.emulator.schema.accepts import accepts
from llm_assets.emulator.schema.check import Schema, as_schema
from llm_assets.emulator.schema.enums import enum_values

_ENTRY = {"key", "value"}
_MOST_TRIES = 1000


def is_entry(schema: Schema) -> bool:
    """Whether a list of these is a mapping."""
    return as_schema(schema.get("properties")).keys() == _ENTRY


def with_distinct_keys(entries: list[dict[str, Any]], key_schema: Schema, least: int) -> list[dict[str, Any]]:
    """The first of every key, and others in the place of the rest as far as it takes `least` of them.

    Where the schema has no others, it goes before.
    """
    distinct = {_text(entry["key"]): entry for entry in reversed(entries)}
    kept = [entry for entry in entries if distinct[_text(entry["key"])] is entry]
    for entry in entries:
        if len(kept) >= least or any(entry is one for one in kept):
            continue
        seen = {_text(one["key"]) for one in kept}
        other = next((key for key in _others(entry["key"], key_schema) if _text(key) not in seen), None)
        if other is not None:
            kept.append(entry | {"key": other})
    return kept if len(kept) >= least else entries


def _others(key: Any, schema: Schema) -> Iterator[Any]:
    """Other keys that the schema accepts, near this one."""
    if "enum" in schema:
        yield from enum_values(schema)
    numbers = islice(count(1), _MOST_TRIES)
    made = (key + number if isinstance(key, int | float) else f"{key}{number + 1}" for number in numbers)
    yield from (other for other in made if accepts(schema, other))


def _text(key: Any) -> str:
    return json.dumps(key, sort_keys=True)
