"""Which schemas OpenAI's strict mode takes, and in what words it refuses the others.

Only the first problem is told, as OpenAI does: a schema with three faults takes three tries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

Schema = dict[str, Any]
Path = tuple[str, ...]

MAX_PROPERTIES, MAX_LEVELS, MAX_ENUM_VALUES = 5000, 10, 1000
MAX_CHARACTERS = 120_000  # of the names of properties and definitions and of enum values together
LARGE_ENUM_VALUES, MAX_ENUM_CHARACTERS = 250, 15_000

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minItems", "maxItems")
_PERMITTED = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref",
    "$defs", "definitions", "$schema", "$id", "title", "description", "pattern", "format",
    *_NUMBERS, *_COUNTS,
}  # fmt: skip
_DEFINITION = re.compile(r"#(/(\$defs|definitions)/[^/]+)?")


def strict_problem(schema: object) -> str | None:
    """Why strict mode refuses the schema, None when it takes it."""
    return next(_Check(schema).problems(), None)


def definition(root: Schema, reference: str) -> object:
    """What a `$ref` points to: the root (`#`) or a definition at the top; None when there is none."""
    if reference == "#":
        return root
    _, place, name = reference.split("/", 2)
    return as_schema(root.get(place)).get(name.replace("~1", "/").replace("~0", "~"))


def as_schema(value: object) -> Schema:
    """The value if it is an object, else an empty one."""
    return cast(Schema, value) if isinstance(value, dict) else {}


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types a schema names: `type` may be one name or a list of them."""
    named: object = schema.get("type")
    if isinstance(named, list):
        return [str(name) for name in cast("list[object]", named)]
    return [named] if isinstance(named, str) else []


