"""What is kept of results as they come: rows in their order, and money that is counted once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as some

from llm_assets.errors import ConnectionFailed, RequestTooDear
from llm_assets.llm.requests import Answer, Outcome
from llm_assets.orchestration.gathered import Gathered
from llm_assets.orchestration.rows import insight_row, transcript_row
from llm_assets.records import Insight, RowStatus, Transcript
from llm_assets.transcription.summary import summarized
from llm_assets.usage import Usage
from llm_assets.warehouse.staging import stage
from llm_assets.warehouse.tables import TRANSCRIPTS, insights_table

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, tzinfo=UTC)
READINGS = insights_table("readings", [])

# A price by the second has no last decimal, and sums of rounded amounts are where such things show.
PRICES = some.one_of(
    some.integers(1, 10**8).map(lambda seconds: Decimal(seconds) * Decimal("0.0045") / 60 / 7),
    some.decimals(0, 1000, allow_nan=False, places=9),
)
CALLS = some.lists(some.tuples(PRICES, some.booleans()) | some.none(), max_size=4)


def outcome(call: tuple[Decimal, bool] | None) -> Outcome:
    """An answer with its price, from the journal or not; or none."""
    facts: dict[str, Any] = {"key": "k", "endpoint": "chat", "started_at": NOW, "finished_at": NOW}
    if call is None:
        return Outcome(error=ConnectionFailed("refused"), **facts)
    cost_usd, from_journal = call
    usage = Usage(7, 0, 3)
    answer = Answer(text="x", usage=usage, model="m")
    paid = {"answer": answer, "usage": usage, "cost_usd": cost_usd, "from_journal": from_journal}
    return Outcome(provider="openai", model="m", **facts, **paid)


def transcript(name: str, outcomes: Sequence[Outcome]) -> Transcript:
    return summarized(Transcript(recording_id=name, status=RowStatus.OK, text="x"), outcomes)


def insight(name: str, outcomes: Sequence[Outcome]) -> Insight:
    paid = [each.cost_usd for each in outcomes if each.cost_usd is not None]
    tokens = sum(each.usage.input_tokens for each in outcomes)
    return Insight(
        recording_id=name,
        status=RowStatus.OK,
        output={},
        model="m" if paid else None,
        cost_usd=sum(paid, Decimal(0)),
        input_tokens=tokens,
    )


@given(some.lists(some.tuples(CALLS, some.integers(1, 3)), max_size=8), some.randoms(use_true_random=False))
def test_the_sum_over_rows_is_the_sum_over_calls(contents: list[tuple[Any, int]], random: Any) -> None:
    """However often a content is there, in whatever order results come, to the last digit."""
    count = sum(times for _, times in contents)
    transcripts = Gathered(TRANSCRIPTS, count, partial(transcript_row, run_id="r"))
    insights = Gathered(READINGS, count, partial(insight_row, run_id="r"))
    positions = [*range(count)]
    random.shuffle(positions)
    for number, (calls, times) in enumerate(contents):
        first, *again = sorted(positions.pop() for _ in range(times))
        outcomes = [outcome(call) for call in calls]
        transcripts.add(DAY, transcript(f"{number}", outcomes), outcomes, first, *again)
        insights.add(DAY, insight(f"{number}", outcomes), outcomes, first, *again)
    for table, gathered in ((TRANSCRIPTS, transcripts), (READINGS, insights)):
        rows, *_, called = stage(table, [DAY], made := gathered.rows())
        assert len(made) == count
        assert total(rows.columns["cost_usd"]) == total(called.columns["cost_usd"])
        if "input_tokens" in rows.columns:
            assert total(rows.columns["input_tokens"]) == total(called.columns["input_tokens"])
        sums = gathered.calls.by_day[DAY]
        assert sums.calls == len(called) == sum(len(calls) for calls, _ in contents)


def total(values: Any) -> Decimal:
    """Of what is going to be in a column, missing values left out."""
    present = [str(value) for value in values if value is not None and str(value) not in ("nan", "<NA>")]
    return sum((Decimal(value) for value in present), Decimal(0))


def test_rows_stand_where_their_items_do() -> None:
    """Results come as they finish; the rows do not."""
    gathered = Gathered(TRANSCRIPTS, 3, partial(transcript_row, run_id="r"))
    paid = [outcome((Decimal("0.5"), False))]
    gathered.add(DAY, transcript("late", []), [], 2)
    gathered.add(DAY, transcript("early", paid), paid, 0, 1)
    rows = [*gathered.rows()]
    assert [row["recording_id"] for row in rows] == ["early", "early", "late"]
    assert [row["cost_usd"] for row in rows] == [Decimal("0.5"), Decimal(0), None]
    assert [row["latency_seconds"] for row in rows][:2] == [0.0, 0.0]
    assert [len(json.loads(row["llm_calls"])) for row in rows] == [1, 0, 0]


def test_an_outage_is_told_with_the_first_reason() -> None:
    """Rows that a later run can mend fail the run once all are in; others do not."""
    gathered = Gathered(TRANSCRIPTS, 2, partial(transcript_row, run_id="r"))
    failed = Transcript(recording_id="a", status=RowStatus.FAILED, error="no")
    gathered.add(DAY, failed, [], 0)
    gathered.raise_if_mendable("transcripts")
    gathered.add(DAY, failed, [outcome(None)], 1)
    with pytest.raises(dg.Failure, match="1 of 2 transcripts could not be made"):
        gathered.raise_if_mendable("transcripts")


def test_rows_dearer_than_the_budget_fail_the_run_where_there_is_no_other() -> None:
    """One answer, also one that was kept, says that the budget bears calls: the rest are rows."""
    gathered = Gathered(TRANSCRIPTS, 2, partial(transcript_row, run_id="r"))
    gathered.raise_if_mendable("transcripts")
    dear = Outcome(
        error=RequestTooDear("up to $2"), key="k", endpoint="chat", started_at=NOW, finished_at=NOW
    )
    gathered.add(DAY, Transcript(recording_id="a", status=RowStatus.FAILED, error="no"), [dear], 0)
    with pytest.raises(RequestTooDear, match="none of the transcripts could be asked for: up to"):
        gathered.raise_if_mendable("transcripts")
    paid = [outcome((Decimal("0.5"), True))]
    gathered.add(DAY, transcript("b", paid), paid, 1)
    gathered.raise_if_mendable("transcripts")
