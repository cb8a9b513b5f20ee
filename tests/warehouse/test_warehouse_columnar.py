"""Columns done at once come out as they would value by value."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_assets.warehouse.arrays import column_array
from llm_assets.warehouse.columnar import column_texts
from llm_assets.warehouse.values import DoesNotFit, is_missing, text_of

PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "VARCHAR": st.text(max_size=5),
    "BIGINT": st.integers(-(2**64), 2**64),
    "SMALLINT": st.integers(-(2**16), 2**16),
    "DOUBLE": st.floats(),
    "BOOLEAN": st.booleans(),
    "DECIMAL(6,2)": st.decimals(-20_000, 20_000, places=2)
    | st.decimals(-20_000, 20_000, places=2).map(str)
    | st.decimals(allow_nan=False),
    "DECIMAL(4,0)": st.decimals(-20_000, 20_000, places=0),
    "DECIMAL(3,3)": st.decimals(-2, 2, places=3),
    "DATE": st.dates() | st.dates().map(str) | st.from_regex(r"\d{4}-[01]\d-[0-3]\d", fullmatch=True),
    "TIMESTAMPTZ": st.one_of(
        st.datetimes(timezones=st.just(UTC)),
        st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        st.from_regex(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d:\d\d(\.\d{1,7})?\+00:00", fullmatch=True),
        st.integers(-(10**15), 10**15).map(lambda value: pd.Timestamp(value, unit="us", tz="UTC")),
    ),
}
ODD = st.one_of(
    st.none(),
    st.just(float("nan")),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(date(2026, 3, 2)),
    st.just("\ud800"),
)


def columns() -> st.SearchStrategy[tuple[str, st.SearchStrategy[Any]]]:
    """A type and values of it, nested up to two levels."""
    scalar = st.sampled_from(sorted(PLAIN)).map(lambda name: (name, PLAIN[name]))

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        lists = inner.map(lambda one: (f"{one[0]}[]", st.lists(st.none() | one[1], max_size=3)))
        structs = st.tuples(inner, inner).map(
            lambda two: (
                f'STRUCT("a" {two[0][0]}, "b" {two[1][0]})',
                st.fixed_dictionaries({"a": st.none() | two[0][1], "b": st.none() | two[1][1]}),
            )
        )
        return lists | structs

    return st.recursive(scalar, nested, max_leaves=4)


def meant(sql_type: str, texts: list[str | None] | None) -> Any:
    """What the texts say: keys have no order, and zeros at the end of a fraction mean nothing."""
    if texts is None:
        return None
    if sql_type == "TIMESTAMPTZ":
        return [text and datetime.fromisoformat(text) for text in texts]
    if sql_type.startswith("DECIMAL") and sql_type.endswith(")"):
        return [text and Decimal(text) for text in texts]
    if sql_type.endswith(("]", ")")):
        return [text and _numbers(json.loads(text)) for text in texts]
    return texts


def _numbers(value: Any) -> Any:
    """Texts in it that are numbers as such, since a DECIMAL inside JSON is text."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    with suppress(InvalidOperation, TypeError):
        number = Decimal(value)
        return number if isinstance(value, str) and number.is_finite() else value
    return value


def one_by_one(sql_type: str, values: list[Any]) -> list[str | None]:
    convert = text_of(sql_type)
    return [None if is_missing(value) else convert(value) for value in values]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_at_once_is_as_one_by_one(data: st.DataObject) -> None:
    """Where a column is done at once, its texts are those of its values; what is refused is not done so."""
    sql_type, value = data.draw(columns())
    values = data.draw(st.lists(st.one_of(value, value, value, ODD), max_size=6))
    quick = column_texts(sql_type, values)
    try:
        expected = one_by_one(sql_type, values)
    except DoesNotFit:
        assert quick is None
    else:
        assert quick is None or meant(sql_type, quick) == meant(sql_type, expected)


