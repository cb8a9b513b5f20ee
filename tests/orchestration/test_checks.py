"""Checks warn about rows that need a person, and metadata says what a materialization did and cost."""

from __future__ import annotations

import base64
import inspect
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import pytest
from pydantic import ValidationError

from llm_assets import build_audio_insights
from llm_assets.errors import ConnectionFailed
from llm_assets.llm.metrics import Histogram, MetricsSnapshot, QuotaUse
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.requests import Answer, Outcome
from llm_assets.orchestration.chart import CallsChart
from llm_assets.orchestration.checks import (
    BUDGET_USE,
    CHECK_NAMES,
    FALLBACK_SHARE,
    NOTHING_FAILED,
    QUOTA_USE,
    ROW_PER_RECORDING,
    TRANSCRIPT_LENGTH,
    TURNED_DOWN,
    USABLE_ROWS,
    USUAL_LIMITS,
    Check,
    CheckLimits,
    Facts,
)
from llm_assets.orchestration.metadata import CallSums, preview, row_metadata
from llm_assets.usage import Usage
from llm_assets.warehouse.plain import Rows

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def made(*rows: tuple[str, str], day: str = "2026-03-02", **more: Any) -> Rows:
    columns: dict[str, list[Any]] = {
        "partition_date": [date.fromisoformat(day)] * len(rows),
        "recording_id": [name for name, _ in rows],
        "status": [status for _, status in rows],
        "error": [None if status == "ok" else "why" for _, status in rows],
        "duration_seconds": [1.5] * len(rows),
        "fallback_reason": [None] * len(rows),
    }
    return Rows(columns | more)


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


def chart(*outcomes: Outcome) -> CallsChart:
    made = CallsChart()
    for each in outcomes:
        made.add(each)
    return made


def sums(*outcomes: Outcome) -> dict[str, Any]:
    made = CallSums()
    for each in outcomes:
        made.add(each)
    return made.metadata()


def judged(check: Check, limits: CheckLimits = USUAL_LIMITS, **facts: Any) -> dg.AssetCheckResult:
    return check.result(Facts(**facts), limits)


def values(metadata: Any) -> dict[str, Any]:
    return {name: getattr(value, "value", value) for name, value in metadata.items()}


def test_rows_that_are_all_ok_pass() -> None:
    """Nothing to do, nothing said."""
    result = judged(USABLE_ROWS, rows=made(("a", "ok"), ("b", "ok")))
    assert result.passed
    assert values(result.metadata) == {"rows": 2, "unusable": 0, "rows_ok": 2}


def test_an_empty_partition_passes() -> None:
    """A day without calls is not a problem."""
    assert judged(USABLE_ROWS, rows=made()).passed
    assert judged(ROW_PER_RECORDING, rows=made(), upstream=made()).passed


def test_bad_rows_warn_with_counts_and_reasons() -> None:
    """A warning, not an error: the good rows go on."""
    result = judged(USABLE_ROWS, rows=made(("a", "ok"), ("b", "unreadable"), ("c", "too_short")))
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    found = values(result.metadata)
    assert (found["unusable"], found["rows_unreadable"], found["rows_too_short"]) == (2, 1, 1)
    assert "`b` unreadable: why" in found["first_reasons"]


def test_failed_rows_are_told_with_their_most_frequent_reason() -> None:
    """Names of requests make no other reason of it, and a long one is cut."""
    reasons = ["bad (HTTP 400, request req_1)", f"{'too long ' * 100}(request req_2)", None, ""]
    reasons[3] = f"{'too long ' * 100}(request req_3)"
    rows = made(*((name, "failed") for name in "abcd"), error=reasons)
    said = judged(NOTHING_FAILED, rows=rows).description
    assert said is not None
    assert said.startswith("4 of 4 rows failed. The most frequent reason (2): too long too long ")
    assert said.endswith(" …")
    assert len(said) < 350
    one = judged(NOTHING_FAILED, rows=made(("a", "ok"), ("b", "failed")))
    assert one.description == "1 of 2 rows failed. The reason: why"


