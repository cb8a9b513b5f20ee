"""What goes into rows and frames comes out of them, and fits the tables."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd

from llm_assets.errors import ConnectionFailed
from llm_assets.llm.requests import Answer, Outcome
from llm_assets.orchestration.rows import (
    insight_row,
    received,
    recording_row,
    recordings_of,
    rows_of,
    transcript_row,
    transcripts_of,
)
from llm_assets.records import Insight, Recording, RowStatus, Segment, Transcript
from llm_assets.usage import Usage
from llm_assets.warehouse.frames import frame_of, plain
from llm_assets.warehouse.read import read_partition, read_rows
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Column, insights_table

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 4, 5, 6, 789, tzinfo=UTC)

RECORDING = Recording(
    partition_date=DAY,
    recording_id="a" * 20,
    path='2026-03-02/it\'s "one" ü.ogg',
    file_name='it\'s "one" ü.ogg',
    size_bytes=2**40,
    sha256="a" * 64,
    format="ogg",
    codec="opus",
    channels=1,
    sample_rate=48_000,
    duration_seconds=12.0,
)
BROKEN = Recording(
    partition_date=DAY,
    recording_id="b" * 20,
    path="broken.m4a",
    file_name="broken.m4a",
    size_bytes=0,
    sha256="b" * 64,
    status=RowStatus.UNREADABLE,
    error="empty",
)
TRANSCRIPT = Transcript(
    recording_id="a" * 20,
    status=RowStatus.OK,
    text="hello there",
    duration_seconds=12.0,
    chunk_count=1,
    model="gpt-transcribe",
    provider="openai",
    cost_usd=Decimal("0.000900000"),
    latency_seconds=0.25,
    transcribed_at=NOW,
    segments=(
        Segment(segment_index=0, start_seconds=0.0, end_seconds=1.5, text="hello", speaker="agent"),
        Segment(segment_index=1, start_seconds=1.5, end_seconds=12.0, text="there", channel=1),
    ),
)
OUTCOME = Outcome(
    key="k",
    endpoint="transcription",
    answer=Answer(text="hello there", usage=Usage(audio_seconds=12.0), model="gpt-transcribe"),
    provider="openai",
    model="gpt-transcribe",
    usage=Usage(audio_seconds=12.0),
    cost_usd=Decimal("0.0009"),
    attempts=1,
    started_at=NOW,
    finished_at=NOW,
)


def test_recordings_come_back_as_they_were() -> None:
    """Unknown facts stay unknown; whole numbers stay whole."""
    rows = rows_of(RECORDINGS, [recording_row(RECORDING), recording_row(BROKEN)])
    for given in (rows, frame_of(RECORDINGS, rows)):
        assert [*recordings_of(received(given))] == [RECORDING, BROKEN]


def test_recordings_come_back_from_frames_of_other_io_managers() -> None:
    """Dates as timestamps and integers as floats are understood."""
    frame = pd.DataFrame([recording_row(RECORDING), recording_row(BROKEN)])
    frame["partition_date"] = pd.to_datetime(frame["partition_date"])
    assert [*recordings_of(received(frame))] == [RECORDING, BROKEN]


def test_transcripts_come_back_from_the_tables(tmp_path: Path) -> None:
    """Segments travel as JSON text and return in order; the calls land in their own table."""
    path = str(tmp_path / "calls.duckdb")
    failed = Transcript(recording_id="b" * 20, status=RowStatus.FAILED, error="no")
    rows = rows_of(
        TRANSCRIPTS,
        [transcript_row(DAY, TRANSCRIPT, [OUTCOME], "run-1"), transcript_row(DAY, failed, [], "run-1")],
    )
    for given in (rows, frame_of(TRANSCRIPTS, rows)):
        replace_partition(path, TRANSCRIPTS, [DAY], given)
        for read in (read_partition(path, TRANSCRIPTS, [DAY]), read_rows(path, TRANSCRIPTS, [DAY])):
            back = transcripts_of(received(read))
            assert [*back] == [back[0], back[1]] == [TRANSCRIPT, failed]
            assert [*back.contents()] == [(DAY, "a" * 20), (DAY, "b" * 20)]


def test_a_failed_call_says_why() -> None:
    """The error's text is in the call's row."""
    failed = Outcome(
        key="k", endpoint="chat", error=ConnectionFailed("refused"), started_at=NOW, finished_at=NOW
    )
    (call,) = json.loads(transcript_row(DAY, TRANSCRIPT, [failed], "run-1")["llm_calls"])
    assert (call["status"], call["error"], call["cost_usd"]) == ("failed", "refused", None)


def test_insights_have_a_column_per_field(tmp_path: Path) -> None:
    """The output model's fields lie beside the status, typed, nested ones included."""
    table = insights_table(
        "insights",
        [Column("sentiment", "VARCHAR", ""), Column("topics", "VARCHAR[]", ""), Column("x", "JSON", "")],
    )
    output = {"sentiment": "negative", "topics": ["refund", "delay"], "x": {"deep": [1, None]}}
    ok = Insight(recording_id="a" * 20, status=RowStatus.OK, output=output, cost_usd=Decimal("0.1"))
    refused = Insight(recording_id="b" * 20, status=RowStatus.REFUSED, error="no")
    rows = rows_of(table, [insight_row(DAY, ok, [], "r"), insight_row(DAY, refused, [], "r")])
    path = str(tmp_path / "calls.duckdb")
    for given in (rows, frame_of(table, rows)):
        replace_partition(path, table, [DAY], given)
        back = read_partition(path, table, [DAY])
        assert back["topics"].tolist() == [["refund", "delay"], None]
        assert back["x"].tolist() == [{"deep": [1, None]}, None]
        assert back["status"].tolist() == ["ok", "refused"]
        assert [*read_rows(path, table, [DAY])] == [*plain(back)]


def test_rows_without_any_answer_are_complete(tmp_path: Path) -> None:
    """A day on which every answer was refused has the columns of the others, empty."""
    table = insights_table("insights", [Column("sentiment", "VARCHAR", "")])
    refused = Insight(recording_id="b" * 20, status=RowStatus.REFUSED, error="no")
    rows = rows_of(table, [insight_row(DAY, refused, [], "r")])
    replace_partition(str(tmp_path / "calls.duckdb"), table, [DAY], rows)
    assert [row["sentiment"] for row in read_rows(str(tmp_path / "calls.duckdb"), table, [DAY])] == [None]


def test_no_rows_still_have_columns() -> None:
    """A day without recordings is a frame with the table's columns and no rows."""
    frame = frame_of(TRANSCRIPTS, rows_of(TRANSCRIPTS, []))
    assert list(frame.columns)[:3] == ["partition_date", "recording_id", "status"]
    assert list(frame.columns)[-2:] == ["segments", "llm_calls"]
    assert len(frame) == 0
