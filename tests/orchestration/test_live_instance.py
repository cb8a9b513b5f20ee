"""A live instance: runs, a backfill, schedule and sensor, a termination and what comes after it.

One instance for the whole file, since it takes its time to start; each test has days of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fake_openai import FakeOpenAI, write_wav
from live_instance import LiveDagster, tags_of

ASSETS = ["recordings", "transcripts", "insights"]
START = "2026-03-02"


def day(number: int) -> str:
    return date.fromordinal(date.fromisoformat(START).toordinal() + number).isoformat()


class Live:
    """The instance, the server it asks, and the tables it fills."""

    def __init__(self, dagster: LiveDagster, server: FakeOpenAI, root: Path) -> None:
        self.dagster, self.server, self.root = dagster, server, root

    def record(self, on: str, *loudness: int) -> None:
        for each in loudness:
            write_wav(self.root / "data/recordings" / on / f"{each}.wav", 6, each)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        path = str(self.root / "data/llm_assets.duckdb")

        def read() -> list[tuple[Any, ...]] | None:
            try:
                with duckdb.connect(path, read_only=True) as connection:
                    return connection.execute(sql, list(values)).fetchall() or [()]
            except duckdb.IOException:  # a run is writing just now
                return None

        found = self.dagster.wait("the tables", read, 60)
        return [] if found == [()] else found


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    server, root = FakeOpenAI(), tmp_path_factory.mktemp("live")
    (root / "data/recordings").mkdir(parents=True)
    environ = {
        "OPENAI_BASE_URL": server.base_url,
        "LLM_ASSETS_TRANSCRIPTION_CHAIN": "gpt-transcribe",
        "LLM_ASSETS_CHAT_CHAIN": "gpt-6-luna",
        "LLM_ASSETS_START_DATE": START,
    }
    try:
        with LiveDagster(root, environ) as dagster:
            yield Live(dagster, server, root)
    finally:
        server.close()


def test_a_backfill_of_thirty_days_takes_few_runs_and_pays_once(live: Live) -> None:
    """A recording a day: thirty days in five runs, behind everything else, each answer asked for once."""
    days = [day(number) for number in range(30)]
    for number, each in enumerate(days):
        live.record(each, 1000 + number)
    asked = len(live.server.paths)
    backfill = live.dagster.backfill(ASSETS, days)
    done = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}
    status = live.dagster.wait(
        "the backfill", lambda: (s := live.dagster.backfill_status(backfill)) in done and s, 600
    )
    assert status == "COMPLETED_SUCCESS"
    for asset in ASSETS:
        assert set(days) <= live.dagster.materialized(asset)
    found = live.rows(
        "SELECT count(*), count(DISTINCT partition_date) FROM insights WHERE status = 'ok' "
        "AND partition_date BETWEEN ? AND ?",
        days[0],
        days[-1],
    )
    assert found == [(30, 30)]
    # The same length of audio is the same answer of this server, so the chats are fewer than the calls.
    assert (
        Counter(path.rpartition("/v1/")[2] for path in live.server.paths[asked:])["audio/transcriptions"]
        == 30
    )
    mine = [run for run in live.dagster.runs() if tags_of(run).get("dagster/backfill") == backfill]
    assert len(mine) == 5
    assert all(int(tags_of(run).get("dagster/priority", 0)) <= 0 for run in mine)


def test_a_terminated_run_stops_with_calls_in_flight_and_goes_on_where_it_was(live: Live) -> None:
    """Canceled, nothing materialized that was not, and the run after it asks only what was not answered."""
    on = day(40)
    live.record(on, *range(2000, 2008))
    asked = len(live.server.paths)
    live.server.hold_after = asked + 3
    live.server.holding.clear()
    live.server.released.clear()
    run = live.dagster.launch(on)
    assert live.server.holding.wait(120)
    live.dagster.terminate(run)
    assert live.dagster.finished(run) == "CANCELED"
    assert on in live.dagster.materialized("recordings")
    assert on not in live.dagster.materialized("transcripts")
    live.server.released.set()
    before = len(live.server.paths)
    again = live.dagster.reexecute(run)
    assert live.dagster.finished(again) == "SUCCESS"
    assert on in live.dagster.materialized("insights")
    transcribed = [path for path in live.server.paths[before:] if "transcriptions" in path]
    assert len(transcribed) == 8 - 3
    assert live.rows("SELECT count(*) FROM insights WHERE partition_date = ?", on) == [(8,)]


def test_a_run_that_failed_for_an_outage_is_re_executed_without_paying_again(live: Live) -> None:
    """The account is empty at first; then the same run goes on from where it failed."""
    on = day(41)
    live.record(on, 3000, 3001)
    body = {"message": "no credit", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
    live.server.fail_always = (429, {"error": body})
    run = live.dagster.launch(on)
    assert live.dagster.finished(run) == "FAILURE"
    live.server.fail_always = None
    before = len(live.server.paths)
    assert live.dagster.finished(live.dagster.reexecute(run)) == "SUCCESS"
    assert sum("transcriptions" in path for path in live.server.paths[before:]) == 2
    again = len(live.server.paths)
    assert live.dagster.finished(live.dagster.launch(on)) == "SUCCESS"
    assert len(live.server.paths) == again


def test_schedule_and_sensor_tick_in_the_code_server(live: Live) -> None:
    """Yesterday and the week before it, and no late recordings: said by the instance itself."""
    requests = live.dagster.tick("Schedule", "audio_insights_daily_schedule")
    priorities = [tags_of(request)["dagster/priority"] for request in requests]
    assert priorities == ["10", "5"]
    assert live.dagster.tick("Sensor", "late_recordings") == []
