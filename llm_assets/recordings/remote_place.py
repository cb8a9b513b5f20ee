"""Any place that fsspec knows by a URL. Buckets that speak S3 have a listing of their own, see `s3_place`."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from llm_assets.errors import LLMAssetsError, RecordingForbidden, RecordingUnreadable
from llm_assets.recordings.outage import is_not_allowed, silent, unavailable, without_secrets
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.source import RecordingSource

# Stores whose objects appear as a whole or not at all.
_WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "r2", "memory"})


class RemotePlace:
    """See `Place`. Lists folder by folder, so what is held is one folder at a time."""

    def __init__(self, file_system: Any, root: str, source: RecordingSource) -> None:
        self._fs, self._root, self._source = file_system, root, source

    @property
    def shows_unfinished(self) -> bool:
        return self._source.root.partition("://")[0] not in _WHOLE_OBJECTS

    def exists(self) -> bool:
        try:
            return bool(self._fs.exists(self._root))
        except Exception as error:
            raise unavailable(self._source, said(error), error) from None

    def folders(self, prefix: str) -> Iterator[str]:
        for path, facts in self._entries(prefix):
            if facts["type"] == "directory":
                yield path.rpartition("/")[2]

    def files(self, prefix: str, is_deep: bool) -> Iterator[FoundRecording]:
        for path, facts in self._entries(prefix):
            if facts["type"] != "directory":
                name, size_bytes = path.rpartition("/")[2], int(facts.get("size") or 0)
                yield FoundRecording(path, name, size_bytes, modified_at(facts), version_of(facts))
            elif is_deep:
                yield from self.files(f"{path}/", is_deep)

    def present(self, paths: Sequence[str]) -> list[str]:
        try:
            return [path for path in paths if self._fs.exists(self._full(path))]
        except Exception as error:
            raise silent(self._source, said(error)) from None

    @contextmanager
    def fetched(self, path: str) -> Generator[Path]:
        if ".." in PurePosixPath(path).parts:
            raise RecordingUnreadable("its name leads outside the folder of the recordings")
        with tempfile.TemporaryDirectory(prefix="llm-assets-") as folder:
            target = Path(folder) / f"recording{PurePosixPath(path).suffix}"
            self._fetch(path, target)
            yield target

    def _fetch(self, path: str, target: Path) -> None:
        try:
            self._fs.get_file(self._full(path), str(target))
        except Exception as error:
            raise self._why_unread(error) from None

    def _why_unread(self, error: Exception) -> LLMAssetsError:
        """Whether it is about this recording, or about the place."""
        if isinstance(error, FileNotFoundError):
            return RecordingUnreadable("vanished between listing and reading")
        reason = f"cannot be read: {without_secrets(said(error), self._source)}"
        if is_not_allowed(error):
            return RecordingForbidden(reason)
        if isinstance(error, IsADirectoryError | ValueError):
            return RecordingUnreadable(reason)
        return silent(self._source, said(error))

    def _entries(self, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What is in the prefix's folder and begins with it, by path, without what is hidden."""
        above, _, start = prefix.rpartition("/")
        for facts in self._listed(self._full(above)):
            path = str(facts["name"]).rstrip("/").removeprefix(self._root).lstrip("/")
            name = path.rpartition("/")[2]
            if name.startswith(start) and not name.startswith(".") and path != above:
                yield path, facts

    def _listed(self, folder: str) -> list[dict[str, Any]]:
        try:
            self._fs.invalidate_cache()
            return sorted(self._fs.ls(folder, detail=True), key=lambda facts: str(facts["name"]))
        except FileNotFoundError:
            return []
        except Exception as error:  # a client has errors of its own that no built-in class covers
            raise unavailable(self._source, said(error), error) from None

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def modified_at(facts: Mapping[str, Any]) -> datetime | None:
    """Every file system names the time differently."""
    for key in ("LastModified", "last_modified", "mtime", "updated", "modified", "created"):
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


def version_of(facts: Mapping[str, Any]) -> str | None:
    """What changes whenever the content does, where a store tells it."""
    version = facts.get("ETag") or facts.get("etag") or facts.get("md5Hash")
    return str(version).strip('"') if version else None


def said(error: Exception) -> str:
    """What an error says of itself in its first line, or at least its name."""
    first = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return first or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
