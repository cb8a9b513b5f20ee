"""Every morning asks for yesterday and what was missed; late recordings ask for their day, once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from fake_openai import FakeOpenAI, write_wav
from hypothesis import given
from hypothesis import strategies as st

from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_audio_insights
from llm_assets.errors import ConfigurationError
from llm_assets.orchestration.days import in_runs, recent_days
from llm_assets.orchestration.schedule import DailyRhythm
from llm_assets.orchestration.sensor import LateRecordings

BERLIN = ZoneInfo("Europe/Berlin")
SCHEDULE, SENSOR, JOB = "audio_insights_daily_schedule", "late_recordings", "audio_insights_daily"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
KEYS = [dg.AssetKey(name) for name in ("recordings", "transcripts", "insights")]


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


def definitions(
    root: Path = Path("/calls"),
    start: str = "2026-03-20",
    base_url: str | None = None,
    zone: str = "Europe/Berlin",
    **options: Any,
) -> dg.Definitions:
    days = dg.DailyPartitionsDefinition(start_date=start, timezone=zone)
    resources = {
        "openai": OpenAIResource(
            base_url=base_url,
            chat=["gpt-6-luna"],
            transcription=["gpt-transcribe"],
            state=str(root / "state.sqlite"),
        ),
        "io_manager": DuckDBFrameIOManager(path=str(root / "calls.duckdb")),
    }
    return dg.Definitions.merge(
        build_audio_insights(root, days, **options), dg.Definitions(resources=resources)
    )


def morning(
    defs: dg.Definitions, instance: dg.DagsterInstance, day: date, hour: int = 3
) -> list[dg.RunRequest]:
    return at(defs, instance, datetime(day.year, day.month, day.day, hour, tzinfo=BERLIN))


def at(defs: dg.Definitions, instance: dg.DagsterInstance, when: datetime) -> list[dg.RunRequest]:
    schedule = defs.resolve_schedule_def(SCHEDULE)
    assert isinstance(schedule, dg.ScheduleDefinition)
    context = dg.build_schedule_context(
        instance, scheduled_execution_time=when, repository_def=defs.get_repository_def()
    )
    context._instance = instance  # which it would open once more
    return list(schedule.evaluate_tick(context).run_requests or [])


def materialized(instance: dg.DagsterInstance, *days: str) -> None:
    for day in days:
        for key in KEYS:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))


def days_of(request: dg.RunRequest) -> str:
    first = request.tags.get("dagster/asset_partition_range_start")
    last = request.tags.get("dagster/asset_partition_range_end")
    return f"{first}...{last}" if first else str(request.partition_key)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("Europe/Berlin", ["2026-03-28", "2026-03-29", "2026-03-30", "2026-10-25", "2026-10-26"]),
        ("America/New_York", ["2026-03-08", "2026-03-09", "2026-11-01", "2026-11-02"]),
        # Midnight does not come, or comes twice.
        ("Africa/Cairo", ["2026-04-24", "2026-04-25", "2026-10-29", "2026-10-30", "2026-10-31"]),
        ("America/Havana", ["2026-03-08", "2026-03-09", "2026-11-01", "2026-11-02"]),
        ("Pacific/Apia", ["2020-09-27", "2020-09-28", "2021-04-04", "2021-04-05"]),
        ("Australia/Lord_Howe", ["2026-04-05", "2026-04-06", "2026-10-04", "2026-10-05"]),
    ],
)
def test_yesterday_is_yesterday_over_every_change_of_the_clock(
    instance: dg.DagsterInstance, zone: str, days: list[str]
) -> None:
    """Each tick that the cron gives asks for the day that has just ended there, once, at any hour."""
    start = str(date.fromisoformat(days[0]) - timedelta(days=9))
    for hour in (0, 1, 2, 3, 23):
        defs = definitions(start=start, zone=zone, schedule=DailyRhythm(hour=hour, catch_up_days=0))
        for day in days:
            around = datetime.combine(date.fromisoformat(day), time(12), ZoneInfo(zone)) - timedelta(days=2)
            coming = schedule_execution_time_iterator(around.timestamp(), f"0 {hour} * * *", zone)
            ticks = list(itertools.islice(coming, 4))
            asked = [request.partition_key for tick in ticks for request in at(defs, instance, tick)]
            assert asked == [before(tick, zone) for tick in ticks]
            assert len(set(asked)) == 4


def before(tick: datetime, zone: str) -> str:
    """The day that was over there."""
    return str(tick.astimezone(ZoneInfo(zone)).date() - timedelta(days=1))


def test_a_day_before_one_that_never_was_is_caught_up(instance: dg.DagsterInstance) -> None:
    """Samoa went from 29 December 2011 to the 31st."""
    defs = definitions(start="2011-12-28", zone="Pacific/Apia", days_per_backfill_run=1)
    asked = at(defs, instance, datetime(2011, 12, 31, 3, tzinfo=ZoneInfo("Pacific/Apia")))
    assert "2011-12-29" in map(days_of, asked)


def test_missed_days_are_caught_up_in_few_runs_behind_yesterday(instance: dg.DagsterInstance) -> None:
    """After a week without a daemon: only what is missing, days in a row together, later ones not twice."""
    defs = definitions(schedule=DailyRhythm(catch_up_days=6), days_per_backfill_run=2)
    materialized(instance, "2026-03-28")
    requests = morning(defs, instance, date(2026, 4, 1))
    assert [days_of(request) for request in requests] == [
        "2026-03-31",
        "2026-03-25...2026-03-26",
        "2026-03-27",
        "2026-03-29...2026-03-30",
    ]
    assert [request.tags["dagster/priority"] for request in requests] == ["10", "5", "5", "5"]
    assert len({request.run_key for request in requests}) == 4


def test_a_day_under_way_is_not_asked_for_again(instance: dg.DagsterInstance) -> None:
    """A run in the queue will make it."""
    defs = definitions(start="2026-03-29", schedule=DailyRhythm(catch_up_days=6))
    job = defs.resolve_job_def(JOB)
    run = instance.create_run_for_job(
        job, tags={"dagster/partition": "2026-03-29"}, asset_selection=frozenset(KEYS)
    )
    assert run.status == dg.DagsterRunStatus.NOT_STARTED
    asked = [days_of(request) for request in morning(defs, instance, date(2026, 4, 1))]
    assert asked == ["2026-03-31", "2026-03-30"]


def test_before_the_first_day_is_over_nothing_is_asked(instance: dg.DagsterInstance) -> None:
    """A project that starts today has nothing to do yet."""
    assert morning(definitions(start="2026-04-01"), instance, date(2026, 4, 1)) == []


def test_what_cannot_be_is_refused() -> None:
    """Said when the definitions load."""
    with pytest.raises(ConfigurationError, match="0 to 23"):
        DailyRhythm(hour=24)
    with pytest.raises(ConfigurationError, match="catch_up_days"):
        DailyRhythm(catch_up_days=-1)
    with pytest.raises(ConfigurationError, match="1 or more"):
        LateRecordings(days=0)


@given(st.sets(st.integers(0, 60)), st.integers(1, 9))
def test_runs_cover_every_day_once_and_keep_to_their_length(numbers: set[int], longest: int) -> None:
    """Whatever days are missing."""
    start = date(2026, 2, 1).toordinal()
    days = [date.fromordinal(start + number).isoformat() for number in sorted(numbers)]
    covered: list[str] = []
    for first, last in in_runs(days, longest):
        span = range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1)
        assert len(span) <= longest
        covered += [date.fromordinal(each).isoformat() for each in span]
    assert covered == days


class Late:
    """A sensor over real recordings, its cursor kept between looks as the daemon keeps it."""

    def __init__(self, root: Path, server: FakeOpenAI, instance: dg.DagsterInstance) -> None:
        start = date.today().toordinal() - 3  # noqa: DTZ011
        self.days = [date.fromordinal(start + number).isoformat() for number in range(3)]
        self.defs = definitions(root, self.days[0], server.base_url)
        self.instance, self.root, self.cursor = instance, root, None
        for day in self.days:
            write_wav(root / day / "a.wav", 6)

    def run(self, day: str) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_job_def(JOB)
        return job.execute_in_process(instance=self.instance, partition_key=day, run_config=QUIET)

    def look(self) -> list[str]:
        sensor = self.defs.resolve_sensor_def(SENSOR)
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=self.defs.get_repository_def()
        )
        context._instance = self.instance  # which it would open once more
        data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        self.run_keys = [request.run_key for request in data.run_requests or []]
        return [days_of(request) for request in data.run_requests or []]


@pytest.fixture
def late(tmp_path: Path, server: FakeOpenAI, instance: dg.DagsterInstance) -> Late:
    return Late(tmp_path, server, instance)


def test_a_late_recording_asks_for_its_day_only_and_costs_only_itself(late: Late, server: FakeOpenAI) -> None:
    """Of three days, two materialized: the new file's day is asked for, the day without a run is not."""
    first, second, _ = late.days
    assert late.run(first).success
    assert late.run(second).success
    assert late.look() == []
    asked = len(server.paths)
    write_wav(late.root / second / "late.wav", 7, 700)
    write_wav(late.root / late.days[2] / "more.wav", 7, 800)
    assert late.look() == [second]
    assert late.look() == []
    assert late.run(second).success
    assert len(server.paths) == asked + 2
    assert late.look() == []