class _Check:
    """One pass over a schema. Problems come in reading order."""

    def __init__(self, schema: object) -> None:
        self._schema = schema
        self._properties = 0
        self._enum_values = 0
        self._characters = 0

    def problems(self) -> Iterator[str]:
        if not isinstance(self._schema, dict):
            yield _at((), "schema must be a JSON object.")
            return
        root = cast(Schema, self._schema)
        if types_of(root) != ["object"] or "anyOf" in root:
            named = "anyOf" if "anyOf" in root else root.get("type")
            yield _at((), f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{named}\"'.")
        yield from self._node(root, (), 1)
        for place in ("$defs", "definitions"):
            for name, node in as_schema(root.get(place)).items():
                self._characters += len(name)
                yield from self._node(node, (place, name), 1)
        if self._properties > MAX_PROPERTIES:
            yield f"Expected at most {MAX_PROPERTIES} object properties in total, got {self._properties}."
        if self._enum_values > MAX_ENUM_VALUES:
            yield f"Expected at most {MAX_ENUM_VALUES} enum values in total, got {self._enum_values}."
        if self._characters > MAX_CHARACTERS:
            yield f"Expected at most {MAX_CHARACTERS} total string length in schema, got {self._characters}."

    def _node(self, node: object, path: Path, level: int) -> Iterator[str]:
        if not isinstance(node, dict):
            yield _at(path, "schema must be a JSON object.")
            return
        schema = cast(Schema, node)
        if level > MAX_LEVELS:
            yield _at(path, f"{level} levels of nesting exceed the limit of {MAX_LEVELS}.")
            return
        for keyword in schema:
            if keyword not in _PERMITTED:
                yield _at(path, f"'{keyword}' is not permitted.")
        if "$ref" in schema:
            yield from self._reference(schema, path)
            return
        yield from _type_problems(schema, path)
        yield from _value_problems(schema, path)
        yield from self._children(schema, path, level)

    def _reference(self, schema: Schema, path: Path) -> Iterator[str]:
        if beside := [keyword for keyword in schema if keyword != "$ref"]:
            yield _at(path, f"$ref cannot have keywords {set(beside)}.")
        reference = schema["$ref"]
        root = as_schema(self._schema)
        if not (isinstance(reference, str) and _DEFINITION.fullmatch(reference)):
            yield _at(path, f"reference {reference!r} must point to a definition at the top of the schema.")
        elif not isinstance(definition(root, reference), dict):
            yield _at(path, f"reference {reference!r} points to nothing.")

    def _children(self, schema: Schema, path: Path, level: int) -> Iterator[str]:
        types = types_of(schema)
        if "object" in types:
            yield from self._object(schema, path, level)
        if "array" in types:
            if "items" not in schema:
                yield _at(path, "array schema missing items.")
            else:
                yield from self._node(schema["items"], (*path, "items"), level + 1)
        options: object = schema.get("anyOf", [])
        if not isinstance(options, list) or ("anyOf" in schema and not options):
            yield _at(path, "'anyOf' must be a non-empty array.")
            return
        for index, option in enumerate(cast("list[object]", options)):
            yield from self._node(option, (*path, "anyOf", str(index)), level)
        yield from self._beginnings(cast("list[object]", options))
        enum: object = schema.get("enum", [])
        yield from self._enum(cast("list[object]", enum) if isinstance(enum, list) else [])

    def _enum(self, values: list[object]) -> Iterator[str]:
        size = sum(len(value) for value in values if isinstance(value, str))
        self._enum_values += len(values)
        self._characters += size
        if len(values) > LARGE_ENUM_VALUES and size > MAX_ENUM_CHARACTERS:
            yield (
                f"Expected at most {MAX_ENUM_CHARACTERS} total string length in enum when there are more "
                f"than {LARGE_ENUM_VALUES} enum values, got {size}."
            )

    def _beginnings(self, options: list[object]) -> Iterator[str]:
        """Seen with reasoning models, not documented: the first property tells alternatives apart."""
        firsts = [first for option in options if (first := self._first_property(option)) is not None]
        for at, (name, values) in enumerate(firsts):
            for other, other_values in firsts[:at]:
                if name == other and (not values or not other_values or values & other_values):
                    yield (
                        "Objects provided via 'anyOf' must not share identical first keys. Consider adding a "
                        "discriminator key or rearranging the properties to ensure the first key is unique."
                    )

    def _first_property(self, option: object) -> tuple[str, frozenset[str]] | None:
        """The name of an object's first property, and its values where they are known."""
        node = as_schema(option)
        if "$ref" in node:
            if not _DEFINITION.fullmatch(str(node["$ref"])):
                return None
            node = as_schema(definition(as_schema(self._schema), str(node["$ref"])))
        for name, child in as_schema(node.get("properties")).items():
            values = as_schema(child).get("enum", [])
            known = [as_schema(child)["const"]] if "const" in as_schema(child) else values
            return name, frozenset(map(repr, known if isinstance(known, list) else []))
        return None

    def _object(self, schema: Schema, path: Path, level: int) -> Iterator[str]:
        if schema.get("additionalProperties") is not False:
            yield _at(path, "'additionalProperties' is required to be supplied and to be false.")
        properties = as_schema(schema.get("properties"))
        required: object = schema.get("required")
        named = cast("list[object]", required) if isinstance(required, list) else []
        demand = "'required' is required to be supplied and to be an array including every key in properties."
        for name in properties:
            if name not in named:
                yield _at(path, f"{demand} Missing '{name}'.")
        for name in named:
            if name not in properties:
                yield _at(path, f"{demand} Extra required key '{name}' supplied.")
        self._properties += len(properties)
        self._characters += sum(map(len, properties))
        for name, child in properties.items():
            yield from self._node(child, (*path, "properties", name), level + 1)


def _type_problems(schema: Schema, path: Path) -> Iterator[str]:
    types = types_of(schema)
    if not types and not schema.keys() & {"anyOf", "enum", "const"}:
        yield _at(path, "schema must have a 'type' key.")
    for name in types:
        if name not in TYPES:
            yield _at(path, f"{name!r} is not a valid type.")


def _value_problems(schema: Schema, path: Path) -> Iterator[str]:
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        yield _at(path, "'enum' must be a non-empty array.")
    if "format" in schema and schema["format"] not in FORMATS:
        yield _at(path, f"{schema['format']!r} is not a valid format.")
    if "pattern" in schema and not _compiles(schema["pattern"]):
        yield _at(path, f"{schema['pattern']!r} is not a valid pattern.")
    for keyword in _NUMBERS:
        value = schema.get(keyword, 1)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (keyword == "multipleOf" and value <= 0)
        ):
            yield _at(path, f"'{keyword}' must be a number.")
    for keyword in _COUNTS:
        value = schema.get(keyword, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            yield _at(path, f"'{keyword}' must be a non-negative integer.")


def _compiles(pattern: object) -> bool:
    """Look-around is refused: OpenAI compiles patterns into a grammar, which cannot look around."""
    if not isinstance(pattern, str) or re.search(r"\(\?(=|!|<=|<!)", pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _at(path: Path, problem: str) -> str:
    return f"In context={path!r}, {problem}"
