"""Recordings that somebody is still writing: left alone, and taken by a later run.

Where objects appear as a whole there are none. Elsewhere a file counts as finished when it has not been
modified for a while, and is as large and as old as it was listed before and after it was read.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from llm_assets.errors import RecordingUnreadable, RecordingUnsettled
from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.local_place import LocalPlace
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.source import RecordingSource


def seconds_to_settle(source: RecordingSource, found: FoundRecording, now: datetime | None = None) -> float:
    """How long until it counts as finished, 0 if it does. A time in the future is a wrong clock's."""
    if found.modified_at is None or found.is_astray or not open_place(source).shows_unfinished:
        return 0.0
    age_seconds = ((now or datetime.now(UTC)) - found.modified_at).total_seconds()
    return source.settle_seconds - age_seconds if 0 <= age_seconds < source.settle_seconds else 0.0


@contextmanager
def fetched(source: RecordingSource, found: FoundRecording) -> Generator[Path]:
    """The finished recording on this machine, as long as the context lasts.

    Raises:
        RecordingUnsettled: it is still being written, or was while the context lasted.
        RecordingUnreadable, RecordingsUnavailable, MissingExtra: see `Place.fetched` and `open_place`.
    """
    place = open_place(source)
    if not isinstance(place, LocalPlace):
        _require_age(source, found)
    with place.fetched(found.path) as file:
        if not place.shows_unfinished:
            yield file
            return
        before = _facts(file)
        _require_age(source, found)
        if _is_another(place, found, before):
            raise RecordingUnsettled("it has changed since it was listed")
        yield file
        after = _facts(file)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise RecordingUnsettled("it changed while it was read")


def _facts(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except FileNotFoundError as error:
        raise RecordingUnreadable("vanished between listing and reading") from error


def _require_age(source: RecordingSource, found: FoundRecording) -> None:
    if seconds_to_settle(source, found) > 0:
        raise RecordingUnsettled(f"it was modified less than {source.settle_seconds:g} s ago")


def _is_another(place: object, found: FoundRecording, facts: os.stat_result) -> bool:
    """Than was listed. The time of a copy is its own; a listing without a time saw no more than a name."""
    if not isinstance(place, LocalPlace):
        return facts.st_size != found.size_bytes
    if found.modified_at is None:
        return False
    when = datetime.fromtimestamp(facts.st_mtime, UTC)
    return (facts.st_size, when) != (found.size_bytes, found.modified_at)
