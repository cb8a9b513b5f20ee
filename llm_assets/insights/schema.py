"""Pydantic models as JSON schemas that strict structured output takes, and the way back from an answer.

What strict mode does not take is expressed in another way (mappings as lists of entries), or moved into the
description, for the model to read, and checked on our side when the answer comes, or refused when the
schema is built, naming the field. Definitions are written out where they are used; only recursion keeps
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel

from llm_assets.errors import OutputModelError
from llm_assets.insights import wire
from llm_assets.insights.json_schema import (
    IMPOSSIBLE,
    KEYS,
    OMITTABLE,
    PLACES,
    VALUES,
    Schema,
    body_of,
    definitions_of,
    json_schema,
    reference,
    referred,
)
from llm_assets.insights.keywords import described, plain_part, without_synonyms
from llm_assets.insights.strict_limits import StrictLimits
from llm_assets.insights.wire import Property, Wire
from llm_assets.llm.requests import OutputSchema

ROOT = "root"
"""The one property, and the one column, of a model whose root is no object with fields."""

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_ANYTHING = "give it a type; for keys that are not known beforehand use dict[str, …] with a type of value"


@dataclass(frozen=True)
class OutputForm:
    """How answers for an output model look: the schema that is asked for, and the way back."""

    model: type[BaseModel]
    schema: OutputSchema
    wire: Wire
    is_wrapped: bool

    def restored(self, answer: Any) -> Any:
        """The answer as the model reads it. Raises wire.WrongForm."""
        own = answer if self.wire.restore is None else self.wire.restore(answer, "")
        return cast("dict[str, Any]", own).get(ROOT) if self.is_wrapped and isinstance(own, dict) else own

    @cached_property
    def stored(self) -> Schema:
        """What the model gives, as JSON schema: what a row and its columns are made from."""
        return json_schema(self.model, "serialization")


def build_output_schema(model: type[BaseModel]) -> OutputSchema:
    """The strict schema of an output model, with the model's name and doc string. See `output_form`."""
    return output_form(model).schema


def output_form(model: type[BaseModel]) -> OutputForm:
    """The strict schema of an output model and the way back from its answers.

    Raises OutputModelError that names the field strict mode cannot express, with what to do about it.
    """
    source = json_schema(model, "validation")
    builder = _Builder(model.__name__, definitions_of(source))
    is_wrapped = not is_record(source)
    built = builder.wrapped(source) if is_wrapped else builder.root(source)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", model.__name__)[:64]
    described_as = built.schema.get("description") or body_of(source).get("description")
    return OutputForm(model, OutputSchema(name, built.schema, described_as), built, is_wrapped)


def is_record(source: Schema) -> bool:
    """Whether a whole schema is an object with fields, which can stand at the root of a strict schema."""
    body = body_of(source)
    return body.get("type") == "object" and "properties" in body and VALUES not in body