def test_a_change_before_the_first_look_or_with_a_lost_cursor_is_seen(late: Late) -> None:
    """What a day was made of is noted with its materialization, not in the sensor's memory."""
    first = late.days[0]
    assert late.run(first).success
    (late.root / first / "a.wav").unlink()
    assert late.look() == [first]
    before = late.run_keys
    late.cursor = None
    assert late.look() == [first]
    assert late.run_keys == before  # the same change is the same key: Dagster starts no second run


def test_the_cursor_is_small_and_of_the_latest_days_only(late: Late) -> None:
    """It does not grow with the years."""
    for day in late.days:
        assert late.run(day).success
    late.look()
    assert late.cursor is not None
    assert sorted(json.loads(late.cursor)["looks"]) == late.days


def test_recordings_that_cannot_be_listed_are_a_skip_with_the_reason(late: Late) -> None:
    """A bucket that is away for a moment leaves the sensor's memory as it was."""
    assert late.run(late.days[0]).success
    late.look()
    kept = late.cursor
    late.root.rename(late.root.with_name("away"))
    assert late.look() == []
    assert late.cursor in (None, kept)


def test_only_days_that_are_over_where_the_team_is_are_looked_at() -> None:
    """At one in the morning in Berlin, yesterday is over there and not yet in UTC."""
    days = dg.DailyPartitionsDefinition(start_date="2026-03-01", timezone="Europe/Berlin")
    now = datetime(2026, 7, 2, 1, tzinfo=BERLIN)
    assert recent_days(days, 2, now) == ["2026-06-30", "2026-07-01"]
