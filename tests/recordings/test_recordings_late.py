"""What it costs to look for late recordings in a bucket with years of days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from bucket import Bucket

from llm_assets import DuckDBFrameIOManager, LateRecordings, OpenAIResource, build_audio_insights
from llm_assets.orchestration.days import DAY_FINGERPRINT
from llm_assets.recordings.changes import day_fingerprints, listed_together
from llm_assets.recordings.source import RecordingSource

YEARS, WINDOW = 3 * 365, 14


def latest(count: int) -> list[date]:
    """The last days that are over, the latest first."""
    today = datetime.now(UTC).date()
    return [today - timedelta(days=number) for number in range(1, count + 1)]


def test_three_years_in_a_bucket_cost_the_latest_days(bucket: Bucket) -> None:
    """A look with nothing new asks once for each day of the window, whatever else there is."""
    for day in latest(YEARS):
        bucket.put(f"calls/{day}/a.ogg")
    source = bucket.source("calls", settle_seconds=0)
    partitions = dg.DailyPartitionsDefinition(start_date=latest(YEARS)[-1].isoformat())
    defs = dg.Definitions.merge(
        build_audio_insights(source, partitions, late_recordings=LateRecordings(days=WINDOW)),
        dg.Definitions(
            resources={"openai": OpenAIResource(), "io_manager": DuckDBFrameIOManager(path="/nowhere.duckdb")}
        ),
    )
    sensor, cursor = defs.resolve_sensor_def("late_recordings"), None

    def look() -> list[str]:
        nonlocal cursor
        bucket.asked()
        context = dg.build_sensor_context(instance, cursor=cursor, repository_def=defs.get_repository_def())
        data = sensor.evaluate_tick(context)
        cursor = data.cursor
        return [str(request.partition_key) for request in data.run_requests or []]

    with dg.DagsterInstance.ephemeral() as instance:
        for day, looks in day_fingerprints(source, latest(WINDOW)).items():
            key, noted = dg.AssetKey("recordings"), {DAY_FINGERPRINT: looks}
            event = dg.AssetMaterialization(key, partition=day.isoformat(), metadata=noted)
            instance.report_runless_asset_event(event)
        for _ in range(2):
            assert look() == []
            assert len(bucket.asked()) == WINDOW
        late = latest(WINDOW)[9]
        bucket.put(f"calls/{late}/late.ogg")
        assert look() == [late.isoformat()]


@pytest.mark.parametrize(
    ("pattern", "listings"),
    [
        ("{date:%Y-%m-%d}/*.ogg", 60),
        ("{date:%Y-%m}/{date:%d}-*.ogg", 60),
        ("{date:%Y/%m}/**/{date:%d}-*.ogg", 2),
        ("*.ogg", 1),
    ],
)
def test_days_that_share_a_listing_are_listed_together(pattern: str, listings: int) -> None:
    """A folder of a month is not listed for each of its days."""
    days = [date(2026, 3, 2) + timedelta(days=number) for number in range(60)]
    groups = listed_together(RecordingSource(root="/calls", pattern=pattern), days)
    assert len(groups) == listings
    assert sorted(day for group in groups for day in group) == days
