"""Alternatives that are objects have to be told apart by their first property, or strict mode refuses them.

It is seen with reasoning models, not documented: of the objects of a union no two may begin with a property
of the same name, unless its values differ, as those of a discriminator do. So a property that tells them
apart goes first; where there is none, they get one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llm_assets.insights.json_schema import Schema, referred

TAG = "variant"


def flattened(options: Sequence[Schema]) -> list[Schema]:
    """The options, and those of unions among them that say nothing else."""
    found = list[Schema]()
    for option in options:
        inner = option.get("anyOf") or option.get("oneOf")
        says_more = option.keys() - {"anyOf", "oneOf", "discriminator", "title"}
        found += flattened(inner) if inner and not says_more else [option]
    return found


def resolved(option: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """What an option refers to."""
    while (name := referred(option)) is not None:
        option = definitions[name]
    return option


def telling_name(options: Sequence[Schema]) -> str | None:
    """The property that all of these objects have, each with values of its own; None where there is none."""
    first = _properties(options[0]) if len(options) > 1 else {}
    return next((name for name in first if _differ([_properties(each).get(name) for each in options])), None)


def led_by(name: str, source: Schema) -> Schema:
    """The same object, with one of its properties before the others."""
    properties = _properties(source)
    return source | {"properties": {name: properties[name]} | properties}


def share_a_beginning(one: Schema, other: Schema) -> bool:
    """Whether strict mode could not tell two objects apart by their first property."""
    firsts = [next(iter(_properties(each).items()), None) for each in (one, other)]
    if firsts[0] is None or firsts[1] is None or firsts[0][0] != firsts[1][0]:
        return False
    return not _differ([firsts[0][1], firsts[1][1]])


def tag_of(option: Schema, number: int) -> str:
    """What an alternative is called: its model's name."""
    return str(option.get("title") or f"option_{number}")


def _properties(source: Schema) -> dict[str, Schema]:
    return cast("dict[str, Schema]", source.get("properties", {}))


def _differ(fields: Sequence[Schema | None]) -> bool:
    """Whether each has a few values, and none has one of another's."""
    seen = list[Any]()
    for field in fields:
        values = _values(field or {})
        if not values or any((type(value), value) in seen for value in values):
            return False
        seen += [(type(value), value) for value in values]
    return True


def _values(field: Schema) -> list[Any]:
    return [field["const"]] if "const" in field else cast("list[Any]", field.get("enum", []))