class _Builder:
    """Rewrites the nodes of one model's schema. A path names the node in errors: `Model.field[]`."""

    def __init__(self, model: str, definitions: dict[str, Schema]) -> None:
        self._model = model
        self._definitions = definitions
        self._recursive = {name for name in definitions if name in self._reachable(definitions[name])}
        self._kept = wire.Definitions()
        self._limits = StrictLimits(model)

    def root(self, source: Schema) -> Wire:
        """The whole schema: an object, followed by the definitions that recursion needs."""
        return self._finished(self._node(body_of(source), self._model, 1))

    def wrapped(self, source: Schema) -> Wire:
        """An object around a root that is none."""
        inner = self._node({key: source[key] for key in source if key != "$defs"}, self._model, 2)
        schema = self._closed({ROOT: inner.schema}, self._model)
        return self._finished(wire.record(schema, [Property(ROOT, ROOT, inner)]))

    def _finished(self, root: Wire) -> Wire:
        for name in sorted(self._recursive):
            self._kept.built[name] = self._node(self._definitions[name], name, 1)
        if self._recursive:
            root.schema["$defs"] = {name: self._kept.built[name].schema for name in sorted(self._recursive)}
        self._limits.check()
        return root

    def _reachable(self, node: object) -> set[str]:
        found: set[str] = set()
        waiting = list(_references(node))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(_references(self._definitions[name]))
        return found

    def _node(self, source: Schema, path: str, level: int) -> Wire:
        self._limits.require_level(level, path)
        if (name := referred(source)) is not None:
            return self._reference(name, source, path, level)
        if IMPOSSIBLE in source:
            raise OutputModelError(f"{path} cannot be expressed as a JSON schema: {source[IMPOSSIBLE]}")
        source = without_synonyms(source)
        return self._structure(source, plain_part(source, path), path, level)

    def _reference(self, name: str, source: Schema, path: str, level: int) -> Wire:
        beside = {key: value for key, value in source.items() if key != "$ref"}
        if name not in self._recursive:
            return self._node(self._definitions[name] | beside, path, level)
        schema = reference(name)
        if "description" in beside:  # which may not stand beside a reference
            schema = {"anyOf": [schema], "description": beside["description"]}
        restores = any(_is_rewritten(node) for node in self._within(name))
        return self._kept.reference(name, schema, restores=restores)

    def _within(self, name: str) -> Iterator[Schema]:
        """A definition and all that it can reach."""
        for each in {name, *self._reachable(self._definitions[name])}:
            yield from _nodes(self._definitions[each])

    def _structure(self, source: Schema, plain: Schema, path: str, level: int) -> Wire:
        if "enum" in source:
            return self._enumeration(source["enum"], plain, path)
        if "anyOf" in source:
            return self._union(source["anyOf"], plain, path, level)
        kind = source.get("type")
        if VALUES in source:
            return self._entries(source, plain, path, level)
        if PLACES in source or "prefixItems" in source:
            return self._places(source, plain, path, level)
        if kind == "object":
            return self._object(source, plain, path, level)
        if kind == "array":
            return self._array(source, plain, path, level)
        if not isinstance(kind, str):
            raise OutputModelError(f"{path} can be anything, which strict mode cannot express: {_ANYTHING}")
        return wire.scalar(plain, [kind])

    def _enumeration(self, values: list[Any], plain: Schema, path: str) -> Wire:
        if not values or any(type(value) not in _JSON_TYPES for value in values):
            raise OutputModelError(f"{path} has members that are no plain values: use texts or whole numbers")
        self._limits.add_enum(values, path)
        kinds = list(dict.fromkeys(_JSON_TYPES[type(value)] for value in values))
        named = {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}
        return wire.enumeration({key: plain[key] for key in plain if key != "type"} | named, values)

    def _union(self, options: list[Schema], plain: Schema, path: str, level: int) -> Wire:
        wires = [self._node(option, path, level) for option in options]
        lists = [each for each in wires if each.is_mapping or each.schema.get("type") == "array"]
        if any(each.is_mapping for each in lists) and not all(each.is_mapping for each in lists):
            raise OutputModelError(
                f"{path} is a dict or a list, which look the same in strict mode: make one of them a model"
            )
        return wire.union(plain | {"anyOf": [each.schema for each in wires]}, wires)

    def _entries(self, source: Schema, plain: Schema, path: str, level: int) -> Wire:
        keys = source[KEYS] or {"type": "string"}
        key = self._node(keys, f"{path}{{key}}", level + 2)
        if key.restore or not _is_scalar(key.schema):
            raise OutputModelError(f"{path} has keys that are no plain values: use texts or whole numbers")
        if not source[VALUES]:
            raise OutputModelError(f"{path} has values that can be anything: {_ANYTHING}")
        value = self._node(source[VALUES], f"{path}{{}}", level + 2)
        entry = self._closed({wire.KEY: key.schema, wire.VALUE: value.schema}, path)
        return wire.entries(plain | {"type": "array", "items": entry}, key, value)

    def _places(self, source: Schema, plain: Schema, path: str, level: int) -> Wire:
        if source.get("items"):
            raise OutputModelError(f"{path} is a tuple of open length: make it a model with named fields")
        items = cast("list[Schema]", source.get("prefixItems", []))
        names = source.get(PLACES) or [f"item_{number}" for number in range(1, len(items) + 1)]
        names = [_wire_name(name, set(names[:at])) for at, name in enumerate(names)]
        properties = [
            Property(name, name, self._node(item, f"{path}.{name}", level + 1))
            for name, item in zip(names, items, strict=True)
        ]
        schema = self._closed({each.wire_name: each.wire.schema for each in properties}, path)
        return wire.places(described(plain) | schema, properties)

    def _object(self, source: Schema, plain: Schema, path: str, level: int) -> Wire:
        if "properties" not in source and source.get("additionalProperties") is not False:
            raise OutputModelError(f"{path} has free keys without a type of value: {_ANYTHING}")
        properties: list[Property] = []
        for own_name, node in cast("dict[str, Schema]", source.get("properties", {})).items():
            inner = self._node(node, f"{path}.{own_name}", level + 1)
            is_omittable = own_name in source.get(OMITTABLE, ())
            if is_omittable:
                null = wire.scalar({"type": "null"}, ["null"])
                inner = wire.union({"anyOf": [inner.schema, null.schema]}, [inner, null])
            wire_name = _wire_name(own_name, {each.wire_name for each in properties})
            properties.append(
                Property(wire_name, own_name, _called(inner, own_name, wire_name), is_omittable)
            )
        schema = self._closed({each.wire_name: each.wire.schema for each in properties}, path)
        return wire.record(described(plain) | schema, properties)

    def _array(self, source: Schema, plain: Schema, path: str, level: int) -> Wire:
        if not source.get("items"):
            raise OutputModelError(f"{path} is a list of anything: give its items a type")
        item = self._node(source["items"], f"{path}[]", level + 1)
        return wire.array(plain | {"items": item.schema}, item)

    def _closed(self, properties: dict[str, Schema], path: str) -> Schema:
        self._limits.add_properties(properties, path)
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


def _wire_name(own_name: str, taken: set[str]) -> str:
    """A name that every provider takes: Anthropic knows no blanks and no letters beyond ASCII."""
    plain = name = re.sub(r"[^a-zA-Z0-9_.-]", "_", own_name)[:64]
    number = 2
    while name in taken:
        name = f"{plain[:60]}_{number}"
        number += 1
    return name


def _called(inner: Wire, own_name: str, wire_name: str) -> Wire:
    if own_name == wire_name:
        return inner
    said = " ".join(filter(None, [f'Means "{own_name}".', inner.schema.get("description")]))
    schema = {"anyOf": [inner.schema]} if "$ref" in inner.schema else inner.schema
    return Wire(schema | {"description": said}, inner.fits, inner.restore, inner.is_mapping)


def _is_scalar(schema: Schema) -> bool:
    return schema.get("type") in ("string", "integer", "boolean", "number") or "enum" in schema


def _is_rewritten(node: Schema) -> bool:
    renamed = any(_wire_name(name, set()) != name for name in node.get("properties", {}))
    return bool(node.keys() & {VALUES, PLACES, "prefixItems"} or node.get(OMITTABLE) or renamed)


def _nodes(node: object) -> Iterator[Schema]:
    if isinstance(node, dict):
        branch = cast(Schema, node)
        yield branch
        for value in branch.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for item in cast("list[object]", node):
            yield from _nodes(item)


def _references(node: object) -> Iterator[str]:
    for each in _nodes(node):
        if isinstance(each.get("$ref"), str):
            yield str(referred(each))
