"""Values fit their column exactly, or they are refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llm_assets.errors import ConfigurationError
from llm_assets.warehouse.values import DoesNotFit, is_missing, text_of, type_of


@pytest.mark.parametrize(
    ("sql_type", "value", "text"),
    [
        ("BIGINT", 2**63 - 1, "9223372036854775807"),
        ("BIGINT", 3.0, "3"),
        ("BIGINT", np.int32(7), "7"),
        ("DOUBLE", 0.1, "0.1"),
        ("DOUBLE", 2, "2.0"),
        ("DOUBLE", float("inf"), "inf"),
        ("BOOLEAN", np.bool_(True), "true"),
        ("DECIMAL(18,9)", Decimal("0.1"), "0.100000000"),
        ("DECIMAL(18,9)", 0.1, "0.100000000"),
        ("DECIMAL(18,9)", "12.5", "12.500000000"),
        ("DECIMAL(38,9)", Decimal("9" * 29 + ".999999999"), "9" * 29 + ".999999999"),
        ("DATE", date(2026, 3, 2), "2026-03-02"),
        ("DATE", pd.Timestamp("2026-03-02"), "2026-03-02"),
        ("DATE", "2026-03-02", "2026-03-02"),
        ("TIMESTAMPTZ", "2026-03-02T10:00:00Z", "2026-03-02T10:00:00+00:00"),
        ("TIMESTAMPTZ", pd.Timestamp("2026-03-02T10:00"), "2026-03-02T10:00:00+00:00"),
        (
            "TIMESTAMPTZ",
            datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=2))),
            "2026-03-02T08:00:00+00:00",
        ),
        ("VARCHAR", "zażółć 'x' \x00", "zażółć 'x' \x00"),
        ("VARCHAR[]", ("a", None, "null"), '["a", null, "null"]'),
        ("VARCHAR[]", np.array(["a"]), '["a"]'),
        ("STRUCT(a BIGINT, b DECIMAL(4,2))", {"b": 1.5}, '{"a": null, "b": "1.50"}'),
        ("DOUBLE[]", [float("inf"), float("nan")], '["inf", null]'),
        ("JSON", "a", '"a"'),
        ("JSON", {"k": [1, None, Decimal("1.5"), date(2026, 3, 2)]}, '{"k": [1, null, "1.5", "2026-03-02"]}'),
    ],
)
def test_a_value_that_fits(sql_type: str, value: Any, text: str) -> None:
    """A value that its column can hold becomes the text that DuckDB casts to exactly this value."""
    assert text_of(sql_type)(value) == text


@pytest.mark.parametrize(
    ("sql_type", "value"),
    [
        ("BIGINT", 1.5),
        ("BIGINT", "1"),
        ("BIGINT", True),
        ("BIGINT", 2**63),
        ("BIGINT", float("inf")),
        ("DOUBLE", 2**53 + 1),
        ("DOUBLE", 10**400),
        ("DOUBLE", "1.5"),
        ("DOUBLE", Decimal("0.1")),
        ("BOOLEAN", 1),
        ("BOOLEAN", "true"),
        ("DECIMAL(18,9)", Decimal("0.0000000001")),
        ("DECIMAL(18,9)", Decimal(10) ** 9),
        ("DECIMAL(18,9)", float("inf")),
        ("DECIMAL(18,9)", "a lot"),
        ("DATE", pd.Timestamp("2026-03-02T01:00")),
        ("DATE", "02.03.2026"),
        ("DATE", 20260302),
        ("TIMESTAMPTZ", pd.Timestamp("2026-03-02T10:00:00.000000001Z")),
        ("TIMESTAMPTZ", "yesterday"),
        ("TIMESTAMPTZ", 0),
        ("TIMESTAMPTZ", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
        ("VARCHAR", 5),
        ("VARCHAR", "half \ud83d"),
        ("VARCHAR[]", "abc"),
        ("VARCHAR[]", ["half \ud83d"]),
        ("BIGINT[]", [1, 1.5]),
        ("STRUCT(a BIGINT)", {"a": 1, "b": 2}),
        ("STRUCT(a BIGINT)", [1]),
        ("JSON", {"a": float("nan")}),
        ("JSON", object()),
    ],
)
def test_a_value_that_does_not_fit(sql_type: str, value: Any) -> None:
    """A value that storing would change is refused: nothing is rounded, cut or guessed."""
    with pytest.raises(DoesNotFit):
        text_of(sql_type)(value)


def test_money_is_rounded_to_the_billionth() -> None:
    """A column that says it rounds does so, half to even; a value too large for it is refused still."""
    convert = text_of("DECIMAL(18,9)", rounded=True)
    assert convert(Decimal("0.0045") / 7) == "0.000642857"
    assert convert(Decimal("0.0000000005")) == "0.000000000"
    with pytest.raises(DoesNotFit):
        convert(Decimal("999999999.9999999999"))


def test_everything_pandas_calls_missing_is_missing() -> None:
    """None, NaN of any width, NaT and NA are missing; zero, False and empty text are values."""
    assert all(map(is_missing, [None, float("nan"), np.float32("nan"), pd.NaT, pd.NA]))
    assert not any(map(is_missing, [0, False, "", [], 0.0, np.array([np.nan])]))


def test_types_are_compared_as_duckdb_reads_them() -> None:
    """Two spellings of a type are one type; an unknown or unsupported one is a configuration error."""
    assert type_of("TIMESTAMPTZ") == type_of("TIMESTAMP WITH TIME ZONE")
    with pytest.raises(ConfigurationError, match="MONEY"):
        type_of("MONEY")
    with pytest.raises(ConfigurationError, match="MAP"):
        text_of("MAP(VARCHAR, BIGINT)")
