"""Whole columns of plain values as texts at once: the same texts as `values` gives, many times faster.

Only what needs no second look is done here: exact types, within their range. Anything else, a single
value of another type included, gives None, and `values` decides value by value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import numpy as np
import pandas as pd
from duckdb.sqltypes import DuckDBPyType
from pydantic_core import PydanticSerializationError, to_json

from llm_assets.warehouse.values import INTEGER_BITS, is_json, type_of

Texts = list[str | None]

# What pandas puts where a value is missing, beside None.
_MAY_BE_MISSING = {float, type(pd.NA), type(pd.NaT)}


def column_texts(sql_type: str, values: Sequence[Any] | pd.Series[Any]) -> Texts | None:
    """The texts of a column's values, None for NULL; or nothing when it is not that simple.

    A series is one of times with a zone, whose values would take long to make.
    """
    parsed = type_of(sql_type)
    if is_json(parsed):
        return None
    if isinstance(values, pd.Series):
        return _timestamps(values) if parsed.id == "timestamp with time zone" else None
    if {*map(type, values)} & _MAY_BE_MISSING:
        # Only NaN differs from itself, and comparing with NA gives NA.
        values = [
            None
            if (value.__class__ is float and value != value) or value is pd.NA or value is pd.NaT
            else value
            for value in values
        ]
    present = [value for value in values if value is not None]
    if parsed.id in ("date", "timestamp with time zone"):
        return _times(parsed.id, values, present)
    if not _is_plain(parsed, present):
        return None
    try:
        return _texts(parsed, values, present)
    except (PydanticSerializationError, UnicodeEncodeError):
        return None  # half of a surrogate pair is not text, and `values` says where it stands


def _texts(parsed: DuckDBPyType, values: Sequence[Any], present: list[Any]) -> Texts:
    if parsed.id in ("list", "struct"):
        return [None if value is None else to_json(value).decode() for value in values]
    if parsed.id == "varchar":
        "".join(present).encode()
        return list(values)
    if parsed.id == "boolean":
        return [None if value is None else ("true" if value else "false") for value in values]
    return [None if value is None else str(value) for value in values]


def _times(kind: str, values: Sequence[Any], present: list[Any]) -> Texts | None:
    if kind == "date":
        simple = {*map(type, present)} <= {date}
    else:
        if present and {*map(type, present)} == {pd.Timestamp}:
            return _timestamps(values)
        simple = {*map(type, present)} <= {datetime} and all(value.tzinfo is UTC for value in present)
    if not simple:
        return None
    known: dict[Any, str | None] = {value: value.isoformat() for value in {*present}}
    known[None] = None
    return [known[value] for value in values]


def _timestamps(values: Sequence[Any] | pd.Series[Any]) -> Texts | None:
    """Times as pandas keeps them, when all are whole microseconds of UTC."""
    index = pd.DatetimeIndex(values if isinstance(values, pd.Series) else pd.Series(values, dtype=object))
    if str(index.tz) != "UTC":
        return None
    times = index.tz_localize(None).to_numpy()
    if (times.astype("datetime64[us]") != times)[~np.isnat(times)].any():
        return None
    texts = np.datetime_as_string(times, unit="us")
    return [None if text == "NaT" else f"{text}+00:00" for text in texts.tolist()]


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
        return all(map(_digits(str(sql_type)).fullmatch, map(str, values)))
    if kind == "list":
        items = [item for item in chain.from_iterable(values) if item is not None]
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
    fields = _fields(sql_type)
    names = fields.keys()
    return all(value.keys() == names for value in values) and all(
        _is_plain(kind, [value[name] for value in values if value[name] is not None])
        for name, kind in fields.items()
    )


def _fields(sql_type: DuckDBPyType) -> Mapping[str, DuckDBPyType]:
    return {name: cast(DuckDBPyType, kind) for name, kind in sql_type.children}


_EXACT: Mapping[str, type] = {
    "varchar": str,
    "boolean": bool,
    "double": float,
    "decimal": Decimal,
    "list": list,
    "struct": dict,
    **dict.fromkeys(INTEGER_BITS, int),
}
