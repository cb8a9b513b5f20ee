"""Partitions are replaced whole, by name, in exact values, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from warehouse_samples import DAYS, INSIGHTS, insight_row, transcript_row

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.frames import rows
from llm_assets.warehouse.query import query
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import SEGMENTS, TRANSCRIPTS, Child, Column, Table

DAY = DAYS[0]
KEYS = (
    Column("partition_date", "DATE", "Day.", required=True),
    Column("recording_id", "VARCHAR", "Recording.", required=True),
)


def table(*columns: Column, name: str = "things") -> Table:
    return Table(name, (*KEYS, *columns), description="Things.")


COUNTED = table(Column("n", "BIGINT", "A number."), Column("note", "VARCHAR", "A note.", optional=True))


def frame(*given: dict[str, Any], day: date = DAY) -> pd.DataFrame:
    keys = [{"partition_date": day, "recording_id": f"r{number}"} for number in range(len(given))]
    return pd.DataFrame([key | row for key, row in zip(keys, given, strict=True)])


def ask(path: str, sql: str) -> list[tuple[Any, ...]]:
    with query(path, sql) as result:
        return list(result.rows)


def test_the_new_rows_replace_the_old(path: str) -> None:
    """A partition has exactly the rows of the last frame; other partitions keep theirs."""
    replace_partition(path, COUNTED, DAYS[:1], frame({"n": 1}, {"n": 2}))
    replace_partition(path, COUNTED, DAYS[1:2], frame({"n": 3}, day=DAYS[1]))
    replace_partition(path, COUNTED, DAYS[:1], frame({"n": 4}))
    assert ask(path, "select partition_date, n from things order by 1") == [(DAY, 4), (DAYS[1], 3)]


@pytest.mark.parametrize("count", [30, 6_000])
def test_the_days_of_a_range_have_a_file_each(path: str, count: int) -> None:
    """Rows of several days that come mixed: each day has one file, with its rows in their order."""
    days = [DAYS[n % 2] for n in range(count)]
    rows = [{"partition_date": day, "recording_id": f"r{n}", "n": n} for n, day in enumerate(days)]
    replace_partition(path, COUNTED, DAYS, pd.DataFrame(rows))
    files = sorted(Path(path).with_suffix(".tables").rglob("*.parquet"))
    assert [file.parent.name for file in files] == [f"partition_date={day}" for day in DAYS]
    for first, day in enumerate(DAYS[:2]):
        expected = list(range(first, count, 2))
        assert read_partition(path, COUNTED, [day])["n"].tolist() == expected
        assert [n for (n,) in ask(path, f"select n from things where partition_date = '{day}'")] == expected
    assert len(read_partition(path, COUNTED, DAYS)) == count
    assert read_partition(path, COUNTED, DAYS[2:]).empty


def test_a_range_is_replaced_as_one(path: str) -> None:
    """Several partitions are replaced together, those that got no rows included."""
    for day in DAYS:
        replace_partition(path, COUNTED, [day], frame({"n": 1}, day=day))
    replace_partition(path, COUNTED, DAYS, frame({"n": 2}, day=DAYS[1]))
    assert ask(path, "select partition_date, n from things") == [(DAYS[1], 2)]


def test_only_the_days_named_are_replaced(path: str) -> None:
    """Replacing two days does not touch the day between them."""
    for day in DAYS:
        replace_partition(path, COUNTED, [day], frame({"n": 1}, day=day))
    replace_partition(path, COUNTED, [DAYS[2], DAYS[0]], COUNTED_EMPTY)
    assert ask(path, "select partition_date from things") == [(DAYS[1],)]


COUNTED_EMPTY = pd.DataFrame({"partition_date": [], "recording_id": [], "n": []})


@pytest.mark.parametrize("empty", [COUNTED_EMPTY, pd.DataFrame()], ids=["columns", "no columns"])
def test_an_empty_frame_empties_the_partition(path: str, empty: pd.DataFrame) -> None:
    """A frame without rows says that the partition has none."""
    replace_partition(path, COUNTED, [DAY], frame({"n": 1}))
    replace_partition(path, COUNTED, [DAY], empty)
    assert ask(path, "select count(*) from things") == [(0,)]


def test_columns_go_by_name(path: str) -> None:
    """A frame whose columns are in another order writes the same rows."""
    shuffled = frame({"note": "a", "n": 1})[["note", "n", "recording_id", "partition_date"]]
    replace_partition(path, COUNTED, [DAY], shuffled)
    assert ask(path, "select recording_id, n, note from things") == [("r0", 1, "a")]


def test_a_value_that_does_not_fit_is_refused(path: str) -> None:
    """1.5 in a column of whole numbers is an error with table, column, row and value, and no change."""
    replace_partition(path, COUNTED, [DAY], frame({"n": 1}))
    with pytest.raises(
        TableMismatch, match=r'table "things", column "n", row 2 \(recording r1\): 1.5 .*BIGINT'
    ):
        replace_partition(path, COUNTED, [DAY], frame({"n": 2}, {"n": 1.5}))
    assert ask(path, "select n from things") == [(1,)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"note": "a"}, "lack the column 'n'"),
        ({"n": 1, "extra": 2}, "no column 'extra'"),
        ({"n": 1, "recording_id": None}, "value is missing"),
        ({"n": 1, "partition_date": date(2020, 1, 1)}, "outside the partitions"),
    ],
)
def test_rows_that_do_not_belong(path: str, given: dict[str, Any], said: str) -> None:
    """A missing or unknown column, a missing key and a foreign day are refused and named."""
    with pytest.raises(TableMismatch, match=said):
        replace_partition(path, COUNTED, [DAY], frame(given))


def test_an_optional_column_may_be_missing(path: str) -> None:
    """A frame without an optional column writes NULL there."""
    replace_partition(path, COUNTED, [DAY], frame({"n": None}))
    assert ask(path, "select n, note from things") == [(None, None)]


def test_no_partition_is_an_error(path: str) -> None:
    """Replacing no partition at all is a mistake of the caller, not a way to do nothing."""
    with pytest.raises(ValueError, match="empty"):
        replace_partition(path, COUNTED, [], frame())


def test_an_added_column_is_added_to_the_table(path: str) -> None:
    """A new column appears in the table with its comment; the rows that were there have NULL."""
    replace_partition(path, COUNTED, [DAY], frame({"n": 1}))
    grown = table(*COUNTED.columns[2:], Column("mood", "VARCHAR", "The customer's mood."))
    replace_partition(path, grown, DAYS[1:2], frame({"n": 2, "mood": "calm"}, day=DAYS[1]))
    assert ask(path, "select n, mood from things order by n") == [(1, None), (2, "calm")]
    comments = ask(path, "select column_name, comment from duckdb_columns() where table_name = 'things'")
    assert ("mood", "The customer's mood.") in comments


def test_a_removed_column_keeps_its_values(path: str) -> None:
    """A column that is no longer defined stays; new rows have NULL there."""
    replace_partition(path, COUNTED, [DAY], frame({"n": 1, "note": "old"}))
    replace_partition(path, table(COUNTED.columns[2]), DAYS[1:2], frame({"n": 2}, day=DAYS[1]))
    assert ask(path, "select n, note from things order by n") == [(1, "old"), (2, None)]


def test_a_changed_type_is_refused(path: str) -> None:
    """A column of another type is refused with what to do, and nothing has changed."""
    replace_partition(path, COUNTED, [DAY], frame({"n": 1}))
    changed = table(Column("n", "VARCHAR", "A number."))
    with pytest.raises(
        TableMismatch, match=r"as BIGINT.* as VARCHAR.*llm-assets migrate --drop-column things\.n"
    ):
        replace_partition(path, changed, [DAY], frame({"n": "two"}))
    assert ask(path, "select n from things") == [(1,)]


def test_a_failure_inside_the_transaction_changes_nothing(path: str) -> None:
    """When a child table refuses its rows late, the parent's rows and columns are as before."""
    replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([transcript_row(DAY, "03020", "old")]))
    columns = [replace(c, sql_type="BIGINT") if c.name == "speaker" else c for c in SEGMENTS.columns]
    changed = replace(SEGMENTS, columns=tuple(columns))
    table = replace(TRANSCRIPTS, children=(Child(changed, read_back=True), TRANSCRIPTS.children[1]))
    row = transcript_row(DAY, "03020", "new") | {"segments": '[{"segment_index": 0, "speaker": 1}]'}
    with pytest.raises(TableMismatch, match="speaker"):
        replace_partition(path, table, [DAY], pd.DataFrame([row]))
    assert ask(path, "select text from transcripts")[0][0].startswith("old")
    assert len(list(Path(path).with_suffix(".tables").rglob("*.parquet"))) == 3


