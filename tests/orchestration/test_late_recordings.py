"""Years of days behind the sensor for late recordings, and places that are slow: no look takes too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_assets.orchestration import sensor as sensor_module
from llm_assets.orchestration.days import DAY_FINGERPRINT
from llm_assets.orchestration.sensor import LateRecordings, Listing, late_recordings_sensor

RECORDINGS = dg.AssetKey("recordings")


def latest(count: int) -> list[date]:
    """The last days that are over, the latest first."""
    today = datetime.now(UTC).date()
    return [today - timedelta(days=number) for number in range(1, count + 1)]


class Place:
    """Days that look like something; listing one takes its time on the clock, or all of it."""

    def __init__(self, seconds_a_listing: float) -> None:
        self.seconds, self.now = seconds_a_listing, 1000.0
        self.looks: dict[date, str] = {}
        self.listed: list[date] = []
        self.silent: set[date] = set()

    def listings(self, days: Iterable[date]) -> Iterator[Listing]:
        for day in days:
            yield [day], partial(self.list, day)

    def list(self, day: date) -> Mapping[date, str]:
        if day in self.silent:
            threading.Event().wait()
        self.now += self.seconds
        self.listed.append(day)
        return {day: self.looks.get(day, "as it was")}


class Sensor:
    """The sensor over days that were all materialized as they were, its cursor kept as the daemon does."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        listings: Callable[[Iterable[date]], Iterator[Listing]],
        days: int,
        clock: Callable[[], float],
    ) -> None:
        first = latest(days)[-1]
        partitions = dg.DailyPartitionsDefinition(start_date=first.isoformat())

        @dg.asset(name="recordings", partitions_def=partitions)
        def recordings() -> None: ...

        job = dg.define_asset_job("daily", selection=[RECORDINGS])
        self._sensor = late_recordings_sensor(
            "late", job, partitions, RECORDINGS, listings, LateRecordings(days=days), clock
        )
        self._defs = dg.Definitions(assets=[recordings], jobs=[job], sensors=[self._sensor])
        self._instance, self.cursor = instance, None
        for day in latest(days):
            noted = {DAY_FINGERPRINT: "as it was"}
            event = dg.AssetMaterialization(RECORDINGS, partition=day.isoformat(), metadata=noted)
            instance.report_runless_asset_event(event)

    def look(self) -> list[date]:
        context = dg.build_sensor_context(
            self._instance, cursor=self.cursor, repository_def=self._defs.get_repository_def()
        )
        data = self._sensor.evaluate_tick(context)
        self.cursor, self.said = data.cursor, data.skip_message or ""
        return [date.fromisoformat(str(each.partition_key)) for each in data.run_requests or []]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_years_of_days_are_looked_at_in_turns(instance: dg.DagsterInstance) -> None:
    """No look begins a listing after its time; the next one goes on, and begins anew when it is through."""
    place = Place(seconds_a_listing=0.1)
    sensor = Sensor(instance, place.listings, 500, lambda: place.now)
    for _ in range(3):
        before = place.now
        assert sensor.look() == []
        assert place.now - before <= sensor_module.BEGIN_WITHIN_SECONDS + 2 * place.seconds
    assert place.listed[:500] == latest(500)
    again = place.listed[500:]
    assert again == latest(500)[: len(again)]
    assert "the other" in sensor.said
    oldest = latest(500)[-1]
    place.looks[oldest] = "one more"
    assert [late for _ in range(3) for late in sensor.look()] == [oldest]
    assert [late for _ in range(3) for late in sensor.look()] == []


def test_a_day_whose_listing_never_ends_holds_up_no_other(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look ends in time and says so; the next one goes on behind it."""
    monkeypatch.setattr(sensor_module, "END_WITHIN_SECONDS", 0.2)
    place = Place(seconds_a_listing=0.0)
    sensor = Sensor(instance, place.listings, 6, lambda: place.now)
    days = latest(6)
    place.silent.add(days[2])
    place.looks[days[5]] = "one more"
    assert sensor.look() == []
    assert f"Listing {days[2]} took longer" in sensor.said
    assert sensor.look() == [days[5]]
    assert place.listed == [*days[:2], *days[3:], *days[:2]]


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 11)), st.sampled_from([1.0, 5.0, 30.0]))
def test_whatever_changes_is_asked_for_once(changed: set[int], seconds: float) -> None:
    """However slow the place is and however many looks it takes."""
    with dg.DagsterInstance.ephemeral() as instance:
        place = Place(seconds)
        sensor = Sensor(instance, place.listings, 12, lambda: place.now)
        place.looks = {latest(12)[number]: "one more" for number in changed}
        found = [late for _ in range(13) for late in sensor.look()]
        assert sorted(set(found)) == sorted(place.looks)