def test_ordinary_columns_are_done_at_once() -> None:
    """The shapes that insights have do not fall back to value by value."""
    for sql_type, values in [
        ("VARCHAR", ["a", None, float("nan")]),
        ("BIGINT", [1, None]),
        ('STRUCT("label" VARCHAR, "score" DOUBLE)', [{"label": "a", "score": None}, None]),
        ('STRUCT("a" BIGINT)[]', [[{"a": 1}], []]),
        ('STRUCT("a" DECIMAL(6,2))', [{"a": Decimal("1.50")}, {"a": Decimal("-0.5")}]),
        ("DECIMAL(18,9)", [Decimal("0.00021"), None, Decimal(0)]),
        ("DECIMAL(18,9)", ["0.00021", None]),
        ("TIMESTAMPTZ", [datetime(2026, 3, 2, tzinfo=UTC), pd.NaT]),
        ("TIMESTAMPTZ", ["2026-03-02T01:02:03.5+00:00", None]),
    ]:
        quick = column_texts(sql_type, values)
        assert quick is not None
        assert meant(sql_type, quick) == meant(sql_type, one_by_one(sql_type, values))


@pytest.mark.parametrize(
    ("sql_type", "series"),
    [
        ("BIGINT", pd.Series([1, -(2**63)])),
        ("SMALLINT", pd.Series([2**15 - 1, 0], dtype="Int64")),
        ("DOUBLE", pd.Series([1.5, float("nan")])),
        ("BOOLEAN", pd.Series([True, False])),
        ("BOOLEAN", pd.Series([True, False], dtype="boolean")),
        ("TIMESTAMPTZ", pd.Series([pd.Timestamp("2026-03-02 01:02:03.000004", tz="UTC"), pd.NaT])),
        ("TIMESTAMPTZ", pd.Series([pd.Timestamp("2026-03-02", tz="UTC")]).dt.as_unit("s")),
    ],
)
def test_numbers_and_times_are_taken_as_pandas_keeps_them(sql_type: str, series: pd.Series[Any]) -> None:
    """Columns of numbers and times need no texts, and say the same."""
    array = column_array(sql_type, series)
    assert array is not None
    assert [value for value in array.tolist() if value == value and value is not None] == [
        value.replace(tzinfo=None).to_pydatetime() if isinstance(value, pd.Timestamp) else value
        for value in series.dropna().tolist()
    ]
    assert pd.isna(array).tolist() == series.isna().tolist()


@pytest.mark.parametrize(
    ("sql_type", "series"),
    [
        ("BIGINT", pd.Series([2**63], dtype="uint64")),
        ("SMALLINT", pd.Series([2**15])),
        ("BIGINT", pd.Series([1.0, 2.0])),
        ("BIGINT", pd.Series([True])),
        ("BIGINT", pd.Series([1, None], dtype="Int64")),
        ("DOUBLE", pd.Series([float("inf")])),
        ("DOUBLE", pd.Series([0.1], dtype="float32")),
        ("DOUBLE", pd.Series([1])),
        ("BOOLEAN", pd.Series([1])),
        ("BOOLEAN", pd.Series([True, None], dtype="boolean")),
        ("TIMESTAMPTZ", pd.Series([pd.Timestamp("2026-03-02 00:00:00.000000001", tz="UTC")])),
        ("TIMESTAMPTZ", pd.Series([pd.Timestamp("2026-03-02", tz="Europe/Berlin")])),
        ("TIMESTAMPTZ", pd.Series([pd.Timestamp("2026-03-02")])),
        ("TIMESTAMP", pd.Series([pd.Timestamp("2026-03-02", tz="UTC")])),
        ("VARCHAR", pd.Series(np.array(["a"], dtype=object))),
    ],
)
def test_what_a_column_would_not_keep_exactly_is_looked_at(sql_type: str, series: pd.Series[Any]) -> None:
    """Values out of range, missing or of another kind are left to what looks at each of them."""
    assert column_array(sql_type, series) is None
