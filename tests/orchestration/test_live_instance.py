"""A live instance: runs, a backfill, schedule and sensor, a termination and what comes after it, the UI.

One instance for the whole file, since it takes its time to start; each test has days of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from live_instance import tags_of
from live_project import START, Live
from user_interface import picture

ASSETS = ["recordings", "transcripts", "insights"]


def day(number: int) -> str:
    return date.fromordinal(date.fromisoformat(START).toordinal() + number).isoformat()


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


def test_the_schedule_asks_for_yesterday_and_missed_days(live: Live) -> None:
    """Evaluated by the code server, without starting anything."""
    requests = live.dagster.tick_schedule("audio_insights_daily_schedule")
    assert [tags_of(request)["dagster/priority"] for request in requests] == ["10", "5"]


def test_the_sensor_ticks_in_the_daemon_and_a_late_recording_is_carried_through(live: Live) -> None:
    """A day is materialized, then a recording comes late: the daemon starts one run, for it alone."""
    on = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    live.record(on, 4000)
    assert live.dagster.finished(live.dagster.launch(on)) == "SUCCESS"
    live.record(on, 4001)
    asked = len(live.server.paths)
    live.dagster.start_sensor("late_recordings")
    tick = live.dagster.wait(
        "a tick", lambda: next((t for t in live.dagster.sensor_ticks("late_recordings") if t["runIds"]), None)
    )
    (run,) = tick["runIds"]
    assert live.dagster.finished(run) == "SUCCESS"
    assert sum("transcriptions" in path for path in live.server.paths[asked:]) == 1
    assert live.rows("SELECT count(*) FROM transcripts WHERE partition_date = ?", on) == [(2,)]


def test_a_day_is_materialized_by_clicking_and_shows_what_it_cost(
    live: Live, page: Any, tmp_path: Path
) -> None:
    """The graph shows the assets; yesterday turns green; its metadata has numbers and a picture."""
    on = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    live.record(on, *range(5000, 5012))
    page.goto(f"{live.dagster.url}/locations/llm_assets/asset-groups/audio_insights")
    for asset in ("recordings", "transcripts", "insights"):
        page.get_by_text(asset, exact=True).first.wait_for()

    before = {run["runId"] for run in live.dagster.runs()}
    page.goto(f"{live.dagster.url}/locations/llm_assets/jobs/audio_insights_daily")
    page.get_by_role("button", name="Materialize all").first.click()
    page.get_by_role("button", name="Latest", exact=True).click()
    page.get_by_role("button", name="Launch 1 run").click()
    run = live.dagster.wait(
        "the run", lambda: next((r for r in live.dagster.runs() if r["runId"] not in before), None)
    )
    assert live.dagster.finished(run["runId"]) == "SUCCESS"

    page.goto(f"{live.dagster.url}/assets/transcripts?view=partitions&partition={on}")
    page.get_by_text("Materialized", exact=True).first.wait_for()
    cost = page.get_by_role("row").filter(has=page.get_by_text("cost_usd", exact=True)).last
    assert float(re.findall(r"[0-9.]+(?:e-[0-9]+)?", cost.inner_text())[-1]) > 0
    page.get_by_text("Show Markdown").first.click()
    chart = page.locator('img[alt="Calls over time and cost by model"]')
    chart.wait_for()
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    page.set_viewport_size({"width": 1200, "height": 640})
    picture(page, tmp_path, "run-chart.jpg")

    page.set_viewport_size({"width": 1400, "height": 700})
    page.goto(f"{live.dagster.url}/locations/llm_assets/asset-groups/audio_insights")
    page.get_by_text("6 / 6 Passed").first.wait_for()
    picture(page, tmp_path, "asset-graph.jpg")
