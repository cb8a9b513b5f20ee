"""The columns of an output model's table, as plain descriptions: name, DuckDB type, what it means.

They follow from what the model writes as JSON, so a column always takes what an answer brings. What
has no type of its own (free keys, unions of unlike types, recursion) becomes JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from llm_assets.insights.json_schema import DECIMAL_FORMAT, Schema, json_schema

JSON = "JSON"

# What a DECIMAL without declared digits can hold; answers that need more are invalid.
MAX_DIGITS, MAX_DECIMALS = 38, 9

_DEFINITION = "#/$defs/"
_PLAIN: Mapping[str, str] = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
}
_BY_FORMAT: Mapping[str, str] = {"date": "DATE", "date-time": "TIMESTAMPTZ"}
_BY_VALUE: Mapping[type, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column for one field. `description` is the field's own, with a note when the type is JSON."""

    name: str
    sql_type: str
    description: str


def output_columns(model: type[BaseModel]) -> list[OutputColumn]:
    """One column per field of the model, in its order. Raises OutputModelError as `json_schema` does."""
    source = json_schema(model, "serialization")
    definitions: Mapping[str, Schema] = source.get("$defs", {})
    if "$ref" in source:
        source = definitions[source["$ref"].removeprefix(_DEFINITION)]
    return [_column(name, field, definitions) for name, field in source.get("properties", {}).items()]


def _column(name: str, field: Schema, definitions: Mapping[str, Schema]) -> OutputColumn:
    sql_type = _sql_type(field, definitions, ())
    description = str(field.get("description") or _resolved(field, definitions).get("description") or "")
    if JSON in sql_type:
        description = f"{description} (Stored as JSON{'' if sql_type == JSON else ' in part'}.)".strip()
    return OutputColumn(name, sql_type, description)


def _resolved(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    return definitions[node["$ref"].removeprefix(_DEFINITION)] if "$ref" in node else node


def _sql_type(node: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...]) -> str:
    """`inside` are the definitions this node is part of; meeting one of them again is recursion."""
    if "$ref" in node:
        name = node["$ref"].removeprefix(_DEFINITION)
        return JSON if name in inside else _sql_type(definitions[name], definitions, (*inside, name))
    if "enum" in node or "const" in node:
        return _one({_BY_VALUE.get(type(value)) for value in _values(node)})
    options = node.get("anyOf") or node.get("oneOf")
    if options:
        return _one({_sql_type(option, definitions, inside) for option in options if not _is_null(option)})
    kind = node.get("type")
    if kind == "array" and node.get("items"):
        return f"{_sql_type(node['items'], definitions, inside)}[]"
    if kind == "object" and node.get("properties") and not node.get("additionalProperties"):
        return _struct(node["properties"], definitions, inside)
    return _scalar(node)


def _values(node: Schema) -> list[Any]:
    return [value for value in node.get("enum", [node.get("const")]) if value is not None]


def _is_null(node: Schema) -> bool:
    return node.get("type") == "null"


def _one(types: set[str | None]) -> str:
    only = next(iter(types)) if len(types) == 1 else None
    return only or JSON


def _struct(
    properties: Mapping[str, Schema], definitions: Mapping[str, Schema], inside: tuple[str, ...]
) -> str:
    if len({name.lower() for name in properties}) < len(properties):
        return JSON  # DuckDB does not tell fields apart that differ only in case
    fields = (
        f"{_quoted(name)} {_sql_type(field, definitions, inside)}" for name, field in properties.items()
    )
    return f"STRUCT({', '.join(fields)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _scalar(node: Schema) -> str:
    kind, named = node.get("type"), node.get("format", "")
    if kind == "string" and named == DECIMAL_FORMAT:
        digits, decimals = node.get("x-digits", MAX_DIGITS), node.get("x-decimals", MAX_DECIMALS)
        return f"DECIMAL({digits},{decimals})" if digits <= MAX_DIGITS else "VARCHAR"
    if kind == "string" and named in _BY_FORMAT:
        return _BY_FORMAT[named]
    return _PLAIN.get(kind, JSON) if isinstance(kind, str) else JSON
