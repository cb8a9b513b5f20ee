"""Pydantic models as JSON schemas that strict structured output takes.

What strict mode does not take is either moved into the description, for the model to read, and checked
on our side when the answer comes, or refused when the schema is built, naming the field. Definitions
are written out where they are used, since a `$ref` may carry no description of its own; only recursion
keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel

from llm_assets.errors import OutputModelError
from llm_assets.insights.json_schema import DECIMAL_FORMAT, Schema, json_schema
from llm_assets.llm.requests import OutputSchema

_DEFINITION = "#/$defs/"

_KEPT = {
    "type", "description", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
}  # fmt: skip
_TREATED = {"properties", "required", "additionalProperties", "items", "enum", "anyOf", "$defs"}
_WITHOUT_MEANING = {
    "title", "default", "examples", "deprecated", "discriminator", "readOnly", "writeOnly",
    "contentMediaType", "contentEncoding", "contentSchema",
}  # fmt: skip
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
_JSON_TYPES: Mapping[type, str] = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
}  # fmt: skip
_SAID: Mapping[str, Callable[[Any], str]] = {
    "minLength": lambda value: f"Minimum length {value}.",
    "maxLength": lambda value: f"Maximum length {value}.",
    "uniqueItems": lambda value: "No item twice.",
    "x-bounds": lambda value: f"Value: {value}.",
    "x-digits": lambda value: f"At most {value} digits.",
    "x-decimals": lambda value: f"At most {value} decimals.",
}


def build_output_schema(model: type[BaseModel]) -> OutputSchema:
    """The strict schema of an output model, with the model's name and doc string.

    Raises OutputModelError that names the field strict mode cannot express: free keys (`dict`), `Any`,
    tuples of mixed types, and models that are not objects.
    """
    source = json_schema(model, "validation")
    schema = _StrictSchema(model.__name__, source.get("$defs", {})).root(source)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", model.__name__)[:64]
    return OutputSchema(name, schema, schema.get("description"))


class _StrictSchema:
    """Rewrites the nodes of one model's schema. A path names the node in errors: `Model.field[]`."""

    def __init__(self, model: str, definitions: Mapping[str, Schema]) -> None:
        self._model = model
        self._definitions = definitions
        self._recursive = {name for name in definitions if name in self._reachable(definitions[name])}

    def root(self, source: Schema) -> Schema:
        """The whole schema: an object, followed by the definitions that recursion needs."""
        body = self._definitions[_referred(source)] if "$ref" in source else source
        root = self._node(body, self._model)
        if root.get("type") != "object":
            raise OutputModelError(
                f"{self._model} is not an object: give it fields (strict mode asks for them)"
            )
        if self._recursive:
            root["$defs"] = {
                name: self._node(self._definitions[name], name) for name in sorted(self._recursive)
            }
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

    def _node(self, source: Schema, path: str) -> Schema:
        if "$ref" in source:
            return self._reference(source, path)
        source = _without_synonyms(source)
        notes = [say(source[key]) for key, say in _SAID.items() if key in source]
        node = {key: value for key, value in source.items() if key in _KEPT}
        self._refuse_unknown(source, path)
        _move_format(node, notes)
        _move_pattern(node, notes)
        if notes:
            node["description"] = " ".join(
                [*([node["description"]] if "description" in node else []), *notes]
            )
        return node | self._structure(source, path)

    def _reference(self, source: Schema, path: str) -> Schema:
        name = _referred(source)
        if name in self._recursive:
            return {"$ref": _DEFINITION + name}
        beside = {key: value for key, value in source.items() if key != "$ref"}
        return self._node(self._definitions[name] | beside, path)

    def _structure(self, source: Schema, path: str) -> Schema:
        if "enum" in source:
            return _enumeration(source["enum"])
        if "anyOf" in source:
            return {"anyOf": [self._node(option, path) for option in source["anyOf"]]}
        kind = source.get("type")
        if kind == "object":
            return self._object(source, path)
        if kind == "array":
            return {"items": self._items(source, path)}
        if kind is None:
            raise OutputModelError(f"{path} can be anything: give it a type (strict mode asks for one)")
        return {}

    def _object(self, source: Schema, path: str) -> Schema:
        if "properties" not in source and source.get("additionalProperties") is not False:
            raise OutputModelError(
                f"{path} has free keys, which strict mode cannot express: make it a list of models "
                "with a field for the key and one for the value"
            )
        properties = {
            name: self._node(field, f"{path}.{name}") for name, field in source.get("properties", {}).items()
        }
        return {"properties": properties, "required": list(properties), "additionalProperties": False}

    def _items(self, source: Schema, path: str) -> Schema:
        if "prefixItems" in source:
            raise OutputModelError(f"{path} is a tuple of fixed places: make it a model with named fields")
        if not source.get("items"):
            raise OutputModelError(f"{path} is a list of anything: give its items a type")
        return self._node(source["items"], f"{path}[]")

    def _refuse_unknown(self, source: Schema, path: str) -> None:
        known = _KEPT | _TREATED | _WITHOUT_MEANING | _SAID.keys() | {"prefixItems"}
        if unknown := sorted(source.keys() - known):
            raise OutputModelError(f"{path} uses {', '.join(unknown)}, which strict mode cannot express")


def _referred(source: Schema) -> str:
    return str(source["$ref"]).removeprefix(_DEFINITION)


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        branch = cast(Schema, node)
        if isinstance(branch.get("$ref"), str):
            yield _referred(branch)
        for value in branch.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in cast("list[object]", node):
            yield from _references(item)


def _without_synonyms(source: Schema) -> Schema:
    """The same in fewer words: `oneOf` as `anyOf`, `allOf` of one as that one, `const` as `enum`."""
    node = dict(source)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    if len(node.get("allOf", ())) == 1:
        node = node.pop("allOf")[0] | node
    if "const" in node:
        node["enum"] = [node.pop("const")]
    return node


def _enumeration(values: list[Any]) -> Schema:
    kinds = list(dict.fromkeys(_JSON_TYPES[type(value)] for value in values))
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _move_format(node: Schema, notes: list[str]) -> None:
    named = node.get("format")
    if named == DECIMAL_FORMAT:
        node |= {"pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
        notes.append("A decimal number.")
    elif named and named not in _FORMATS:
        notes.append(f"Format: {named}.")
    if named not in _FORMATS:
        node.pop("format", None)


def _move_pattern(node: Schema, notes: list[str]) -> None:
    if re.search(r"\(\?[=!<]", node.get("pattern", "")):
        notes.append(f"Matches the regular expression {node.pop('pattern')}.")