def test_names_are_only_names(path: str) -> None:
    """Quotes, spaces and SQL words in table and column names, comments and values mean nothing special."""
    odd = Table('a "b"; --', (*KEYS, Column('select "x"', "VARCHAR", 'It\'s; a "name".')))
    replace_partition(path, odd, [DAY], frame({'select "x"': "'); DROP TABLE x; --"}))
    read = read_partition(path, odd, [DAY])
    assert read['select "x"'].tolist() == ["'); DROP TABLE x; --"]


def test_definitions_become_comments(path: str) -> None:
    """The descriptions of tables and columns are comments in the database, and stay current."""
    replace_partition(path, COUNTED, [DAY], frame({"n": 1}))
    better = table(Column("n", "BIGINT", "A better text."))
    replace_partition(path, better, [DAY], frame({"n": 1}))
    assert ask(path, "select comment from duckdb_views() where view_name = 'things'") == [("Things.",)]
    sql = "select comment from duckdb_columns() where table_name = 'things' and column_name = 'n'"
    assert ask(path, sql) == [("A better text.",)]


def test_children_are_unpacked_with_the_parent(path: str) -> None:
    """Segments and calls in a transcript's row become rows of their tables, keyed like the transcript."""
    replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([transcript_row(DAY, "03020")]))
    assert ask(path, "select partition_date, recording_id, segment_index, speaker from segments") == [
        (DAY, "03020", 0, "agent"),
        (DAY, "03020", 1, "customer"),
    ]
    assert ask(path, "select recording_id, asset, model, cost_usd from llm_calls") == [
        ("03020", "transcripts", "gpt-transcribe", Decimal("0.0046125"))
    ]


