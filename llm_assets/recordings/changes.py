"""What days look like from outside, by listing alone: to notice what came late, and which days there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import chain

from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.find import FoundDay, list_days
from llm_assets.recordings.layout import date_of, is_plain, parts_in
from llm_assets.recordings.pattern import Segment
from llm_assets.recordings.place import FoundRecording, Place
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


def days_with_folders(source: RecordingSource) -> list[date] | None:
    """The days for which there is a folder; None where the layout tells days by more than folders.

    Lists the folders above the recordings and none of the recordings.
    """
    if not source.layout.folders_tell_the_day:
        return None
    return sorted(set(_days(open_place(source), source.layout.dated_folders, "", {})))


def _days(
    place: Place, segments: tuple[Segment, ...], above: str, known: Mapping[str, str]
) -> Iterable[date]:
    if not segments:
        day = date_of(known)
        return [] if day is None else [day]
    first, rest = segments[0], segments[1:]
    if is_plain(first):
        return _days(place, rest, f"{above}{first[0].value}/", known)
    start = first[0].value if first[0].is_text else ""
    parts = {name: parts_in(first, name, known) for name in place.folders(above + start)}
    below = (_days(place, rest, f"{above}{name}/", each) for name, each in parts.items() if each is not None)
    return chain.from_iterable(below)
