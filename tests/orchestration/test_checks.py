"""Checks warn about rows that need a person, and metadata says what a materialization did and cost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from llm_assets.errors import ConnectionFailed
from llm_assets.llm.requests import Answer, Outcome
from llm_assets.orchestration.checks import check_row_per_recording, check_usable_rows
from llm_assets.orchestration.metadata import call_metadata, preview, row_metadata
from llm_assets.usage import Usage

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def frame(*rows: tuple[str, str], day: str = "2026-03-02") -> pd.DataFrame:
    columns = ["partition_date", "recording_id", "status", "error", "duration_seconds"]
    values = [(date.fromisoformat(day), *row, None if row[1] == "ok" else "why", 1.5) for row in rows]
    return pd.DataFrame(values, columns=columns)


def outcome(**changed: Any) -> Outcome:
    given = {
        "key": "k",
        "endpoint": "chat",
        "answer": Answer(text="{}", usage=Usage(10, 0, 5), model="m"),
        "provider": "openai",
        "model": "gpt-6-luna",
        "usage": Usage(10, 0, 5),
        "cost_usd": Decimal("0.25"),
        "attempts": 1,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return Outcome(**given | changed)


def values(metadata: Any) -> dict[str, Any]:
    return {name: getattr(value, "value", value) for name, value in metadata.items()}


def test_rows_that_are_all_ok_pass() -> None:
    """Nothing to do, nothing said."""
    result = check_usable_rows(frame(("a", "ok"), ("b", "ok")))
    assert result.passed
    assert values(result.metadata) == {"rows": 2, "unusable": 0, "rows_ok": 2}


def test_an_empty_partition_passes() -> None:
    """A day without calls is not a problem."""
    assert check_usable_rows(frame()).passed
    assert check_row_per_recording(frame(), frame()).passed


def test_bad_rows_warn_with_counts_and_reasons() -> None:
    """A warning, not an error: the good rows go on."""
    result = check_usable_rows(frame(("a", "ok"), ("b", "unreadable"), ("c", "too_short")))
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    found = values(result.metadata)
    assert (found["unusable"], found["rows_unreadable"], found["rows_too_short"]) == (2, 1, 1)
    assert "`b` unreadable: why" in found["first_reasons"]


@pytest.mark.parametrize(
    ("upstream", "missing", "surplus"),
    [((("a", "ok"), ("b", "ok")), 1, 0), ((("a", "ok"), ("a", "ok")), 1, 0), ((), 0, 1)],
)
def test_a_lost_recording_is_noticed(upstream: tuple[Any, ...], missing: int, surplus: int) -> None:
    """Also when one of two identical recordings is lost, or a row came from nowhere."""
    result = check_row_per_recording(frame(("a", "ok")), frame(*upstream))
    assert not result.passed
    found = values(result.metadata)
    assert (found["missing"], found["surplus"]) == (missing, surplus)


def test_the_same_content_on_two_days_is_two_rows() -> None:
    """A recording is told apart by its day and its content."""
    both = pd.concat([frame(("a", "ok")), frame(("a", "ok"), day="2026-03-03")])
    assert not check_row_per_recording(frame(("a", "ok")), both).passed


def test_cost_is_of_the_rows_and_spending_is_of_the_run() -> None:
    """An answer from the journal costs what it cost once and adds nothing to the bill."""
    metadata = call_metadata([outcome(), outcome(from_journal=True, attempts=0)])
    assert (metadata["cost_usd"], metadata["spent_usd"]) == (0.5, 0.25)
    assert (metadata["calls"], metadata["journal_hits"], metadata["attempts"]) == (2, 1, 1)
    assert (metadata["openai.gpt-6-luna.calls"], metadata["openai.gpt-6-luna.cost_usd"]) == (2, 0.5)


def test_an_unknown_price_is_counted_not_zero() -> None:
    """The sum of the known costs is not passed off as the whole."""
    metadata = call_metadata([outcome(cost_usd=None), outcome(answer=None, error=ConnectionFailed("x"))])
    assert metadata["calls_of_unknown_price"] == 1


def test_the_preview_is_a_table_whatever_is_in_the_rows() -> None:
    """Pipes, line ends and markup in a text cannot break the table."""
    rows = frame(("a", "ok")).assign(text=["one | two\n<b>`three`</b> " + "x" * 500])
    lines = preview(rows).splitlines()
    assert lines[0] == "| status | error | duration_seconds | text |"
    assert len(lines) == 3
    assert "one \\| two &lt;b>\\`three\\`" in lines[2]
    assert len(lines[2]) < 200


def test_nested_values_read_like_text() -> None:
    """Lists and records are shown without Python's brackets."""
    rows = frame(("a", "ok")).assign(
        items=[[{"what": "Send", "due": None}, {"what": "Call", "due": "Monday"}]]
    )
    assert "what: Send, due: ; what: Call, due: Monday" in preview(rows)


def test_the_preview_of_nothing_says_so() -> None:
    """An empty partition has a note instead of an empty table."""
    assert preview(frame()) == "No recordings on this day."
    assert row_metadata(frame())["rows"] == 0
