"""What days look like by listing alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from bucket import Bucket
from made_audio import put

from llm_assets.recordings.changes import day_fingerprints
from llm_assets.recordings.source import RecordingSource

DAY, OTHER = date(2026, 3, 2), date(2026, 3, 3)


def rewrite(root: Path) -> None:
    put(root, "2026-03-02/a.wav", b"SOUND")
    os.utime(root / "2026-03-02/a.wav", (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: put(root, "2026-03-02/deep/b.wav", b"sound"),
        lambda root: (root / "2026-03-02/a.wav").unlink(),
        lambda root: (root / "2026-03-02/a.wav").rename(root / "2026-03-02/b.wav"),
        rewrite,
        lambda root: put(root, "2026-03-02/a.json", b"{}"),
        lambda root: put(root, "2026-03-02/a.wav.yaml", b""),
    ],
    ids=["new", "gone", "renamed", "changed", "hints", "other hints"],
)
@pytest.mark.parametrize("pattern", ["{date:%Y-%m-%d}/**/*", "{date:%Y-%m-%d}/**/*.wav"])
def test_any_change_of_a_day_is_seen_and_of_no_other(
    tmp_path: Path, pattern: str, change: Callable[[Path], object]
) -> None:
    """A recording or its hints that come, go or change give their day another fingerprint."""
    for day in ("2026-03-02", "2026-03-03"):
        put(tmp_path, f"{day}/a.wav", b"sound")
    source = RecordingSource(root=tmp_path, pattern=pattern)
    before = day_fingerprints(source, [DAY, OTHER])
    assert day_fingerprints(source, [DAY, OTHER]) == before
    put(tmp_path, "2026-03-02/notes.txt", b"nothing that is heard")
    assert day_fingerprints(source, [DAY, OTHER]) == before
    change(tmp_path)
    after = day_fingerprints(source, [DAY, OTHER])
    assert after[DAY] != before[DAY]
    assert after[OTHER] == before[OTHER]


@pytest.mark.parametrize("name", ["a.json", "a.wav.yml"])
def test_hints_count_for_the_day_of_their_recording(tmp_path: Path, name: str) -> None:
    """Without a date in the layout the hints' own day says nothing, and their change is seen all the same."""
    for number, day in enumerate((DAY, OTHER)):
        put(tmp_path, f"{'ab'[number]}.wav", b"sound")
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
        os.utime(tmp_path / f"{'ab'[number]}.wav", (noon, noon))
    source = RecordingSource(root=tmp_path, pattern="**/*")
    before = day_fingerprints(source, [DAY, OTHER])
    put(tmp_path, name, b"{}")
    put(tmp_path, "report.json", b"{}")
    os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    after = day_fingerprints(source, [DAY, OTHER])
    assert after[DAY] != before[DAY]
    assert after[OTHER] == before[OTHER]
    os.utime(tmp_path / name, (1_700_000_001, 1_700_000_001))
    assert day_fingerprints(source, [DAY])[DAY] != after[DAY]
    assert day_fingerprints(source.model_copy(update={"sidecars": False}), [DAY, OTHER]) == before


def test_an_object_put_again_within_the_second_is_another(bucket: Bucket) -> None:
    """The same size and time, another content: a bucket tells by its tag."""
    bucket.put("2026-03-02/a.wav", b"sound")
    before = day_fingerprints(bucket.source(), [DAY])
    bucket.put("2026-03-02/a.wav", b"SOUND")
    assert day_fingerprints(bucket.source(), [DAY]) != before
