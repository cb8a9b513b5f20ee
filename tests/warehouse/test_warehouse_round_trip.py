"""What was written comes back, and writing it again changes nothing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warehouse_samples import DAYS, INSIGHTS

from llm_assets.warehouse.frames import rows
from llm_assets.warehouse.query import query
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import TRANSCRIPTS, Child, Column, Table

PART = Table(
    "parts",
    (
        Column("partition_date", "DATE", "Day.", required=True),
        Column("recording_id", "VARCHAR", "Recording.", required=True),
        Column("place", "BIGINT", "Place in the list."),
        Column("words", "VARCHAR", "Any text."),
    ),
)
THINGS = Table(
    "things",
    (
        *PART.columns[:2],
        Column("words", "VARCHAR", "Any text."),
        Column("whole", "BIGINT", "Any 64-bit number."),
        Column("real", "DOUBLE", "Any number."),
        Column("yes", "BOOLEAN", "Yes or no."),
        Column("day", "DATE", "Any day."),
        Column("moment", "TIMESTAMPTZ", "Any moment."),
        Column("money", "DECIMAL(18,9)", "Any amount."),
        Column("list", "VARCHAR[]", "Any texts."),
        Column("nested", 'STRUCT("a b" BIGINT, "when" TIMESTAMPTZ, deep STRUCT(x JSON)[])', "Nested."),
        Column("free", "JSON", "Any JSON."),
    ),
    children=(Child(PART, read_back=True),),
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
whole = st.integers(-(2**63), 2**63 - 1)
moment = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis takes bounds without a zone
    datetime(9999, 12, 30),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
# Numbers in free JSON keep to what every JSON reader holds exactly.
free = st.recursive(
    st.booleans() | text | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


nested = st.fixed_dictionaries(
    {
        "a b": maybe(whole),
        "when": maybe(moment),
        "deep": maybe(st.lists(maybe(st.fixed_dictionaries({"x": maybe(free)})), max_size=2)),
    }
)
part = st.fixed_dictionaries({"place": whole, "words": maybe(text)})
thing = st.fixed_dictionaries(
    {
        "partition_date": st.sampled_from(DAYS[:2]),
        "words": maybe(text),
        "whole": maybe(whole),
        "real": maybe(st.floats(allow_nan=False)),
        "yes": maybe(st.booleans()),
        "day": maybe(st.dates(date(1, 1, 1))),
        "moment": maybe(moment),
        "money": maybe(st.decimals(-999_999_999, 999_999_999, places=9)),
        "list": maybe(st.lists(maybe(text), max_size=3)),
        "nested": maybe(nested),
        "free": maybe(free),
        "parts": st.lists(part, max_size=3),
    }
)


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One file for all examples: each one replaces whatever the one before it left."""
    return str(tmp_path_factory.mktemp("round_trip") / "things.duckdb")


def as_frame(things: list[dict[str, Any]]) -> pd.DataFrame:
    numbered = [
        thing | {"recording_id": f"r{number}", "parts": json.dumps(thing["parts"])}
        for number, thing in enumerate(things)
    ]
    names = [column.name for column in THINGS.columns] + ["parts"]
    return pd.DataFrame({name: pd.Series([row[name] for row in numbered], dtype=object) for name in names})


def read(path: str) -> list[dict[str, Any]]:
    found = rows(read_partition(path, THINGS, DAYS[:2]))
    return [row | {"parts": json.loads(row["parts"])} for row in found]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(things=st.lists(thing, max_size=4))
def test_writing_twice_equals_writing_once(shared_path: str, things: list[dict[str, Any]]) -> None:
    """Any rows come back as they were written, in order, and a second writing changes nothing."""
    frame = as_frame(things)
    replace_partition(shared_path, THINGS, DAYS[:2], frame)
    once = read(shared_path)
    expected = sorted(rows(frame), key=lambda row: row["partition_date"])
    assert once == [row | {"parts": json.loads(row["parts"])} for row in expected]

    replace_partition(shared_path, THINGS, DAYS[:2], read_partition(shared_path, THINGS, DAYS[:2]))
    assert read(shared_path) == once
    with query(shared_path, "select count(*) from parts") as result:
        assert list(result.rows) == [(sum(len(thing["parts"]) for thing in things),)]


def test_a_sample_partition_round_trips(sample: str, path: str) -> None:
    """Frames of the real tables, written from what was read, are the same again: dtypes, order, children."""
    for table in (TRANSCRIPTS, INSIGHTS):
        first = read_partition(sample, table, DAYS)
        replace_partition(path, table, DAYS, first)
        pd.testing.assert_frame_equal(read_partition(path, table, DAYS), first)


def test_dtypes_say_what_the_columns_are(sample: str) -> None:
    """Integers and booleans are nullable, times are UTC, decimals and nested values are Python objects."""
    frame = read_partition(sample, INSIGHTS, DAYS[:1])
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["customer_effort"] == "Int64"
    assert kinds["from_journal"] == "boolean"
    assert kinds["confidence"] == "float64"
    assert kinds["extracted_at"] == "datetime64[us, UTC]"
    assert frame["sentiment"][0] == {"label": "negative", "score": -0.6}
    assert frame["topics"][0] == ["refund", "kettle"]
    assert frame["cost_usd"][0] == Decimal("0.0021")


def test_an_empty_partition_reads_as_an_empty_typed_frame(sample: str) -> None:
    """A day without rows gives no rows, with the columns and dtypes of any other day."""
    frame = read_partition(sample, TRANSCRIPTS, [DAYS[0] - timedelta(days=1)])
    assert len(frame) == 0
    assert list(frame.dtypes) == list(read_partition(sample, TRANSCRIPTS, DAYS[:1]).dtypes)
