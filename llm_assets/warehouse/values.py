"""Python values as the text DuckDB casts to a column's type: exactly, or not at all.

DuckDB's own casts round silently (1.5 into BIGINT becomes 2, also from text and inside JSON), so whether
a value fits is decided here, before a row gets near a table. Nested values become JSON text; decimals,
dates and times are strings inside it, so no binary fraction stands between a number and its column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from typing import Any, cast

import duckdb
from duckdb.sqltypes import DuckDBPyType

from llm_assets.errors import ConfigurationError
from llm_assets.warehouse import scratch
from llm_assets.warehouse.foreign import is_missing_to_pandas, is_of_numpy, is_pandas_time

Plain = Callable[[Any], Any]

INTEGER_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64, "hugeint": 128}
_SHOWN_CHARACTERS = 80

# 38 digits is the widest DECIMAL; the module's default context would round such a value to 28.
_EXACT = Context(prec=80)


class DoesNotFit(ValueError):
    """A value would be changed by storing it; the message names the value and the type."""

    def __init__(self, value: object, sql_type: object, reason: str = "") -> None:
        super().__init__(value, sql_type, reason)
        self.value, self.sql_type, self.reason = value, sql_type, reason

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = f"{shown[:_SHOWN_CHARACTERS]}…"
        return f"{shown} does not fit {self.sql_type}" + (f" ({self.reason})" if self.reason else "")


@lru_cache(maxsize=512)
def type_of(sql_type: str) -> DuckDBPyType:
    """DuckDB's own reading of a type's name, so that `TIMESTAMPTZ` equals `TIMESTAMP WITH TIME ZONE`."""
    try:
        with scratch.cursor() as cursor:  # and not DuckDB's default connection, which would be another DuckDB
            return cursor.sqltype(sql_type)
    except duckdb.Error as error:
        raise ConfigurationError(f"{sql_type!r} is not a type of DuckDB: {error}") from error


def is_json(sql_type: DuckDBPyType) -> bool:
    """JSON is VARCHAR to DuckDB's type ids; only its name tells it apart."""
    return str(sql_type) == "JSON"


def is_document(sql_type: DuckDBPyType) -> bool:
    """True for types whose values are staged as JSON text."""
    return sql_type.id in ("list", "struct") or is_json(sql_type)


def is_missing(value: Any) -> bool:
    """None and everything pandas may have made of it: NaN, NaT and NA."""
    if value is None:
        return True
    if value.__class__ is str:
        return False
    if isinstance(value, float) or is_of_numpy(value, "floating"):
        return bool(value != value)  # only NaN differs from itself
    return is_missing_to_pandas(value)


def text_of(sql_type: str, rounded: bool = False) -> Callable[[Any], str]:
    """The function that turns a value that is not missing into the text to cast.

    It raises DoesNotFit; building it raises ConfigurationError for a type these tables do not have.
    """
    parsed = type_of(sql_type)
    plain = _plain(parsed, rounded)
    if is_document(parsed):
        return lambda value: _unicode(_json_text(plain(value), parsed))
    return lambda value: _scalar_text(plain(value))


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _json_text(value: Any, sql_type: DuckDBPyType) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_default)
    except (TypeError, ValueError) as error:
        raise DoesNotFit(value, sql_type, str(error)) from error


