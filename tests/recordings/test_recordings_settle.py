"""Recordings that are still being written are left alone until they are finished."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import pytest
from bucket import Bucket
from fsspec.implementations.memory import MemoryFileSystem
from made_audio import finished, put

from llm_assets.errors import RecordingUnreadable, RecordingUnsettled
from llm_assets.recordings.changes import day_fingerprints
from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.settle import fetched, seconds_to_settle
from llm_assets.recordings.source import RecordingSource

DAY = date(2026, 3, 2)


def modified(file: Path, seconds_ago: float) -> None:
    os.utime(file, (time.time() - seconds_ago,) * 2)


def test_a_fresh_recording_is_left(tmp_path: Path) -> None:
    """Modified just now, it may be half of what it will be."""
    modified(put(tmp_path, "2026-03-02/a.wav", b"half"), 0)
    source = RecordingSource(root=tmp_path, settle_seconds=300)
    [found] = find_recordings(source, DAY)
    assert 200 < seconds_to_settle(source, found) <= 300
    with pytest.raises(RecordingUnsettled, match="less than 300 s ago"):
        read_recording(source, found, DAY)


def test_a_recording_settles(tmp_path: Path) -> None:
    """Untouched for the time that is configured, or with no such time at all, it is read."""
    file = put(tmp_path, "2026-03-02/a.wav", b"whole")
    modified(file, 301)
    source = RecordingSource(root=tmp_path, settle_seconds=300)
    [found] = find_recordings(source, DAY)
    with fetched(source, found) as content:
        assert content.read_bytes() == b"whole"
    modified(file, 0)
    source = RecordingSource(root=tmp_path, settle_seconds=0)
    [found] = find_recordings(source, DAY)
    with fetched(source, found) as content:
        assert content.read_bytes() == b"whole"


def test_a_wrong_clock_keeps_nothing_from_being_read(tmp_path: Path) -> None:
    """A time in the future will not pass while anybody waits."""
    modified(put(tmp_path, "2026-03-02/a.wav", b"whole"), -86400)
    source = RecordingSource(root=tmp_path)
    [found] = find_recordings(source, DAY)
    assert seconds_to_settle(source, found) == 0


def test_one_that_grows_between_listing_and_reading_is_left(tmp_path: Path) -> None:
    """Also when its time says nothing, as of a program that sets it."""
    file = put(tmp_path, "2026-03-02/a.wav", b"half")
    source = RecordingSource(root=tmp_path)
    [found] = find_recordings(source, DAY)
    listed = file.stat()
    file.write_bytes(b"half and more")
    os.utime(file, ns=(listed.st_atime_ns, listed.st_mtime_ns))
    with pytest.raises(RecordingUnsettled, match="since it was listed"), fetched(source, found):
        pass


def test_one_that_changes_while_it_is_read_is_left(tmp_path: Path) -> None:
    """What was read may be neither the old content nor the new one."""
    file = put(tmp_path, "2026-03-02/a.wav", b"half")
    source = RecordingSource(root=tmp_path)
    [found] = find_recordings(source, DAY)
    with pytest.raises(RecordingUnsettled, match="while it was read"), fetched(source, found):
        file.write_bytes(b"half and more")


def test_one_that_vanishes_while_it_is_read_is_a_row(tmp_path: Path) -> None:
    """Gone is gone: no later run will find it."""
    file = put(tmp_path, "2026-03-02/a.wav", b"half")
    source = RecordingSource(root=tmp_path)
    [found] = find_recordings(source, DAY)
    with pytest.raises(RecordingUnreadable, match="vanished"), fetched(source, found):
        file.unlink()


def test_objects_are_whole_as_soon_as_they_are_seen(bucket: Bucket) -> None:
    """A bucket needs no patience: what was put a moment ago is read."""
    bucket.put("2026-03-02/a.wav", b"whole")
    [found] = find_recordings(bucket.source(settle_seconds=300), DAY)
    assert seconds_to_settle(bucket.source(settle_seconds=300), found) == 0
    with fetched(bucket.source(settle_seconds=300), found) as content:
        assert content.read_bytes() == b"whole"
    assert MemoryFileSystem().pipe_file("memory://settled/2026-03-02/a.wav", b"1") is None
    source = RecordingSource(root="memory://settled")
    [found] = find_recordings(source, DAY)
    assert seconds_to_settle(source, found) == 0


def test_a_later_look_notices_what_was_left(tmp_path: Path) -> None:
    """The day looks different once a recording is finished, though nothing about its file changed."""
    file = put(tmp_path, "2026-03-02/a.wav", b"whole")
    put(tmp_path, "2026-03-02/b.wav", b"other")
    modified(file, 2)
    waiting = RecordingSource(root=tmp_path, settle_seconds=20)
    before = day_fingerprints(waiting, [DAY])
    assert before == day_fingerprints(waiting, [DAY])
    patient = RecordingSource(root=tmp_path, settle_seconds=1)
    assert day_fingerprints(patient, [DAY]) != before
    finished(file)
    assert day_fingerprints(waiting, [DAY]) != before
