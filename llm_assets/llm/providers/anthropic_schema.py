"""A JSON schema as Anthropic's structured output takes it: constraints it refuses become descriptions.

Some schemas it does not take in any form: those that contain themselves, and those with many alternatives.

It refuses numeric bounds, lengths and counts with a 400. Dropping them silently would lose what the author
asked for, so each is said in words where it stood; whoever reads the answer still validates against the
schema as it was.
"""

from __future__ import annotations

import json
from typing import Any, cast

_REFUSED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
_MOST_ALTERNATIVES = 16
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
_LISTED_SCHEMAS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})


def is_supported(schema: dict[str, Any]) -> bool:
    """Whether structured output takes the schema at all: it knows no recursion and few alternatives."""
    return not _refers(schema) and _alternatives(schema) <= _MOST_ALTERNATIVES


def _refers(node: Any) -> bool:
    if isinstance(node, dict):
        branch = cast("dict[str, Any]", node)
        return "$ref" in branch or any(map(_refers, branch.values()))
    return isinstance(node, list) and any(map(_refers, cast("list[Any]", node)))


def _alternatives(node: Any) -> int:
    """How many values may be of several kinds."""
    if isinstance(node, dict):
        branch = cast("dict[str, Any]", node)
        own = isinstance(branch.get("anyOf"), list) or isinstance(branch.get("type"), list)
        return own + sum(map(_alternatives, branch.values()))
    return sum(map(_alternatives, cast("list[Any]", node))) if isinstance(node, list) else 0


def supported_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without the keywords that are refused."""
    refused = {name: value for name, value in schema.items() if name in _REFUSED and not _taken(name, value)}
    result = {name: _inner(name, value) for name, value in schema.items() if name not in refused}
    if refused:
        said = ", ".join(f"{name}: {json.dumps(value)}" for name, value in refused.items())
        result["description"] = " ".join(filter(None, (schema.get("description"), f"({said})")))
    return result


def _taken(name: str, value: Any) -> bool:
    return name == "minItems" and value in (0, 1)


def _inner(name: str, value: Any) -> Any:
    if name in _NAMED_SCHEMAS and isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {key: _schema(inner) for key, inner in named.items()}
    if name in _LISTED_SCHEMAS and isinstance(value, list):
        return [_schema(inner) for inner in cast("list[Any]", value)]
    return _schema(value) if name == "items" else value


def _schema(value: Any) -> Any:
    return supported_schema(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
