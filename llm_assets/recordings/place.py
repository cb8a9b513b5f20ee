"""Where recordings lie: a folder on this machine or any URL that fsspec knows, behind one small face.

Paths are relative to the root, with forward slashes: rows do not carry a machine's paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FoundRecording:
    """A recording as it was listed, or another file beside it. `path` is relative to the root.

    `modified_at` and `version` (what a store changes with the content) are None where they are not told.
    `is_astray` is a link that leads out of the root: reading it gives its row the reason.
    """

    path: str
    file_name: str
    size_bytes: int
    modified_at: datetime | None
    version: str | None = None
    is_astray: bool = False


class Place(Protocol):
    """What the two kinds of places have in common.

    Prefixes are what paths begin with, and need not end where a name does. Hidden files and folders are
    passed over. What cannot be listed raises RecordingsUnavailable.
    """

    @property
    def shows_unfinished(self) -> bool:
        """Whether a file can be seen here while it is being written."""
        ...

    def exists(self) -> bool:
        """Whether there is such a place at all."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of folders; the prefix is within its last name."""
        ...

    def files(self, prefix: str, is_deep: bool) -> Iterator[FoundRecording]:
        """The files, those in folders below too if `is_deep`."""
        ...

    def present(self, paths: Sequence[str]) -> list[str]:
        """Those of the files that are there. They begin alike, as the name of one recording does."""
        ...

    def fetched(self, path: str) -> AbstractContextManager[Path]:
        """The file on this machine, as long as the context lasts. Reads what is remote exactly once.

        Raises:
            RecordingUnreadable: it is gone, leads outside the root, is no file or cannot be read.
            RecordingsUnavailable: the place itself does not answer.
        """
        ...


def is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path).parts)
