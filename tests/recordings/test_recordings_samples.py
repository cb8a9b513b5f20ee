"""The sample recordings in the repository are what the demo and the README promise."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording

ROOT = Path(__file__).parents[2] / "data" / "recordings"
DAYS = [date(2026, 3, day) for day in (2, 3, 4)]


@pytest.fixture(scope="module")
def rows() -> list[Recording]:
    return [
        read_recording(RecordingSource(root=str(ROOT)), found, day)
        for day in DAYS
        for found in find_recordings(RecordingSource(root=str(ROOT)), day)
    ]


def test_ten_calls_one_too_short_one_broken(rows: list[Recording]) -> None:
    """Twelve recordings over three days: ten good calls, one too short, one broken."""
    assert Counter(row.status for row in rows) == {"ok": 10, "too_short": 1, "unreadable": 1}
    assert Counter(row.partition_date for row in rows) == dict.fromkeys(DAYS, 4)


def test_small_and_short(rows: list[Recording]) -> None:
    """Together under 2 MB and about four and a half minutes; every call between 10 and 45 seconds."""
    seconds = [row.duration_seconds or 0 for row in rows if row.status == "ok"]
    assert sum(row.size_bytes for row in rows) < 2_000_000
    assert 240 < sum(seconds) < 300
    assert min(seconds) > 10
    assert max(seconds) < 45


def test_several_formats_and_awkward_names(rows: list[Recording]) -> None:
    """The formats people have and the names people give are all there, each content once."""
    assert {row.format for row in rows} == {"ogg", "mp3", "wav", "flac", None}
    assert any(row.channels == 2 for row in rows)
    for character in " 'é":
        assert any(character in row.file_name for row in rows)
    assert len({row.recording_id for row in rows}) == len(rows)
