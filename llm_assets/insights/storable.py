"""What of a valid output its columns could not hold: storing it would change it, so the answer is invalid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, cast

from llm_assets.insights.columns import JSON, MAX_DECIMALS, MAX_DIGITS, has_fields, is_null, sql_type_of
from llm_assets.insights.json_schema import (
    DECIMAL_FORMAT,
    DIGITS,
    VALUES,
    Schema,
    body_of,
    definitions_of,
    referred,
)

_INTEGER_BOUND = 2**63
_ZONE = re.compile(r"(Z|[+-]\d\d:\d\d)$")


def unstorable(stored: Schema, output: Any) -> list[str]:
    """One problem a line, with its path. `stored` is the JSON schema of what the model gives."""
    root = {key: stored[key] for key in stored if key != "$defs"}
    return [
        *_without_column(body_of(stored), output),
        *_problems(root, output, "", definitions_of(stored), ()),
    ]


def _without_column(body: Schema, output: Any) -> list[str]:
    """A model that allows for more than its fields has columns for its fields alone."""
    fields = body.get("properties")
    if not isinstance(output, dict) or fields is None or VALUES in body:
        return []
    more = (name for name in cast("dict[str, Any]", output) if name not in fields)
    return [f"{name}: is no field that was asked for; leave it out" for name in more]


def _problems(
    node: Schema, value: Any, path: str, definitions: Mapping[str, Schema], inside: tuple[str, ...]
) -> Iterator[str]:
    if value is None:
        return
    if (name := referred(node)) is not None:
        if name not in inside:  # recursion is kept as JSON, which holds everything
            yield from _problems(definitions[name], value, path, definitions, (*inside, name))
        return
    options = [option for option in node.get("anyOf") or node.get("oneOf") or () if not is_null(option)]
    if options:
        if sql_type_of(node, definitions, inside) != JSON:
            yield from _problems(options[0], value, path, definitions, inside)
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _problems(node.get("items") or {}, item, f"{path}[{index}]", definitions, inside)
    elif isinstance(value, dict):
        fields = node["properties"] if has_fields(node) else {}
        for key, item in cast("dict[str, Any]", value).items():
            inner = f"{path}.{key}".lstrip(".")
            yield from _problems(fields.get(key) or {}, item, inner, definitions, inside)
    elif problem := _problem(node, value):
        yield f"{path}: {problem}"


def _problem(node: Schema, value: Any) -> str | None:
    kind, named = node.get("type"), node.get("format")
    if kind == "integer" and isinstance(value, int) and not -_INTEGER_BOUND <= value < _INTEGER_BOUND:
        return "must fit 64 bits"
    if kind != "string" or not isinstance(value, str):
        return None
    # A Decimal that declares its digits has a column of that size, and Pydantic has checked it.
    if named == DECIMAL_FORMAT and DIGITS not in node and not _fits_decimal(Decimal(value)):
        return f"must have at most {MAX_DECIMALS} decimals and {MAX_DIGITS - MAX_DECIMALS} digits before them"
    if named == "date-time" and not _ZONE.search(value):
        return "must have an offset from UTC, such as Z or +02:00"
    return None


def _fits_decimal(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    # The usual context would round a long number before it is looked at.
    exponent = Context(prec=100).normalize(value).as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return value.adjusted() < MAX_DIGITS - MAX_DECIMALS and decimals <= MAX_DECIMALS
