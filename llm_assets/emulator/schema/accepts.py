"""What a scalar must satisfy: the keywords of JSON schema that concern strings and numbers."""

from __future__ import annotations

import math
import re
from typing import Any

from llm_assets.emulator.schema.check import Schema, types_of


class Unsatisfiable(Exception):
    """No value was found that the schema takes; the message says of which part."""


def accepts(schema: Schema, value: Any) -> bool:
    """Whether a scalar satisfies its schema's type, bounds, pattern and length."""
    types = types_of(schema)
    if types and not any(_is(value, name) for name in types):
        return False
    if isinstance(value, str):
        return _accepts_text(schema, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _accepts_number(schema, value)
    return True


def is_multiple(value: float, step: float) -> bool:
    """Whether binary fractions agree that it is: 0.3 is no multiple of 0.1 to a validator."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    return (value / step).is_integer()


def _accepts_text(schema: Schema, value: str) -> bool:
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)


def _accepts_number(schema: Schema, value: float) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < value < schema.get("exclusiveMaximum", math.inf)
        and (step is None or is_multiple(value, step))
    )


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "number":
        return isinstance(value, int | float)
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    kinds: dict[str, type] = {"string": str, "null": type(None), "array": list, "object": dict}
    return name in kinds and isinstance(value, kinds[name])