@pytest.mark.parametrize(
    ("upstream", "missing", "surplus"),
    [((("a", "ok"), ("b", "ok")), 1, 0), ((("a", "ok"), ("a", "ok")), 1, 0), ((), 0, 1)],
)
def test_a_lost_recording_is_noticed(upstream: tuple[Any, ...], missing: int, surplus: int) -> None:
    """Also when one of two identical recordings is lost, or a row came from nowhere."""
    result = judged(ROW_PER_RECORDING, rows=made(("a", "ok")), upstream=made(*upstream))
    assert not result.passed
    found = values(result.metadata)
    assert (found["missing"], found["surplus"]) == (missing, surplus)


def test_the_same_content_on_two_days_is_two_rows() -> None:
    """A recording is told apart by its day and its content."""
    both = made(("a", "ok"), ("a", "ok"), partition_date=[date(2026, 3, 2), date(2026, 3, 3)])
    assert not judged(ROW_PER_RECORDING, rows=made(("a", "ok")), upstream=both).passed


def test_fallbacks_are_fine_up_to_a_tenth() -> None:
    """Ten rows with one fallback pass, nine do not; the reasons are counted."""
    rows = made(*((str(number), "ok") for number in range(10)))
    rows.columns["fallback_reason"][0] = "overloaded"
    assert judged(FALLBACK_SHARE, rows=rows).passed
    result = judged(FALLBACK_SHARE, rows=rows.at(range(9)))
    assert not result.passed
    found = values(result.metadata)
    assert (found["count"], found["of"], found["because_overloaded"]) == (1, 9, 1)
    assert found["share"] == pytest.approx(0.1111, abs=1e-3)


def test_refusals_and_useless_answers_are_fine_within_bounds() -> None:
    """Of what was asked; what was too short to ask does not count."""
    rows = made(("a", "ok"), ("b", "refused"), ("c", "invalid_output"), ("d", "too_short"))
    result = judged(TURNED_DOWN, rows=rows)
    assert not result.passed
    found = values(result.metadata)
    assert (found["refused"], found["invalid_output"], found["of"]) == (1, 1, 3)
    assert judged(TURNED_DOWN, CheckLimits(turned_down_share=0.7), rows=rows).passed


def test_a_failed_row_is_named_and_can_be_an_error() -> None:
    """How loudly it is said is configuration."""
    rows = made(("a", "ok"), ("b", "failed"))
    result = judged(NOTHING_FAILED, CheckLimits(errors=frozenset({"nothing_failed"})), rows=rows)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert judged(NOTHING_FAILED, rows=rows).severity == dg.AssetCheckSeverity.WARN
    assert judged(NOTHING_FAILED, rows=made(("a", "too_short"))).passed


def test_a_transcript_that_says_hardly_anything_is_noticed() -> None:
    """Ten minutes and three words: a person should listen."""
    texts = ["Thank you, goodbye.", "word " * 900]
    rows = made(("a", "ok"), ("b", "ok"), text=texts, duration_seconds=[600.0, 600.0])
    result = judged(TRANSCRIPT_LENGTH, rows=rows)
    assert not result.passed
    assert "`a`" in values(result.metadata)["recordings"]
    assert judged(TRANSCRIPT_LENGTH, rows=rows.at([1])).passed


def metrics(**changed: Any) -> MetricsSnapshot:
    empty = Histogram((), (), 0.0)
    return MetricsSnapshot(latency_seconds=empty, call_wait_seconds=empty, **changed)


def test_what_a_run_spent_is_held_against_its_budgets() -> None:
    """In shares of the caps there are; without a cap there is nothing to pass."""
    budget = BudgetConfig(usd_per_run=Decimal(10), usd_per_day=Decimal(50))
    spent = metrics(spent_usd=Decimal(9))
    result = judged(BUDGET_USE, rows=made(), metrics=spent, budget=budget)
    assert not result.passed
    assert values(result.metadata) == {
        "spent_usd": 9.0,
        "spent_of_run_usd": 9.0,
        "spent_of_day_usd": 9.0,
        "share_of_run": 0.9,
        "share_of_day": 0.18,
    }
    assert judged(BUDGET_USE, rows=made(), metrics=spent, budget=BudgetConfig()).passed
    assert judged(BUDGET_USE, rows=made()).passed
    assert judged(BUDGET_USE, rows=made()).description == "There is no budget in USD."


