"""Whole columns of plain values as texts at once: the same texts as `values` gives, many times faster.

Only what needs no second look is done here: exact types, within their range. Anything else, a single
value of another type included, gives None, and `values` decides value by value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any, cast

from duckdb.sqltypes import DuckDBPyType
from pydantic_core import PydanticSerializationError, to_json

from llm_assets.warehouse.foreign import missing_types
from llm_assets.warehouse.values import INTEGER_BITS, is_json, type_of

Texts = list[str | None]

# Few enough that long texts, put together to be looked at, take no room worth a word.
_CHECKED_AT_ONCE = 500


def column_texts(sql_type: str, values: Sequence[Any]) -> Texts | None:
    """The texts of a column's values, None for NULL; or nothing when it is not that simple."""
    parsed = type_of(sql_type)
    if is_json(parsed):
        return None
    kinds, missing = {*map(type, values)}, missing_types()
    if float in kinds:  # only NaN differs from itself
        values = [None if value.__class__ is float and value != value else value for value in values]
    if kinds & missing:
        values = [None if type(value) in missing else value for value in values]
    present = _present(values)
    if {*map(type, present)} == {str} and parsed.id in ("decimal", *_TIMES):
        return list(values) if _are_exact_texts(parsed, present) else None
    if parsed.id in _TIMES:
        return _times(parsed.id, values, present)
    if not _is_plain(parsed, present):
        return None
    try:
        return _texts(parsed, values, present)
    except (PydanticSerializationError, UnicodeEncodeError):
        return None  # half of a surrogate pair is not text, and `values` says where it stands


def _are_exact_texts(parsed: DuckDBPyType, texts: Sequence[str]) -> bool:
    """Whether amounts and times that came as text, out of JSON, are already the texts to cast."""
    if parsed.id == "decimal":
        return all(map(_digits(str(parsed)).fullmatch, {*texts}))
    shape, read = _TIMES[parsed.id]
    try:
        return all(map(shape.fullmatch, texts)) and bool([*map(read, {*texts})])
    except ValueError:
        return False


def _present(values: Iterable[Any]) -> list[Any]:
    values = list(values)
    return [value for value in values if value is not None] if NoneType in {*map(type, values)} else values


def _texts(parsed: DuckDBPyType, values: Sequence[Any], present: list[Any]) -> Texts:
    if parsed.id in ("list", "struct"):
        # JSON has no line breaks outside of its texts, and none inside: there they are escaped.
        texts = b"\n".join(map(to_json, values)).decode().split("\n") if values else []
        return list(texts) if len(present) == len(values) else [None if t == "null" else t for t in texts]
    if parsed.id == "varchar":
        for start in range(0, len(present), _CHECKED_AT_ONCE):
            "".join(present[start : start + _CHECKED_AT_ONCE]).encode()
        return list(values)
    if parsed.id == "boolean":
        return [None if value is None else ("true" if value else "false") for value in values]
    return [None if value is None else str(value) for value in values]


def _times(kind: str, values: Sequence[Any], present: list[Any]) -> Texts | None:
    if kind == "date":
        simple = {*map(type, present)} <= {date}
    else:
        simple = {*map(type, present)} <= {datetime} and all(value.tzinfo is UTC for value in present)
    if not simple:
        return None
    known: dict[Any, str | None] = {value: value.isoformat() for value in {*present}}
    known[None] = None
    return [known[value] for value in values]


def _is_plain(sql_type: DuckDBPyType, values: list[Any]) -> bool:
    """Whether these values, none of them missing, are stored as they are."""
    kind = sql_type.id
    if is_json(sql_type) or kind not in _EXACT:
        return False
    if not {*map(type, values)} <= {_EXACT[kind]}:
        return False
    if kind in INTEGER_BITS:
        bound = 2 ** (INTEGER_BITS[kind] - 1)
        return not values or (min(values) >= -bound and max(values) < bound)
    if kind == "double":
        return all(map(math.isfinite, values))
    if kind == "decimal":
        return all(map(_digits(str(sql_type)).fullmatch, {*map(str, values)}))
    if kind == "list":
        items = _present(chain.from_iterable(values))
        return _is_plain(cast(DuckDBPyType, sql_type.children[0][1]), items)
    return kind != "struct" or _are_plain_structs(sql_type, values)


@lru_cache
def _digits(sql_type: str) -> re.Pattern[str]:
    """No more digits, before the point and after it, than a DECIMAL keeps, and no exponent."""
    sizes = dict(cast("list[tuple[str, int]]", type_of(sql_type).children))
    scale = sizes["scale"]
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    return re.compile(rf"-?0?[0-9]{{{0 if scale else 1},{sizes['precision'] - scale}}}{fraction}")


def _are_plain_structs(sql_type: DuckDBPyType, values: list[dict[str, Any]]) -> bool:
    fields = {name: cast(DuckDBPyType, kind) for name, kind in sql_type.children}
    return all({*keys} == fields.keys() for keys in {*map(tuple, values)}) and all(
        _is_plain(kind, _present(map(itemgetter(name), values))) for name, kind in fields.items()
    )


_DAY = r"\d{4}-\d\d-\d\d"
_TIMES = {
    "date": (re.compile(_DAY, re.ASCII), date.fromisoformat),
    "timestamp with time zone": (
        re.compile(_DAY + r"T\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00", re.ASCII),
        datetime.fromisoformat,
    ),
}
_EXACT: Mapping[str, type] = {
    "varchar": str,
    "boolean": bool,
    "double": float,
    "decimal": Decimal,
    "list": list,
    "struct": dict,
    **dict.fromkeys(INTEGER_BITS, int),
}
