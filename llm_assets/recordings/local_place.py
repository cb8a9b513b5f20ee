"""A folder on this machine. Links are followed within it and never out of it."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from llm_assets.errors import RecordingsUnavailable, RecordingUnreadable
from llm_assets.recordings.outage import locked, unavailable
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.source import RecordingSource


class LocalPlace:
    """See `Place`."""

    shows_unfinished = True

    def __init__(self, root: Path, source: RecordingSource) -> None:
        self._named, self._source = root, source

    @cached_property
    def _root(self) -> Path:
        """What it is called without links. Not looked up for who only asks what kind of place this is."""
        return self._named.resolve()

    def exists(self) -> bool:
        return self._root.is_dir()

    def folders(self, prefix: str) -> Iterator[str]:
        above, _, start = prefix.rpartition("/")
        try:
            folder = self._within(above)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name) if folder else []
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        except OSError as error:
            raise self._unlisted(error) from error
        yield from (name for name in names if name.startswith(start))

    def files(self, prefix: str, is_deep: bool) -> Iterator[FoundRecording]:
        above, _, start = prefix.rpartition("/")
        try:
            folder = self._within(above)
            walked = _walked(folder, self._root, start, is_deep) if folder else iter(())
            for file, is_astray in walked:
                yield _listed(file, self._root, is_astray)
        except OSError as error:
            raise self._unlisted(error) from error

    def present(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if os.path.isfile(os.path.join(self._named, path))]

    @contextmanager
    def fetched(self, path: str) -> Generator[Path]:
        try:
            target = self._root.joinpath(path).resolve(strict=True)
            if not target.is_relative_to(self._root):
                raise RecordingUnreadable("a link that leads outside the folder of the recordings")
            if not target.is_file():
                raise RecordingUnreadable("not a regular file")
        except FileNotFoundError as error:
            is_link = self._root.joinpath(path).is_symlink()
            reason = "a link to nowhere" if is_link else "vanished between listing and reading"
            raise RecordingUnreadable(reason) from error
        except OSError as error:
            raise RecordingUnreadable(f"cannot be read: {error.strerror or error}") from error
        yield target

    def _unlisted(self, error: OSError) -> RecordingsUnavailable:
        if isinstance(error, PermissionError) and error.filename is not None:
            return locked(self._source, _first_locked(Path(os.fsdecode(error.filename))), error)
        return unavailable(self._source, str(error), error)

    def _within(self, path: str) -> Path | None:
        """The folder of this path, as named and not as linked; None if there is none."""
        folder = self._root / path
        if not folder.is_dir():
            return None
        if not folder.resolve().is_relative_to(self._root):
            raise OSError(f"{folder} is a link that leads outside the folder of the recordings")
        return folder


def _walked(top: Path, root: Path, start: str, is_deep: bool) -> Iterator[tuple[Path, bool]]:
    """Files, and with True links to folders outside the root. At the top only what begins with `start`."""
    seen = {top.resolve()}
    for name, folders, files in os.walk(top, followlinks=True, onerror=_raise):
        here = Path(name)
        start_here = start if here == top else ""
        yield from ((here / file, False) for file in files if _is_wanted(file, start_here))
        for folder in list(folders):
            target = (here / folder).resolve()
            if not _is_wanted(folder, start_here) or target in seen:
                folders.remove(folder)
            elif not target.is_relative_to(root):
                folders.remove(folder)
                yield here / folder, True
            seen.add(target)
        if not is_deep:
            return


def _first_locked(path: Path) -> Path:
    """On the way to what may not be listed the folder that keeps us out: it may lie above."""
    by_effective_user = os.access in os.supports_effective_ids
    for folder in (*reversed(path.parents), path):
        if not os.access(folder, os.R_OK | os.X_OK, effective_ids=by_effective_user):
            return folder
    return path


def _is_wanted(name: str, start: str) -> bool:
    return name.startswith(start) and not name.startswith(".")


def _raise(error: OSError) -> None:
    """`os.walk` passes over what it cannot list, and its recordings with it."""
    raise error


def _listed(file: Path, root: Path, is_astray: bool) -> FoundRecording:
    try:
        facts = file.stat()
    except OSError:  # gone meanwhile, or a link to nothing: reading it gives the row its reason
        facts = file.lstat() if file.is_symlink() else None
    return FoundRecording(
        path=file.relative_to(root).as_posix(),
        file_name=file.name,
        size_bytes=facts.st_size if facts else 0,
        modified_at=datetime.fromtimestamp(facts.st_mtime, UTC) if facts else None,
        is_astray=is_astray,
    )