def test_what_others_spent_of_the_day_counts() -> None:
    """A run that spent little may still find the day's budget nearly gone."""
    budget = BudgetConfig(usd_per_day=Decimal(50))
    facts = {"rows": made(), "metrics": metrics(spent_usd=Decimal(1)), "budget": budget}
    assert judged(BUDGET_USE, **facts).passed
    result = judged(BUDGET_USE, **facts, spent={"day": Decimal(45)})
    assert not result.passed
    assert values(result.metadata)["share_of_day"] == 0.9


def test_limits_per_day_that_are_nearly_used_up_are_noticed() -> None:
    """Those per minute are there to be used."""
    quota = {"p/requests per minute": QuotaUse(99, 100), "p/tokens per day": QuotaUse(50, 100)}
    assert judged(QUOTA_USE, rows=made(), metrics=metrics(quota=quota)).passed
    unknown = judged(QUOTA_USE, rows=made(), metrics=metrics(quota={}))
    assert unknown.passed
    assert unknown.description == "No limit per day is known of the models that were asked."
    quota["p/requests per day"] = QuotaUse(95, 100)
    result = judged(QUOTA_USE, rows=made(), metrics=metrics(quota=quota))
    assert not result.passed
    assert values(result.metadata)["requests.per.day"] == 0.95


def test_limits_are_checked_when_they_are_made() -> None:
    """A name that is no check would never raise its voice."""
    with pytest.raises(ValidationError, match="no_such_check"):
        CheckLimits(errors=frozenset({"no_such_check"}))
    assert CheckLimits(errors=CHECK_NAMES).errors == CHECK_NAMES


def test_the_picture_shows_when_calls_were_answered_and_refused_and_what_models_cost() -> None:
    """A data URI in Markdown, well-formed, whatever a model is called; nothing to see is no picture."""
    calls = [
        outcome(model="<b>&model", finished_at=NOW + timedelta(seconds=number), rate_limited=number % 2)
        for number in range(11)
    ]
    line = chart(*calls).timeline()
    assert (line.seconds, sum(line.answered), sum(line.refused)) == (10.0, 11, 5)
    assert line.answered[-1] == 1
    markdown = chart(*calls).markdown()
    assert markdown is not None
    encoded = markdown.rpartition("base64,")[2].removesuffix(")")
    texts = [each.text for each in ElementTree.fromstring(base64.b64decode(encoded)).iter() if each.text]
    assert "<b>&model" in texts
    assert "$2.75" in texts
    assert len(markdown) < 20_000
    assert chart(outcome(from_journal=True, attempts=0)).markdown() is None
    assert chart(outcome()).markdown() is not None


def test_cost_is_of_the_rows_and_spending_is_of_the_run() -> None:
    """An answer from the journal costs what it cost once and adds nothing to the bill."""
    metadata = sums(outcome(), outcome(from_journal=True, attempts=0))
    assert (metadata["cost_usd"], metadata["spent_usd"]) == (0.5, 0.25)
    assert (metadata["calls"], metadata["journal_hits"], metadata["attempts"]) == (2, 1, 1)
    assert (metadata["openai.gpt-6-luna.calls"], metadata["openai.gpt-6-luna.cost_usd"]) == (2, 0.5)


def test_an_unknown_price_is_counted_not_zero() -> None:
    """The sum of the known costs is not passed off as the whole."""
    metadata = sums(outcome(cost_usd=None), outcome(answer=None, error=ConnectionFailed("x")))
    assert metadata["calls_of_unknown_price"] == 1


def test_the_preview_is_a_table_whatever_is_in_the_rows() -> None:
    """Pipes, line ends and markup in a text cannot break the table."""
    rows = made(("a", "ok"), text=["one | two\n<b>`three`</b> " + "x" * 500])
    lines = preview(rows).splitlines()
    assert lines[0] == "| recording_id | status | error | duration_seconds | text |"
    assert len(lines) == 3
    assert "one \\| two &lt;b>\\`three\\`" in lines[2]
    assert len(lines[2]) < 200


