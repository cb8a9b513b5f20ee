"""Whole columns of plain values as texts at once: the same texts as `values` gives, many times faster.

Only what needs no second look is done here: exact types, within their range. Anything else, a single
value of another type included, gives None, and `values` decides value by value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, cast

import numpy as np
import pandas as pd
from duckdb.sqltypes import DuckDBPyType

from llm_assets.warehouse.values import INTEGER_BITS, is_json, is_missing, type_of

Texts = list[str | None]

# What pandas puts where a value is missing, beside None.
_MAY_BE_MISSING = {float, type(pd.NA), type(pd.NaT)}

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def column_texts(sql_type: str, values: Sequence[Any]) -> Texts | None:
    """The texts of a column's values, None for NULL; or nothing when it is not that simple."""
    parsed = type_of(sql_type)
    if is_json(parsed):
        return None
    kinds = {*map(type, values)}
    if kinds & _MAY_BE_MISSING:
        values = [
            None if value.__class__ in _MAY_BE_MISSING and is_missing(value) else value for value in values
        ]
    present = [value for value in values if value is not None]
    if parsed.id in ("date", "timestamp with time zone"):
        return _times(parsed.id, values, present)
    if not _is_plain(parsed, present):
        return None
    if parsed.id in ("list", "struct"):
        texts: Texts = [None if value is None else _encode(value) for value in values]
    elif parsed.id == "double":
        texts = [None if value is None else str(value) for value in values]
    elif parsed.id == "boolean":
        texts = [None if value is None else ("true" if value else "false") for value in values]
    else:
        texts = [value if value is None or value.__class__ is str else str(value) for value in values]
    return texts if _is_unicode(texts) else None


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


def _timestamps(values: Sequence[Any]) -> Texts | None:
    """Times as pandas keeps them, when all are whole microseconds of UTC."""
    index = pd.DatetimeIndex(pd.Series(values, dtype=object))
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
    if kind == "list":
        items = [item for item in chain.from_iterable(values) if item is not None]
        return _is_plain(cast(DuckDBPyType, sql_type.children[0][1]), items)
    return kind != "struct" or _are_plain_structs(sql_type, values)


def _are_plain_structs(sql_type: DuckDBPyType, values: list[dict[str, Any]]) -> bool:
    fields = _fields(sql_type)
    names = fields.keys()
    return all(value.keys() == names for value in values) and all(
        _is_plain(kind, [value[name] for value in values if value[name] is not None])
        for name, kind in fields.items()
    )


def _fields(sql_type: DuckDBPyType) -> Mapping[str, DuckDBPyType]:
    return {name: cast(DuckDBPyType, kind) for name, kind in sql_type.children}


def _is_unicode(texts: Texts) -> bool:
    """Half of a surrogate pair is not text, and `values` says where it stands."""
    try:
        "".join([text for text in texts if text is not None]).encode()
    except UnicodeEncodeError:
        return False
    return True


_EXACT: Mapping[str, type] = {
    "varchar": str,
    "boolean": bool,
    "double": float,
    "list": list,
    "struct": dict,
    **dict.fromkeys(INTEGER_BITS, int),
}
