"""Find the recordings of days, as the source's pattern lays them out, whatever holds the root.

A day for which nothing is there is a day without recordings; a root that is not there is an error, since
an empty partition would look like a quiet day. Hidden files and folders are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath

from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.layout import head, is_plain, name_matches
from llm_assets.recordings.outage import unavailable
from llm_assets.recordings.pattern import Segment
from llm_assets.recordings.place import FoundRecording, Place
from llm_assets.recordings.source import RecordingSource

EXTENSIONS = frozenset(
    {".3g2", ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".amr", ".au", ".avi", ".awb", ".caf", ".flac", ".flv",
     ".gsm", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg", ".mpg", ".mpga", ".oga",
     ".ogg", ".opus", ".w64", ".wav", ".webm", ".wma", ".wmv"}
)  # fmt: skip


SIDECAR_SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class FoundDay:
    """What is there of one day. `sidecars` are files that may hold hints for its recordings."""

    recordings: list[FoundRecording] = field(default_factory=list[FoundRecording])
    sidecars: list[FoundRecording] = field(default_factory=list[FoundRecording])


def find_recordings(source: RecordingSource, partition_date: date) -> list[FoundRecording]:
    """The recordings of one day, sorted by path; see `find_in_days` for what it raises."""
    return find_in_days(source, [partition_date])[partition_date]


def find_in_days(source: RecordingSource, days: Iterable[date]) -> dict[date, list[FoundRecording]]:
    """The recordings of each of the days, sorted by path.

    Raises:
        RecordingsUnavailable: the root does not exist or cannot be listed.
        MissingExtra: the root is a URL whose file system is not installed.
    """
    return {day: found.recordings for day, found in list_days(source, days).items()}


def list_days(source: RecordingSource, days: Iterable[date]) -> dict[date, FoundDay]:
    """The recordings of each of the days and what may be hints beside them. Raises as `find_in_days`."""
    found = {day: FoundDay() for day in days}
    # Held to the end: a recording may be listed after its hints.
    undated: dict[str, FoundRecording] = {}
    is_empty = True
    for file in files_of_days(source, found):
        is_sidecar = file.path.endswith(SIDECAR_SUFFIXES)
        if is_sidecar and source.sidecars and not source.layout.has_date:
            undated[file.path] = file
        day = _day_beside(file, source) if is_sidecar else _day_of(file, source)
        if day is None or day not in found:
            continue
        is_empty = False
        if is_sidecar:
            found[day].sidecars.append(file)
        elif is_recording(source, file):
            found[day].recordings.append(file)
    if is_empty and not open_place(source).exists():
        raise unavailable(source, "it does not exist", FileNotFoundError())
    for day in found.values():
        day.recordings.sort(key=lambda recording: recording.path)
        day.sidecars.extend(_beside(day.recordings, undated))
    return found


def names_beside(path: str) -> list[str]:
    """Where hints for a recording may be, the most particular place first."""
    without_suffix = str(PurePosixPath(path).with_suffix(""))
    return [name + suffix for name in (path, without_suffix) for suffix in SIDECAR_SUFFIXES]


def _beside(
    recordings: Iterable[FoundRecording], sidecars: Mapping[str, FoundRecording]
) -> list[FoundRecording]:
    """Without a date in the layout, hints belong to the day of the recording that they are beside."""
    names = {name for each in recordings for name in names_beside(each.path)} if sidecars else set[str]()
    return [sidecars[name] for name in sorted(names & sidecars.keys())]


def files_of_days(source: RecordingSource, days: Iterable[date]) -> Iterator[FoundRecording]:
    """All files that have to be listed for the days, whatever they are and of whichever day."""
    place = open_place(source)
    for plan in dict.fromkeys(source.layout.plan(day) for day in sorted(days)):
        for folder in _folders(place, plan.folders, ""):
            yield from place.files(folder + plan.head, plan.is_deep)


def is_recording(source: RecordingSource, found: FoundRecording) -> bool:
    """By its name. A pattern that says how names end is taken at its word."""
    suffix = PurePosixPath(found.file_name).suffix.lower()
    return found.is_astray or suffix in EXTENSIONS or source.layout.names_its_extension


def _folders(place: Place, segments: Sequence[Segment], above: str) -> Iterator[str]:
    """The folders that the segments lead to from here, each with a slash behind it."""
    if not segments:
        yield above
        return
    first, rest = segments[0], segments[1:]
    names = [head(first)] if is_plain(first) else place.folders(above + head(first))
    for name in names:
        if name_matches(first, name):
            yield from _folders(place, rest, f"{above}{name}/")


def _day_of(found: FoundRecording, source: RecordingSource) -> date | None:
    """None if the file is not in the layout."""
    if source.layout.has_date:
        return source.layout.day_of(found.path)
    if not source.layout.has_place_for(found.path):
        return None
    if found.modified_at is None:
        raise unavailable(
            source, "it does not tell when recordings were modified, and the pattern has no date"
        )
    return found.modified_at.astimezone(source.zone).date()


def _day_beside(sidecar: FoundRecording, source: RecordingSource) -> date | None:
    """The day of the recording it is beside, as far as names tell; its own modification does not."""
    if not source.layout.has_date or not source.sidecars:
        return None
    name = str(PurePosixPath(sidecar.path).with_suffix(""))
    days = map(source.layout.day_of, (name, name + source.layout.extension))
    return next((day for day in days if day is not None), None)
