"""The views answer what a day cost, how models did, and how much came from a fallback."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
from warehouse_samples import DAYS, INSIGHTS, call_row, insight_row, recording_row, transcript_row

from llm_assets.warehouse.query import query
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import (
    FIXED_TABLES,
    RECORDINGS,
    TRANSCRIPTS,
    VIEW_NAMES,
    Column,
    insights_table,
)

DAY = DAYS[0]


def ask(path: str, sql: str) -> list[tuple[Any, ...]]:
    with query(path, sql) as result:
        return list(result.rows)


def write_calls(path: str, *calls: dict[str, Any]) -> None:
    row = transcript_row(DAY, "03020") | {"llm_calls": json.dumps(calls)}
    replace_partition(path, TRANSCRIPTS, [DAY], pd.DataFrame([row]))


def test_views_work_before_their_tables_are_written(path: str) -> None:
    """After the first write of any table, every view can be asked and has no rows yet."""
    replace_partition(path, RECORDINGS, [DAY], pd.DataFrame([recording_row(DAY, "03020")]))
    for name in VIEW_NAMES:
        assert ask(path, f"select * from {name}") == []


def test_daily_cost_tells_new_cost_from_cost(path: str) -> None:
    """`cost_usd` is what the answers cost when paid for; `new_cost_usd` leaves out the journal's."""
    write_calls(
        path,
        call_row("m", "0.5", DAY, audio_seconds=10, input_tokens=7, cached_tokens=2, output_tokens=3),
        call_row("m", "0.25", DAY, audio_seconds=20, from_journal=True),
    )
    found = ask(path, "select * exclude (provider) from daily_cost")
    assert found == [
        (DAY, "transcripts", "m", 2, 1, 30.0, 7, 2, 3, Decimal("0.75"), Decimal("0.5"), 0),
    ]


def test_daily_cost_never_calls_an_unknown_price_zero(path: str) -> None:
    """Where nothing has a price the cost is NULL; where some have none, their number is beside the sum."""
    write_calls(path, call_row("new", None, DAY), call_row("m", "0.5", DAY), call_row("m", None, DAY))
    sql = "select model, cost_usd, new_cost_usd, calls_without_price from daily_cost order by 1"
    assert ask(path, sql) == [("m", Decimal("0.5"), Decimal("0.5"), 1), ("new", None, None, 1)]


def test_daily_cost_of_nothing_new_is_zero(path: str) -> None:
    """A run that took everything from the journal, or whose calls failed, added nothing to the bill."""
    write_calls(
        path,
        call_row("m", "0.5", DAY, from_journal=True),
        call_row("n", None, DAY, status="failed"),
    )
    sql = "select model, new_cost_usd, calls_without_price from daily_cost order by 1"
    assert ask(path, sql) == [("m", 0, 0), ("n", 0, 0)]


def test_model_quality_counts_only_what_a_model_saw(sample: str) -> None:
    """Recordings that ended before a model was asked say nothing about one."""
    sql = "select asset, model, recordings, valid_at_once, from_fallback, valid_share from model_quality"
    assert ask(sample, f"{sql} order by all") == [
        ("insights", "gpt-6-luna", 3, 3, 3, 1.0),
        ("insights", "gpt-6.1-sol", 6, 5, 0, 1.0),  # one was repaired
        ("transcripts", "gpt-transcribe", 9, 9, 0, 1.0),
    ]


def test_model_quality_of_a_model_without_an_answer(path: str) -> None:
    """A model that never answered has no share of valid answers; a call that asked none is of no model."""
    write_calls(path, call_row("m", None, DAY, status="failed"), call_row(None, None, DAY, status="failed"))
    sql = "select model, recordings, failed, answers, valid_share from model_quality"
    assert ask(path, sql) == [("m", 1, 1, 0, None)]


def test_model_quality_of_a_long_call_with_a_refused_part(path: str) -> None:
    """A part that was answered after it changes nothing: the model refused to answer about this recording."""
    write_calls(path, call_row("m", "0.5", DAY, status="refused"), call_row("m", "0.5", DAY))
    sql = "select recordings, valid_at_once, refused, answers from model_quality"
    assert ask(path, sql) == [(1, 0, 1, 2)]


def test_fallback_rate_is_the_share_of_answered_rows(sample: str) -> None:
    """One of three answered insights a day came from a fallback."""
    sql = "select answered_rows, fallback_rows, fallback_share from fallback_rate where asset = 'insights'"
    assert ask(sample, sql) == [(3, 1, 1 / 3)] * 3


def test_every_extractors_table_is_in_the_views(path: str) -> None:
    """A second insights table appears in the views as soon as it is written."""
    moods = insights_table('caller\'s "moods"', [Column("mood", "VARCHAR", "Mood.")])
    row = {"partition_date": DAY, "recording_id": "a", "mood": None, "status": "refused", "model": "m"}
    row["fallback_reason"] = "refused"
    replace_partition(path, INSIGHTS, [DAY], pd.DataFrame([insight_row(DAY, "03020")]))
    replace_partition(path, moods, [DAY], pd.DataFrame([row]))
    assert ask(path, "select asset, answered_rows, fallback_rows from fallback_rate order by 1") == [
        ('caller\'s "moods"', 1, 1),
        ("insights", 1, 0),
    ]


def test_writing_again_leaves_the_views_alone(sample: str, path: str) -> None:
    """The views are there once, described, however often tables are written."""
    for _ in range(2):
        replace_partition(path, RECORDINGS, [DAY], pd.DataFrame([recording_row(DAY, "03020")]))
    sql = "select view_name, comment from duckdb_views() where schema_name = 'main' and not internal"
    found = ask(path, f"{sql} order by 1")
    assert [name for name, _ in found] == sorted([*VIEW_NAMES, *(table.name for table in FIXED_TABLES)])
    assert all(comment for _, comment in found)


def test_years_come_and_go(path: str) -> None:
    """A table shows the days of all its years, and a year whose children are gone again is no obstacle."""
    days = (date(2025, 12, 31), date(2026, 1, 1), date(2027, 5, 5))
    for day in days:
        replace_partition(path, TRANSCRIPTS, [day], pd.DataFrame([transcript_row(day, "03020")]))
    sql = "select distinct partition_date from segments order by 1"
    assert ask(path, sql) == [(day,) for day in days]
    replace_partition(path, TRANSCRIPTS, days[1:2], pd.DataFrame())
    assert ask(path, sql) == [(days[0],), (days[2],)]
    assert ask(path, "select count(*) from transcripts") == [(2,)]
    replace_partition(path, TRANSCRIPTS, days[1:2], pd.DataFrame([transcript_row(days[1], "03021")]))
    assert ask(path, sql) == [(day,) for day in days]
    replace_partition(path, TRANSCRIPTS, days, pd.DataFrame())
    assert ask(path, sql) == []


def test_another_program_attaches_the_file_under_any_name(sample: str) -> None:
    """Views find each other wherever the file is attached."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{sample}' AS calls (READ_ONLY)")
        assert connection.execute("select count(*) from calls.insights").fetchone() == (12,)
        assert connection.execute("select sum(recordings) from calls.model_quality").fetchone() == (18,)
