"""Find a day's recordings: `<root>/<YYYY-MM-DD>/**/<name>.<extension>`, whatever holds the root.

A day without a folder is a day without recordings; a root that is not there is an error, since an empty
partition would look like a quiet day. Hidden files and folders are left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, cast

from upath import UPath

from llm_assets.recordings.place import local_folder, open_root, unavailable
from llm_assets.recordings.source import RecordingSource

EXTENSIONS = frozenset(
    {".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".oga", ".ogg", ".opus", ".wav", ".webm"}
)


@dataclass(frozen=True, slots=True)
class FoundRecording:
    """A recording as it was listed. `path` is relative to the root; `modified_at` is None if unknown."""

    path: str
    file_name: str
    size_bytes: int
    modified_at: datetime | None


def find_recordings(source: RecordingSource, partition_date: date) -> list[FoundRecording]:
    """The recordings of one day, sorted by path.

    Raises:
        RecordingsUnavailable: the root does not exist or cannot be listed.
        MissingExtra: the root is a URL whose file system is not installed.
    """
    place = open_root(source)
    folder = local_folder(place)
    try:
        if folder is None:
            found = list(_listed_remotely(place, partition_date))
            there = bool(found) or place.exists()
        else:
            found = list(_listed_locally(folder, partition_date))
            there = bool(found) or folder.is_dir()
    except Exception as error:  # a bucket's client has errors of its own that no built-in class covers
        raise unavailable(source, str(error)) from error
    if not there:
        raise unavailable(source, "it does not exist")
    return sorted(found, key=lambda recording: recording.path)


def _listed_locally(root: Path, partition_date: date) -> Iterator[FoundRecording]:
    day = root / partition_date.isoformat()
    if not day.is_dir():
        return
    if not day.resolve().is_relative_to(root):
        raise OSError(f"{day} is a link that leads outside the folder of the recordings")
    for file in _walked(day, root):
        yield _found(file, root)


def _walked(day: Path, root: Path) -> Iterator[Path]:
    """Files with an audio extension; also links to folders outside the root, which reading will refuse."""
    seen = {day.resolve()}
    for name, folders, files in os.walk(day, followlinks=True, onerror=_raise):
        here = Path(name)
        yield from (here / file for file in files if _is_recording(file))
        for folder in [here / folder for folder in folders]:
            target = folder.resolve()
            if folder.name.startswith(".") or target in seen:
                folders.remove(folder.name)
            elif not target.is_relative_to(root):
                folders.remove(folder.name)
                yield folder
            seen.add(target)


def _raise(error: OSError) -> None:
    """`os.walk` passes over what it cannot list, and its recordings with it."""
    raise error


def _is_recording(file_name: str) -> bool:
    return not file_name.startswith(".") and PurePosixPath(file_name).suffix.lower() in EXTENSIONS


def _found(file: Path, root: Path) -> FoundRecording:
    try:
        facts = file.stat()
    except OSError:  # gone meanwhile, or a link to nothing: reading it gives the row its reason
        facts = file.lstat() if file.is_symlink() else None
    return FoundRecording(
        path=file.relative_to(root).as_posix(),
        file_name=file.name,
        size_bytes=facts.st_size if facts else 0,
        modified_at=datetime.fromtimestamp(facts.st_mtime, UTC) if facts else None,
    )


def _listed_remotely(root: UPath, partition_date: date) -> Iterator[FoundRecording]:
    """One listing for the day: sizes and times come with it, so no object is asked for singly."""
    day = (root / partition_date.isoformat()).path
    listing = cast(dict[str, dict[str, Any]], root.fs.find(day, detail=True))
    for name, facts in listing.items():
        path = PurePosixPath(name).relative_to(root.path)
        hidden = any(part.startswith(".") for part in path.parts)
        if not hidden and _is_recording(path.name):
            yield FoundRecording(str(path), path.name, int(facts.get("size") or 0), _modified_at(facts))


def _modified_at(facts: Mapping[str, Any]) -> datetime | None:
    """Every file system names the time differently."""
    for key in ("LastModified", "last_modified", "mtime", "updated", "created"):
        match facts.get(key):
            case datetime() as when:
                return when.astimezone(UTC)
            case int() | float() as seconds:
                return datetime.fromtimestamp(seconds, UTC)
            case str() as text:
                return datetime.fromisoformat(text).astimezone(UTC)
            case _:
                continue
    return None
