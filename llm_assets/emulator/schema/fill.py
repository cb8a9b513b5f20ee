"""A valid value for a schema, from what is known about its fields by their names.

What is not known gets a value that says so as far as the schema allows: null, `unknown`, an empty list.
Recursion ends: a definition that is met inside itself is filled in the shortest way there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from llm_assets.emulator.schema.accepts import Unsatisfiable, accepts
from llm_assets.emulator.schema.check import Schema, as_schema, definition, types_of
from llm_assets.emulator.schema.entries import is_entry, with_distinct_keys
from llm_assets.emulator.schema.enums import Synonyms, enum_values, member, names_member, plain
from llm_assets.emulator.schema.height import Heights
from llm_assets.emulator.schema.numbers import number
from llm_assets.emulator.schema.strings import string
from llm_assets.emulator.schema.suggestion import UNKNOWN, Scaled, Suggestion

# Called with a field's name and schema: what is known about it.
Suggest = Callable[[str, Schema], Suggestion]

_ENDLESS = "a definition must contain itself, so no answer of finite length exists"
_MOST_VALUES = 20_000
_SCALARS = {"string", "number", "integer", "boolean"}


def fill(schema: Schema, suggest: Suggest, aliases: Synonyms, synonyms: Synonyms) -> Any:
    """A value that validates against `schema`.

    `aliases` are other names of the keys of suggested objects, `synonyms` other names of enum members.
    Raises Unsatisfiable when no value was found, as for a definition that must contain itself.
    """
    if Heights(schema).of(schema) == math.inf:
        raise Unsatisfiable(_ENDLESS)
    try:
        return _Filler(schema, suggest, aliases, synonyms).value(schema, UNKNOWN, "")
    except (OverflowError, RecursionError) as error:
        raise Unsatisfiable("the schema's bounds or nesting are beyond what the emulator fills") from error


class _Filler:
    """Walks one schema once."""

    def __init__(self, root: Schema, suggest: Suggest, aliases: Synonyms, synonyms: Synonyms) -> None:
        self._root, self._suggest = root, suggest
        self._aliases, self._synonyms = aliases, synonyms
        self._heights = Heights(root)
        self._open: list[str] = []
        self._values = 0

    def value(self, schema: Schema, suggestion: Suggestion, name: str) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise Unsatisfiable(f"the smallest answer has more than {_MOST_VALUES} values")
        if "$ref" in schema:
            return self._referred(schema["$ref"], suggestion, name)
        if "enum" in schema or "const" in schema:
            return member(schema, self._named(schema, suggestion), self._synonyms)
        if options := _options(schema):
            return self.value(self._chosen(options, suggestion), suggestion, name)
        return self._typed(schema, suggestion, name)

    def _referred(self, reference: str, suggestion: Suggestion, name: str) -> Any:
        self._open.append(reference)
        try:
            return self.value(as_schema(definition(self._root, reference)), suggestion, name)
        finally:
            self._open.pop()

    def _typed(self, schema: Schema, suggestion: Suggestion, name: str) -> Any:
        kind = next(iter(types_of(schema)), "null")
        if kind == "object":
            return self._object(schema, suggestion)
        if kind == "array":
            return self._array(schema, suggestion, name)
        if kind == "string":
            return string(schema, suggestion)
        if kind in ("number", "integer"):
            return number(schema, _measured(suggestion), whole=kind == "integer")
        return None if kind == "null" else suggestion is not UNKNOWN and bool(suggestion)

    def _object(self, schema: Schema, suggestion: Suggestion) -> dict[str, Any]:
        known = cast("dict[str, Any]", suggestion) if isinstance(suggestion, dict) else None
        filled: dict[str, Any] = {}
        for name, child in as_schema(schema.get("properties")).items():
            child = as_schema(child)
            said = UNKNOWN if known is None else self._part(known, name)
            filled[name] = self.value(child, self._suggest(name, child) if said is UNKNOWN else said, name)
        return filled

    def _part(self, known: dict[str, Any], name: str) -> Suggestion:
        """What a suggested object says under this name or another one for the same thing."""
        asked = plain(name)
        for key in (asked, *self._aliases.get(asked, ())):
            if key in known:
                return known[key]
        return UNKNOWN

    def _array(self, schema: Schema, suggestion: Suggestion, name: str) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        items = as_schema(schema.get("items"))
        if least > min(most, _MOST_VALUES) or (least and self._heights.of(items) == math.inf):
            raise Unsatisfiable(f"no list with at least {least} and at most {most} items was found")
        empty = self._is_closing or self._heights.of(items) == math.inf
        known = [] if empty else [part for part in _listed(suggestion) if self._can_say(items, part)]
        wanted = known[: most if isinstance(most, int) else None]
        wanted += [UNKNOWN] * (least - len(wanted))
        values = [self.value(items, part, name) for part in wanted]
        entry = self._resolved(items)
        if not is_entry(entry):
            return values
        return with_distinct_keys(values, self._resolved(as_schema(entry["properties"]["key"])), least)

    def _named(self, schema: Schema, suggestion: Suggestion) -> Suggestion:
        """Of several things that are known, the first that the enum has a member for."""
        if not isinstance(suggestion, dict | list):
            return suggestion
        parts = _listed(list(suggestion.values()) if isinstance(suggestion, dict) else suggestion)
        return next((part for part in parts if names_member(schema, part, self._synonyms)), UNKNOWN)

    def _can_say(self, items: Schema, part: Suggestion) -> bool:
        """A list of enum members holds what has a member, and nothing in its place for what has none."""
        items = self._resolved(items)
        return "enum" not in items or not isinstance(part, str) or names_member(items, part, self._synonyms)

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = as_schema(definition(self._root, schema["$ref"]))
        return schema

    # Which of several alternatives

    @property
    def _is_closing(self) -> bool:
        """Inside a definition for the second time: take the shortest way out."""
        return len(self._open) != len(set(self._open))

    def _chosen(self, options: list[Schema], suggestion: Suggestion) -> Schema:
        heights = [self._heights.of(option) for option in options]
        if min(heights) == math.inf:
            raise Unsatisfiable(_ENDLESS)
        if self._is_closing:
            return options[heights.index(min(heights))]
        finite = [option for option, height in zip(options, heights, strict=True) if height < math.inf]
        return max(finite, key=lambda option: self._fitness(option, suggestion))

    def _fitness(self, option: Schema, suggestion: Suggestion) -> float:
        """How well an alternative can say what is suggested. Of equals, the first one wins."""
        option = self._resolved(option)
        kinds = set(types_of(option)) or {"null" if option.get("const", 0) is None else "string"}
        if suggestion is UNKNOWN and "object" in kinds and self._knows_part_of(option):
            return 4
        if suggestion is UNKNOWN or suggestion is None:
            return 3 if "null" in kinds else 0
        if "enum" in option or "const" in option:
            if isinstance(suggestion, str | bool):
                return 3 if names_member(option, suggestion, self._synonyms) else 0.5
            return 2 if any(accepts(option, value) for value in enum_values(option)) else 0
        return 2 if kinds & _kinds(suggestion) else 1 if kinds & _SCALARS else 0

    def _knows_part_of(self, option: Schema) -> bool:
        properties = as_schema(option.get("properties"))
        return any(self._suggest(name, as_schema(child)) is not UNKNOWN for name, child in properties.items())


def _options(schema: Schema) -> list[Schema]:
    """The alternatives of a schema: those of `anyOf`, or its types when it has several."""
    if "anyOf" in schema:
        beside = {key: value for key, value in schema.items() if key not in ("anyOf", "$defs", "definitions")}
        return [beside | as_schema(option) for option in schema["anyOf"]]
    types = types_of(schema)
    return [schema | {"type": name} for name in types] if len(types) > 1 else []


def _kinds(suggestion: Suggestion) -> set[str]:
    if isinstance(suggestion, bool):
        return {"boolean"}
    if isinstance(suggestion, int | float | Scaled):
        return {"number", "integer"}
    if isinstance(suggestion, list):
        return {"array"}
    return {"object"} if isinstance(suggestion, dict) else {"string"}


def _measured(suggestion: Suggestion) -> Suggestion:
    """The first number of a suggested object, where a number is asked for."""
    if not isinstance(suggestion, dict):
        return suggestion
    values = cast("dict[str, Any]", suggestion).values()
    return next((value for value in values if isinstance(value, int | float | Scaled)), UNKNOWN)


def _listed(suggestion: Suggestion) -> list[Any]:
    if suggestion is UNKNOWN or suggestion is None:
        return []
    return list(cast("list[Any]", suggestion)) if isinstance(suggestion, list) else [suggestion]
