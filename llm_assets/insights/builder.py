"""The nodes of one model's JSON schema, rewritten as strict mode takes them.

Definitions are written out where they are used; only recursion keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from llm_assets.errors import OutputModelError
from llm_assets.insights import wire
from llm_assets.insights.alternatives import (
    TAG,
    flattened,
    led_by,
    resolved,
    share_a_beginning,
    tag_of,
    telling_name,
)
from llm_assets.insights.json_schema import (
    IMPOSSIBLE,
    KEYS,
    OMITTABLE,
    PLACES,
    VALUES,
    Schema,
    body_of,
    reference,
    referred,
)
from llm_assets.insights.keywords import described, plain_part, without_synonyms
from llm_assets.insights.strict_limits import StrictLimits
from llm_assets.insights.wire import Property, Wire

ROOT = "root"
"""The one property, and the one column, of a model whose root is no object with fields."""

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_ANYTHING = "give it a type; for keys that are not known beforehand use dict[str, …] with a type of value"


class StrictBuilder:
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
        self._limits.add_names(self._recursive)
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
        beside = _beside(source)
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
        options = self._led_by_what_tells(flattened(options))
        wires = [self._node(option, path, level) for option in options]
        lists = [each for each in wires if each.is_mapping or each.schema.get("type") == "array"]
        if any(each.is_mapping for each in lists) and not all(each.is_mapping for each in lists):
            raise OutputModelError(
                f"{path} is a dict or a list, which look the same in strict mode: make one of them a model"
            )
        wires = self._told_apart(options, wires, path)
        return wire.union(plain | {"anyOf": [each.schema for each in wires]}, wires)

    def _led_by_what_tells(self, options: list[Schema]) -> list[Schema]:
        """Objects that have a discriminator begin with it."""
        sources = [resolved(option, self._definitions) for option in options]
        name = telling_name([source for source in sources if source.get("properties")])
        if name is None:
            return options
        led = list[Schema]()
        for option, source in zip(options, sources, strict=True):
            definition = referred(option)
            if not source.get("properties"):
                led.append(option)
            elif definition in self._recursive:
                self._definitions[definition] = led_by(name, source)
                led.append(option)
            else:
                led.append(led_by(name, source) | _beside(option))
        return led

    def _told_apart(self, options: list[Schema], wires: list[Wire], path: str) -> list[Wire]:
        """Objects that begin alike get a property that tells them apart."""
        begun = [self._beginning(option, each) for option, each in zip(options, wires, strict=True)]
        alike = {
            at
            for at, one in enumerate(begun)
            if any(share_a_beginning(one, other) for other in (*begun[:at], *begun[at + 1 :]))
        }
        held = [at for at in sorted(alike) if referred(options[at]) in self._recursive]
        if len(held) > 1:
            names = " and ".join(str(referred(options[at])) for at in held)
            raise OutputModelError(
                f"{path} is one of models that begin with the same field ({names}), which strict mode cannot "
                "tell apart: give each a field with a Literal of its own, such as `kind`"
            )
        tagged = list(wires)
        for at in sorted(alike - set(held)):
            tag = tag_of(resolved(options[at], self._definitions), at + 1)
            taken = {name for each in begun for name in each.get("properties", {})}
            tagged[at] = wire.tagged(wires[at], _wire_name(TAG, taken), tag)
            self._limits.add_properties([TAG], path)
            self._limits.add_enum([tag], path)
        return tagged

    def _beginning(self, option: Schema, built: Wire) -> Schema:
        """What is known of an alternative before the definitions are built that recursion needs."""
        definition = referred(option)
        if definition is None or definition not in self._recursive:
            return built.schema
        fields = self._definitions[definition].get("properties", {})
        return {"properties": {_wire_name(name, set()): node for name, node in fields.items()}}

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
        properties, taken = list[Property](), set[str]()
        for own_name, node in cast("dict[str, Schema]", source.get("properties", {})).items():
            inner = self._node(node, f"{path}.{own_name}", level + 1)
            is_omittable = own_name in source.get(OMITTABLE, ())
            if is_omittable:
                null = wire.scalar({"type": "null"}, ["null"])
                inner = wire.union({"anyOf": [inner.schema, null.schema]}, [inner, null])
            wire_name = _wire_name(own_name, taken)
            taken.add(wire_name)
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


def _beside(source: Schema) -> Schema:
    """What stands beside a reference."""
    return {key: value for key, value in source.items() if key != "$ref"}


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