def test_calls_of_other_assets_stay(path: str) -> None:
    """Replacing the partition of one asset replaces only that asset's calls."""
    replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([transcript_row(DAY, "03020")]))
    replace_partition(path, INSIGHTS, [DAY], pd.DataFrame([insight_row(DAY, "03020")]))
    replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([transcript_row(DAY, "03021")]))
    found = ask(path, "select asset, recording_id from llm_calls order by 1")
    assert found == [("insights", "03020"), ("transcripts", "03021")]


def test_the_same_content_twice_has_its_segments_once(path: str) -> None:
    """Two rows for one recording share one set of segments, and both get it back."""
    twice = [transcript_row(DAY, "03020"), transcript_row(DAY, "03020") | {"llm_calls": "[]"}]
    replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame(twice))
    assert ask(path, "select count(*) from segments") == [(2,)]
    read = read_partition(path, TRANSCRIPTS, [DAY])["segments"]
    assert len(json.loads(read[0])) == 2
    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segments": "no json"}, "not JSON"),
        ({"segments": '{"a": 1}'}, "not a list of objects"),
        ({"segments": '[{"segment_index": 0, "mood": 1}]'}, "no column 'mood'"),
        ({"segments": '[{"text": "a"}]'}, 'column "segment_index".*missing'),
        ({"segments": '[{"segment_index": 0, "recording_id": "other"}]'}, "'other' stands in the row of"),
        ({"llm_calls": '[{"asset": "insights"}]'}, "'insights' stands in the row of 'transcripts'"),
        ({"llm_calls": '[{"attempts": 1.5}]'}, 'table "llm_calls", column "attempts".*1.5'),
    ],
)
def test_wrong_children_are_refused(path: str, change: dict[str, Any], said: str) -> None:
    """Child rows are held to their table as strictly as the parent's."""
    with pytest.raises(TableMismatch, match=said):
        replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([transcript_row(DAY, "03020") | change]))


def test_frames_without_their_segments_are_refused(path: str) -> None:
    """A transcripts frame that lost its segments on the way would empty a table, so it is refused."""
    row = transcript_row(DAY, "03020")
    del row["segments"]
    with pytest.raises(TableMismatch, match="lack the column 'segments'"):
        replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([row]))


def test_rows_are_plain_python(sample: str) -> None:
    """`rows` gives None for everything missing and no value of NumPy's."""
    found = list(rows(read_partition(sample, TRANSCRIPTS, [DAY])))
    assert found[3]["text"] is None
    assert found[3]["transcribed_at"] is None
    assert found[3]["chunk_count"] is None
    assert type(found[0]["chunk_count"]) is int
    assert type(found[0]["from_journal"]) is bool
    assert found[0]["cost_usd"] == Decimal("0.0046125")
