"""Layouts without a date: the day a recording was last modified, in the time zone that is configured."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from made_audio import put

from llm_assets.errors import RecordingsUnavailable
from llm_assets.recordings.find import find_in_days, find_recordings
from llm_assets.recordings.source import RecordingSource

DAY = date(2026, 3, 2)


def put_at(root: Path, path: str, when: datetime) -> None:
    os.utime(put(root, path, b"sound"), (when.timestamp(), when.timestamp()))


@pytest.mark.parametrize(
    ("timezone", "paths"),
    [
        ("UTC", ["a/noon.wav", "late.wav"]),
        ("Europe/Berlin", ["a/noon.wav", "early.wav"]),
        ("America/Los_Angeles", ["a/noon.wav", "late.wav", "next.wav"]),
    ],
)
def test_the_day_is_the_one_of_the_modification(tmp_path: Path, timezone: str, paths: list[str]) -> None:
    """Where a day begins depends on the time zone."""
    put_at(tmp_path, "early.wav", datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    put_at(tmp_path, "a/noon.wav", datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
    put_at(tmp_path, "late.wav", datetime(2026, 3, 2, 23, 30, tzinfo=UTC))
    put_at(tmp_path, "next.wav", datetime(2026, 3, 3, 7, 0, tzinfo=UTC))
    source = RecordingSource(root=tmp_path, pattern="**/*", timezone=timezone)
    assert [each.path for each in find_recordings(source, DAY)] == paths


def test_many_days_are_one_listing(tmp_path: Path) -> None:
    """All days of a run come out of a single pass, and a day without recordings is empty."""
    for day in (1, 2, 4):
        put_at(tmp_path, f"{day}.wav", datetime(2026, 3, day, 12, 0, tzinfo=UTC))
    source = RecordingSource(root=tmp_path, pattern="*")
    days = [date(2026, 3, day) for day in (2, 3, 4)]
    found = find_in_days(source, days)
    assert {day: [each.path for each in found[day]] for day in days} == {
        days[0]: ["2.wav"],
        days[1]: [],
        days[2]: ["4.wav"],
    }


def test_the_time_zone_of_the_partitions_is_the_default() -> None:
    """A source that names no time zone takes the one it is given; its own one stays."""
    assert RecordingSource(root="x").in_timezone("Asia/Tokyo").zone.key == "Asia/Tokyo"
    own = RecordingSource(root="x", timezone="Europe/Paris")
    assert own.in_timezone("Asia/Tokyo").zone.key == "Europe/Paris"


def test_a_missing_root_is_an_error_here_too(tmp_path: Path) -> None:
    """No folder is not an empty one."""
    with pytest.raises(RecordingsUnavailable, match="does not exist"):
        find_recordings(RecordingSource(root=tmp_path / "no", pattern="**/*"), DAY)
