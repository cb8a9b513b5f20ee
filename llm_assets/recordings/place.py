"""Where recordings lie: a local folder or any URL that fsspec knows.

Every file system raises its own kinds of errors, so they are put into our words here and nowhere else.
Paths are relative to the root, with forward slashes: rows do not carry a machine's paths.
"""

from __future__ import annotations

from pathlib import Path

from upath import UPath

from llm_assets.errors import MissingExtra, RecordingsUnavailable, RecordingUnreadable
from llm_assets.recordings.source import RecordingSource

VARIABLE = "LLM_ASSETS_RECORDINGS"
_EXTRAS = {"s3": "s3", "s3a": "s3"}


def open_root(source: RecordingSource) -> UPath:
    """The place that the source's root names, without looking whether it is there.

    Raises:
        MissingExtra: the URL needs a package that an extra of this package brings.
        RecordingsUnavailable: nothing installed understands the URL.
    """
    try:
        place = UPath(source.root, **source.storage_options)
        _ = place.fs  # the file system behind a URL is imported at its first use
    except ImportError as error:
        extra = _EXTRAS.get(source.root.partition("://")[0])
        if extra is None:
            raise unavailable(source, str(error)) from error
        raise MissingExtra(f"reading recordings from {source.place}", extra) from error
    except ValueError as error:
        raise unavailable(source, str(error)) from error
    return place


def unavailable(source: RecordingSource, reason: str) -> RecordingsUnavailable:
    return RecordingsUnavailable(
        f"The recordings at {source.place} cannot be listed: {reason}. "
        f"Set {VARIABLE} to the folder or URL that holds one folder per day (2026-03-02, …)."
    )


def local_folder(place: UPath) -> Path | None:
    """The folder on this machine, free of links, or None when the place is somewhere else."""
    if place.protocol not in ("", "file", "local"):
        return None
    return Path(place.path).expanduser().resolve()


def read_bytes(source: RecordingSource, path: str) -> bytes:
    """The content of one recording.

    Raises:
        RecordingUnreadable: it is gone, leads outside the root, is no file or cannot be read.
        MissingExtra, RecordingsUnavailable: the root itself cannot be used.
    """
    place = open_root(source)
    folder = local_folder(place)
    try:
        if folder is None:
            return place.joinpath(path).read_bytes()
        return _contained(folder, path).read_bytes()
    except FileNotFoundError as error:
        raise RecordingUnreadable("vanished between listing and reading") from error
    except RecordingUnreadable:
        raise
    except Exception as error:  # a bucket's client has errors of its own that no built-in class covers
        raise RecordingUnreadable(f"cannot be read: {error}") from error


def _contained(folder: Path, path: str) -> Path:
    target = folder.joinpath(path).resolve(strict=True)
    if not target.is_relative_to(folder):
        raise RecordingUnreadable("a link that leads outside the folder of the recordings")
    if not target.is_file():
        raise RecordingUnreadable("not a regular file")
    return target