def test_the_preview_says_whose_rows_they_are() -> None:
    """By the names of files where those are known, also of two with the same content; else by ids."""
    upstream = made(("a", "ok"), ("a", "ok"), ("b", "ok"), file_name=["one.wav", "two|2.wav", "three.wav"])
    rows = made(("a", "ok"), ("a", "ok"), ("b", "ok"), text=["x", "x", "y"])
    for shown in (preview(upstream), preview(rows, upstream)):
        first = [line.split(" | ")[0] for line in shown.splitlines()]
        assert first == ["| file_name", "| ---", "| one.wav", "| two\\|2.wav", "| three.wav"]
    assert preview(rows, rows).splitlines()[2].startswith("| a | ok |")
    assert preview(rows, made(file_name=[])).splitlines()[0].startswith("| recording_id |")


def test_nested_values_read_like_text() -> None:
    """Lists and records are shown without Python's brackets."""
    rows = made(("a", "ok"), items=[[{"what": "Send", "due": None}, {"what": "Call", "due": "Monday"}]])
    assert "what: Send, due: ; what: Call, due: Monday" in preview(rows)


def test_the_preview_of_nothing_says_so() -> None:
    """An empty partition has a note instead of an empty table."""
    assert preview(made()) == "No recordings on this day."
    assert row_metadata(made())["rows"] == 0


DAYS = (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4))


def of_days(*statuses: str) -> Rows:
    """Rows of three days, of which each has the same number."""
    each = len(statuses) // len(DAYS)
    return made(
        *((str(at % each), status) for at, status in enumerate(statuses)),
        partition_date=[DAYS[at // each] for at in range(len(statuses))],
    )


def test_a_run_of_several_days_is_fine_when_each_day_is() -> None:
    """One bad day is not lost among good ones, and is named."""
    rows = of_days(*["ok"] * 98, "refused", "refused", *["ok"] * 50)
    limits = CheckLimits(turned_down_share=0.03)
    assert TURNED_DOWN.judge(Facts(rows=rows), limits)[0]
    result = TURNED_DOWN.result(Facts(rows=rows, days=DAYS), limits)
    assert not result.passed
    assert result.description == (
        "Fails on 1 of 3 days. 2026-03-03: 2 of 50 answers were refused or of no use (4%, allowed 3%)."
    )
    assert result.metadata["days"].value == "2026-03-02...2026-03-04"
    assert "2026-03-03" in str(result.metadata["failing_days"].value)


@pytest.mark.parametrize("check", [USABLE_ROWS, NOTHING_FAILED, ROW_PER_RECORDING, TURNED_DOWN])
def test_days_that_are_fine_are_fine_together(check: Check) -> None:
    """Without a word more than of one day."""
    rows = of_days(*["ok"] * 6)
    result = check.result(Facts(rows=rows, upstream=rows, days=DAYS), USUAL_LIMITS)
    assert result.passed
    assert result.description is None
    assert "failing_days" not in result.metadata


def test_what_is_missing_upstream_is_said_of_its_day() -> None:
    """A row too few on one day is not made up for by one too many on another."""
    upstream = of_days(*["ok"] * 6)
    rows = upstream.at([0, 1, 3, 4, 5])
    result = ROW_PER_RECORDING.result(Facts(rows=rows, upstream=upstream, days=DAYS), USUAL_LIMITS)
    assert (
        result.description == "Fails on 1 of 3 days. 2026-03-03: 1 rows are missing, 0 came out of nothing."
    )


@pytest.mark.parametrize("days_a_run", [1, 7])
def test_checks_belong_to_days_where_every_run_is_of_one(days_a_run: int) -> None:
    """Of a run of several days Dagster would keep no result by day, and show none as passed or failed."""
    days = dg.DailyPartitionsDefinition(start_date="2026-03-02")
    pipeline = build_audio_insights("recordings", days, days_per_backfill_run=days_a_run)
    specs = [spec for asset in pipeline.assets or [] for spec in getattr(asset, "check_specs", [])]
    assert len(specs) == 14
    if "partitions_def" in inspect.signature(dg.AssetCheckSpec).parameters:
        assert {spec.partitions_def for spec in specs} == {days if days_a_run == 1 else None}
