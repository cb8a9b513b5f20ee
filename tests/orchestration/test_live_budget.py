"""A backfill over the day's budget: it ends cleanly, and the next day goes on with what is missing."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from fake_openai import FakeOpenAI
from live_instance import LiveDagster, tags_of
from live_project import START, Live, live_project

DAYS = [str(date.fromisoformat(START) + timedelta(days=number)) for number in range(14)]
ASSETS = ["recordings", "transcripts", "insights"]
DONE = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}
# Of these two, one is always a day further than the other.
TODAY, TOMORROW = "Etc/GMT+12", "Pacific/Kiritimati"
# Six seconds of audio are 0.00045 USD: enough for nine or ten of the fourteen, beside some chats.
CAP_USD = "0.005"


def backfilled(live: Live, days: list[str]) -> tuple[str, list[dict[str, str]]]:
    """How it ended, and its runs."""
    backfill = live.dagster.backfill(ASSETS, days)
    status = live.dagster.wait(
        "the backfill", lambda: (s := live.dagster.backfill_status(backfill)) in DONE and s, 600
    )
    mine = [run for run in live.dagster.runs() if tags_of(run).get("dagster/backfill") == backfill]
    return status, mine


def failures(dagster: LiveDagster, run_id: str) -> list[str]:
    """What the steps of a run failed with."""
    events = dagster.ask(
        """query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            __typename ... on ExecutionStepFailureEvent {
                failureMetadata { description } error { message cause { message } } } } } } }""",
        id=run_id,
    )["logsForRun"]["events"]
    return [str(each) for each in events if each["__typename"] == "ExecutionStepFailureEvent"]


def test_a_backfill_ends_with_the_budget_and_the_next_day_goes_on(tmp_path: Path, server: FakeOpenAI) -> None:
    """One clear failure for each run that had no money left, no answer paid for twice, nothing missing."""
    budget = {"LLM_ASSETS_BUDGET_DAY_USD": CAP_USD}
    with live_project(tmp_path, server, LLM_ASSETS_TIMEZONE=TODAY, **budget) as live:
        for number, day in enumerate(DAYS):
            live.record(day, 1000 + number)
        status, runs = backfilled(live, DAYS)
        failed = [run["runId"] for run in runs if run["status"] == "FAILURE"]
        assert status != "COMPLETED_SUCCESS"
        assert failed
        for run in failed:
            (failure,) = failures(live.dagster, run)
            assert "BudgetExceeded" in failure or "budget" in failure
        done = live.dagster.materialized("insights")
        missing = [day for day in DAYS if day not in done]
        paid = live.server.count("transcriptions")
        assert 0 < paid <= float(CAP_USD) / 0.00045
    with live_project(tmp_path, server, LLM_ASSETS_TIMEZONE=TOMORROW, **budget) as live:
        status, _ = backfilled(live, missing)
        assert status == "COMPLETED_SUCCESS"
        assert set(DAYS) <= live.dagster.materialized("insights")
        assert live.server.count("transcriptions") == len(DAYS)
        ok = "SELECT count(*), count(DISTINCT partition_date) FROM insights WHERE status = 'ok'"
        assert live.rows(ok) == [(len(DAYS), len(DAYS))]