def _json_default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if is_of_numpy(value, "ndarray", "generic"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _unicode(text: str) -> str:
    """Half of a surrogate pair is not text: DuckDB 1.4 gives up the whole database over one."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DoesNotFit(text, "VARCHAR", "half of a surrogate pair is not a character") from error
    return text


def _plain(sql_type: DuckDBPyType, rounded: bool = False) -> Plain:
    kind = sql_type.id
    if is_json(sql_type):
        return lambda value: value
    if kind in INTEGER_BITS:
        return _integer(sql_type, INTEGER_BITS[kind])
    if kind == "decimal":
        return _decimal(sql_type, rounded)
    if kind == "list":
        return _list(sql_type)
    if kind == "struct":
        return _struct(sql_type)
    if kind in _SCALARS:
        return _SCALARS[kind]
    raise ConfigurationError(f"columns of type {sql_type} are not supported; use JSON")


def _or_none(plain: Plain) -> Plain:
    return lambda value: None if is_missing(value) else plain(value)


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, str):
        raise DoesNotFit(value, "VARCHAR")
    return _unicode(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool) and not is_of_numpy(value, "bool_"):
        raise DoesNotFit(value, "BOOLEAN")
    return bool(value)


def _integer(sql_type: DuckDBPyType, bits: int) -> Plain:
    least, greatest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def plain(value: Any) -> int:
        # Whole floats are taken: pandas turns a column of integers with a gap into floats.
        whole = isinstance(value, int | float | Decimal) or is_of_numpy(value, "integer", "floating")
        if not whole or isinstance(value, bool) or not math.isfinite(value) or int(value) != value:
            raise DoesNotFit(value, sql_type)
        if not least <= int(value) <= greatest:
            raise DoesNotFit(value, sql_type, "out of range")
        return int(value)

    return plain


def _double(value: Any) -> float | str:
    known = isinstance(value, int | float | Decimal) or is_of_numpy(value, "integer", "floating")
    if isinstance(value, bool) or not known:
        raise DoesNotFit(value, "DOUBLE")
    try:
        number = float(value)
    except OverflowError as error:
        raise DoesNotFit(value, "DOUBLE", "out of range") from error
    if number != value:
        raise DoesNotFit(value, "DOUBLE", "more digits than a DOUBLE holds")
    return number if math.isfinite(number) else str(number)  # JSON has no word for infinity


def _decimal(sql_type: DuckDBPyType, rounded: bool) -> Plain:
    sizes = dict(cast("list[tuple[str, int]]", sql_type.children))
    step = Decimal(1).scaleb(-sizes["scale"])
    bound = Decimal(10) ** (sizes["precision"] - sizes["scale"])

    def plain(value: Any) -> str:
        number = _as_decimal(value, sql_type)
        if not number.is_finite() or number.copy_abs() >= bound:
            raise DoesNotFit(value, sql_type, "out of range")
        stored = number.quantize(step, rounding=ROUND_HALF_EVEN, context=_EXACT)
        if stored != number and not rounded:
            raise DoesNotFit(value, sql_type, f"more than {sizes['scale']} decimals")
        if stored.copy_abs() >= bound:
            raise DoesNotFit(value, sql_type, "out of range")
        return f"{stored:f}"

    return plain


def _as_decimal(value: Any, sql_type: DuckDBPyType) -> Decimal:
    known = isinstance(value, int | float | str | Decimal) or is_of_numpy(value, "number")
    if isinstance(value, bool) or not known:
        raise DoesNotFit(value, sql_type)
    try:
        # A float's shortest text is what a person meant by it: 0.1, not the binary fraction next to it.
        return value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation as error:
        raise DoesNotFit(value, sql_type) from error


def _date(value: Any) -> str:
    if isinstance(value, str):
        value = _parsed(value, date.fromisoformat, "DATE")
    if isinstance(value, datetime) and value.time() == time.min and value.tzinfo is None:
        value = value.date()  # other IO managers give dates back as midnight
    if not isinstance(value, date) or isinstance(value, datetime):
        raise DoesNotFit(value, "DATE")
    return value.isoformat()


def _timestamp(value: Any) -> str:
    """A time without a zone is UTC, whatever the machine's zone: the same row is the same everywhere."""
    if isinstance(value, str):
        value = _parsed(value, datetime.fromisoformat, "TIMESTAMPTZ")
    if not isinstance(value, datetime):
        raise DoesNotFit(value, "TIMESTAMPTZ")
    if is_pandas_time(value):
        if value.nanosecond:
            raise DoesNotFit(value, "TIMESTAMPTZ", "finer than a microsecond")
        value = value.to_pydatetime()
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except OverflowError as error:
        raise DoesNotFit(value, "TIMESTAMPTZ", "out of range") from error


def _wall_clock(value: Any) -> str:
    """A time without a zone stays one; with a zone it would be another time."""
    if isinstance(value, str):
        value = _parsed(value, datetime.fromisoformat, "TIMESTAMP")
    if not isinstance(value, datetime) or value.tzinfo is not None:
        raise DoesNotFit(value, "TIMESTAMP")
    if is_pandas_time(value):
        if value.nanosecond:
            raise DoesNotFit(value, "TIMESTAMP", "finer than a microsecond")
        value = value.to_pydatetime()
    return value.isoformat()


def _parsed(text: str, parse: Callable[[str], Any], sql_type: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise DoesNotFit(text, sql_type) from error


def _list(sql_type: DuckDBPyType) -> Plain:
    item = _or_none(_plain(cast(DuckDBPyType, sql_type.children[0][1])))

    def plain(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple) and not is_of_numpy(value, "ndarray"):
            raise DoesNotFit(value, sql_type)
        return [item(element) for element in cast("list[Any]", value)]

    return plain


def _struct(sql_type: DuckDBPyType) -> Plain:
    fields = {name: _or_none(_plain(cast(DuckDBPyType, kind))) for name, kind in sql_type.children}

    def plain(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise DoesNotFit(value, sql_type)
        given = cast("Mapping[str, Any]", value)
        if unknown := [name for name in given if name not in fields]:
            raise DoesNotFit(value, sql_type, f"it has no field {unknown[0]!r}")
        return {name: field(given.get(name)) for name, field in fields.items()}

    return plain


_SCALARS: Mapping[str, Plain] = {
    "varchar": _text,
    "boolean": _boolean,
    "double": _double,
    "date": _date,
    "timestamp": _wall_clock,
    "timestamp with time zone": _timestamp,
}
