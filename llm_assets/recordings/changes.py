"""What days look like from outside, by listing alone: to notice what came late."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from itertools import chain

from llm_assets.recordings.find import FoundDay, list_days
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.settle import seconds_to_settle
from llm_assets.recordings.source import RecordingSource


def fingerprint_of(files: Iterable[FoundRecording]) -> str:
    """Another one whenever a file comes, goes or changes."""
    digest = hashlib.sha256()
    for each in sorted(files, key=lambda each: each.path):
        facts = f"{each.path}\0{each.size_bytes}\0{each.modified_at}\0{each.version}\0"
        digest.update(facts.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def day_fingerprints(source: RecordingSource, days: Iterable[date]) -> dict[date, str]:
    """The fingerprint of each day as it is now: recordings that are finished, and hints beside them.

    One that is still being written does not count yet. So a run that leaves it alone and a later look at
    the finished one see different days.

    Raises:
        RecordingsUnavailable, MissingExtra: see `find_in_days`.
    """
    return {day: fingerprint_of(_finished(source, found)) for day, found in list_days(source, days).items()}


def listed_together(source: RecordingSource, days: Iterable[date]) -> list[list[date]]:
    """The days in groups of which each costs one listing: of a day's folder, or of one that they share."""
    groups: dict[object, list[date]] = {}
    for day in days:
        groups.setdefault(source.layout.plan(day), []).append(day)
    return list(groups.values())


def _finished(source: RecordingSource, day: FoundDay) -> list[FoundRecording]:
    return [each for each in chain(day.recordings, day.sidecars) if not seconds_to_settle(source, each)]
