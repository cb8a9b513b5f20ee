"""The columns of an output model's table, as plain descriptions: name, DuckDB type, what it means.

They follow from what the model writes as JSON, so a column always takes what an answer brings. What
has no type of its own (free keys, tuples, unions of unlike types, recursion) becomes JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from llm_assets.errors import OutputModelError
from llm_assets.insights.json_schema import (
    DECIMAL_FORMAT,
    DECIMALS,
    DIGITS,
    IMPOSSIBLE,
    NAIVE_FORMAT,
    VALUES,
    Schema,
    body_of,
    definitions_of,
    json_schema,
    referred,
)
from llm_assets.insights.schema import ROOT, is_record

JSON = "JSON"

# What a DECIMAL without declared digits can hold; answers that need more are invalid.
MAX_DIGITS, MAX_DECIMALS = 38, 9

_PLAIN: Mapping[str, str] = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
}
_BY_FORMAT: Mapping[str, str] = {"date": "DATE", "date-time": "TIMESTAMPTZ", NAIVE_FORMAT: "TIMESTAMP"}
_BY_VALUE: Mapping[type, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column for one field. `description` is the field's own, with a note when the type is JSON."""

    name: str
    sql_type: str
    description: str


def output_columns(model: type[BaseModel]) -> list[OutputColumn]:
    """One column per field of the model, in its order; one called `root` for a model without fields.

    Fields that the model keeps to itself (`exclude=True`) have none. Raises OutputModelError that names the
    field nothing could be stored of.
    """
    source = json_schema(model, "serialization")
    definitions = definitions_of(source)
    if not is_record(source):
        return [_column(ROOT, {key: source[key] for key in source if key != "$defs"}, definitions)]
    kept = {name for name, field in model.model_fields.items() if field.exclude}
    fields = body_of(source).get("properties", {})
    return [_column(name, node, definitions) for name, node in fields.items() if name not in kept]


def _column(name: str, field: Schema, definitions: Mapping[str, Schema]) -> OutputColumn:
    if IMPOSSIBLE in field:
        raise OutputModelError(f"nothing can be stored of {name}: {field[IMPOSSIBLE]}")
    sql_type = sql_type_of(field, definitions)
    description = str(field.get("description") or _resolved(field, definitions).get("description") or "")
    if JSON in sql_type:
        description = f"{description} (Stored as JSON{'' if sql_type == JSON else ' in part'}.)".strip()
    return OutputColumn(name, sql_type, description)


def _resolved(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    name = referred(node)
    return node if name is None else definitions[name]


def sql_type_of(node: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...] = ()) -> str:
    """`inside` are the definitions this node is part of; meeting one of them again is recursion."""
    if (name := referred(node)) is not None:
        return JSON if name in inside else sql_type_of(definitions[name], definitions, (*inside, name))
    if "enum" in node or "const" in node:
        return _one({_BY_VALUE.get(type(value)) for value in _values(node)})
    options = node.get("anyOf") or node.get("oneOf")
    if options:
        return _one({sql_type_of(option, definitions, inside) for option in options if not is_null(option)})
    kind = node.get("type")
    if kind == "array" and node.get("items"):
        return f"{sql_type_of(node['items'], definitions, inside)}[]"
    if kind == "object" and has_fields(node):
        return _struct(node["properties"], definitions, inside)
    return _scalar(node)


def has_fields(node: Schema) -> bool:
    """Whether a node is an object of known properties, each of which can be told from the others."""
    properties = node.get("properties")
    if not properties or node.get("additionalProperties") or VALUES in node:
        return False
    # DuckDB does not tell fields apart that differ only in case.
    return len({name.lower() for name in properties}) == len(properties)


def _values(node: Schema) -> list[Any]:
    return [value for value in node.get("enum", [node.get("const")]) if value is not None]


def is_null(node: Schema) -> bool:
    return node.get("type") == "null"


def _one(types: set[str | None]) -> str:
    only = next(iter(types)) if len(types) == 1 else None
    return only or JSON


def _struct(
    properties: Mapping[str, Schema], definitions: Mapping[str, Schema], inside: tuple[str, ...]
) -> str:
    fields = (
        f"{_quoted(name)} {sql_type_of(field, definitions, inside)}" for name, field in properties.items()
    )
    return f"STRUCT({', '.join(fields)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _scalar(node: Schema) -> str:
    kind, named = node.get("type"), node.get("format", "")
    if kind == "string" and named == DECIMAL_FORMAT:
        digits, decimals = node.get(DIGITS, MAX_DIGITS), node.get(DECIMALS, MAX_DECIMALS)
        return f"DECIMAL({digits},{decimals})" if digits <= MAX_DIGITS else "VARCHAR"
    if kind == "string" and named in _BY_FORMAT:
        return _BY_FORMAT[named]
    return _PLAIN.get(kind, JSON) if isinstance(kind, str) else JSON
