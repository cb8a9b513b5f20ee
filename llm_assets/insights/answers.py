"""An answer's text as the output model's plain values, or the reason why it is none.

Nothing is put right here: a string is not read as a number, and a value that its column could not hold
makes the answer invalid, because storing it would change it. The reason is worded for the model that
has to answer again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from llm_assets.insights.columns import MAX_DECIMALS, MAX_DIGITS

_SHOWN_PROBLEMS = 10
_INTEGER_BOUND = 2**63


class InvalidAnswer(ValueError):
    """The answer is not JSON or not what the output model asks for."""


def parse_answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    """The model's fields as plain JSON values. Raises InvalidAnswer, one problem a line."""
    try:
        parsed = model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidAnswer(_listed(_told(error))) from error
    if problems := list(_unstorable(parsed, "")):
        raise InvalidAnswer(_listed(problems))
    return parsed.model_dump(mode="json")


def _told(error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return [f"{_path(problem['loc'])}{problem['msg']}" for problem in problems]


def _path(places: tuple[int | str, ...]) -> str:
    path = "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places)
    return f"{path.lstrip('.')}: " if path else ""


def _listed(problems: list[str]) -> str:
    more = len(problems) - _SHOWN_PROBLEMS
    return "\n".join([*problems[:_SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def _unstorable(value: Any, path: str, field: FieldInfo | None = None) -> Iterator[str]:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name, item in value:
            yield from _unstorable(item, f"{path}.{name}".lstrip("."), fields.get(name))
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, Any]", value).items():
            yield from _unstorable(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _unstorable(item, f"{path}[{index}]", field)
    elif problem := _too_much(value, field):
        yield f"{path}: {problem}"


def _too_much(value: Any, field: FieldInfo | None) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and not -_INTEGER_BOUND <= value < _INTEGER_BOUND:
        return "must fit 64 bits"
    if isinstance(value, Decimal) and not _limited_by_the_model(field) and not _fits_decimal(value):
        return f"must have at most {MAX_DECIMALS} decimals and {MAX_DIGITS - MAX_DECIMALS} digits before them"
    return None


def _limited_by_the_model(field: FieldInfo | None) -> bool:
    """A Decimal that declares its digits gets a column of that size, and Pydantic has checked it."""
    return field is not None and any(
        getattr(limit, "decimal_places", None) is not None for limit in field.metadata
    )


def _fits_decimal(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    # The usual context would round a long number before it is looked at.
    exponent = Context(prec=100).normalize(value).as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return value.adjusted() < MAX_DIGITS - MAX_DECIMALS and decimals <= MAX_DECIMALS
