"""The keywords of JSON schema: which of them strict mode takes, and how the others are said in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from llm_assets.errors import OutputModelError
from llm_assets.insights.json_schema import (
    BOUNDS,
    DECIMAL_FORMAT,
    DECIMALS,
    DIGITS,
    KEYS,
    NAIVE_FORMAT,
    OMITTABLE,
    PLACES,
    VALUES,
    Schema,
)

_KEPT = {
    "type", "description", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
}  # fmt: skip
_TREATED = {
    "properties", "required", "additionalProperties", "items", "prefixItems", "enum", "anyOf", "$defs",
    "propertyNames", "patternProperties", KEYS, VALUES, PLACES, OMITTABLE,
}  # fmt: skip
_WITHOUT_MEANING = {
    "title", "deprecated", "discriminator", "readOnly", "contentMediaType", "contentEncoding",
    "contentSchema",
}  # fmt: skip
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
_SAID: Mapping[str, Callable[[Any], str]] = {
    "minLength": lambda value: f"Minimum length {value}.",
    "maxLength": lambda value: f"Maximum length {value}.",
    "minProperties": lambda value: f"At least {value} entries.",
    "maxProperties": lambda value: f"At most {value} entries.",
    "uniqueItems": lambda value: "No item twice.",
    "examples": lambda value: f"Examples: {', '.join(_written(each) for each in value)}.",
    "default": lambda value: (
        "" if value in (None, [], {}, "") else f"When nothing is said: {_written(value)}."
    ),
    BOUNDS: lambda value: f"Value: {value}.",
    DIGITS: lambda value: f"At most {value} digits.",
    DECIMALS: lambda value: f"At most {value} decimals.",
}
# What other formats look like: a pattern strict mode can hold an answer to, and words.
_PATTERNS: Mapping[str, tuple[str, str]] = {
    DECIMAL_FORMAT: (r"^-?[0-9]+(\.[0-9]+)?$", "A decimal number."),
    NAIVE_FORMAT: (
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?$",
        "Date and time without a zone, such as 2026-03-02T14:30:00.",
    ),
    "uri": (r"^[a-zA-Z][a-zA-Z0-9+.-]*:\S+$", "An address, such as https://example.com/."),
    "time-of-day": (
        r"^\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?$",
        "A time of day, such as 14:30 or 14:30:00.",
    ),
}
# Look-around, word boundaries and references back: a grammar cannot express them.
_NO_GRAMMAR = re.compile(r"\(\?[=!<P]|\\[bB1-9]")


def plain_part(source: Schema, path: str) -> Schema:
    """What strict mode takes of a node as it is, with the rest in its description.

    Raises OutputModelError for a keyword that can be neither kept nor said.
    """
    _refuse(source, path)
    notes = [say(source[key]) for key, say in _SAID.items() if key in source]
    node = {key: value for key, value in source.items() if key in _KEPT}
    _move_format(node, notes)
    _move_pattern(node, notes)
    words = [node.get("description"), *notes]
    if any(words):
        node["description"] = " ".join(word for word in words if word)
    return node


def described(plain: Schema) -> Schema:
    """The description alone."""
    return {"description": plain["description"]} if "description" in plain else {}


def without_synonyms(source: Schema) -> Schema:
    """The same in fewer words: `oneOf` as `anyOf`, `allOf` of one as that one, `const` as `enum`."""
    node = dict(source)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    if len(node.get("allOf", ())) == 1:
        node = node.pop("allOf")[0] | node
    if "const" in node:
        node["enum"] = [node.pop("const")]
    return node


def _refuse(source: Schema, path: str) -> None:
    known = _KEPT | _TREATED | _WITHOUT_MEANING | _SAID.keys()
    if "writeOnly" in source:
        raise OutputModelError(f"{path} hides its value, so nothing could be stored: make it a plain str")
    if unknown := sorted(source.keys() - known):
        raise OutputModelError(f"{path} uses {', '.join(unknown)}, which strict mode cannot express")


def _move_format(node: Schema, notes: list[str]) -> None:
    named = str(node.get("format", ""))
    if named in _PATTERNS:
        pattern, words = _PATTERNS[named]
        node |= {"pattern": pattern}
        notes.insert(0, words)
    elif named and named not in _FORMATS:
        notes.append(f"Format: {named}.")
    if named not in _FORMATS:
        node.pop("format", None)


def _move_pattern(node: Schema, notes: list[str]) -> None:
    pattern = node.get("pattern", "")
    if _NO_GRAMMAR.search(pattern) or not _compiles(pattern):
        notes.append(f"Matches the regular expression {node.pop('pattern')}.")


def _compiles(pattern: str) -> bool:
    """Pydantic's patterns are those of Rust, most of which mean the same everywhere."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
