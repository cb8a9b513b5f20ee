"""Published snapshots of a DuckDB file: replaced by renaming, kept for as long as somebody reads them.

The file at the path people know is small: views over Parquet files. A writer never changes it. It changes
a copy, and renames that over the path, so a reader has the old file or the new one, and no reader ever
stands in a writer's way. Every snapshot also stays in a numbered folder, by which it is found again to see
whether it is still being read.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llm_assets.warehouse.turns import try_lock

# Between finding the path of a snapshot and locking it, a reader of another program cannot be seen.
_GRACE_SECONDS = 10.0
_LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One published state of the file, under its number."""

    number: int
    file: Path


class Snapshots:
    """The snapshots of the DuckDB file at `path`, numbered in the order they were published."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder

    def current(self) -> Snapshot | None:
        """The one at the path, None when that file is not one of ours."""
        for snapshot in reversed(self._all()):
            with suppress(FileNotFoundError):
                if snapshot.file.samefile(self._path):
                    return snapshot
        return None

    @contextmanager
    def draft(self) -> Generator[Snapshot]:
        """The next snapshot, to be changed: a copy of the current one. Leaving normally publishes it.

        Only for whoever has the turn to write.
        """
        current = self.current()
        number = max([snapshot.number for snapshot in self._all()], default=0) + 1
        place = self._folder / f"{number:08d}"
        place.mkdir(parents=True)
        try:
            snapshot = Snapshot(number, place / self._path.name)
            (place / _LEASE).touch()
            if current or self._path.exists():
                shutil.copyfile(current.file if current else self._path, snapshot.file)
            yield snapshot
            self._publish(snapshot)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _publish(self, snapshot: Snapshot) -> None:
        link = self._path.with_name(f"{self._path.name}.new")
        link.unlink(missing_ok=True)
        try:
            os.link(snapshot.file, link)
        except OSError:  # a file system without links: the path's file is then a copy nobody can look after
            shutil.copyfile(snapshot.file, link)
        # What a program wrote into the old file and had not finished is not to be replayed on the new one.
        self._path.with_name(f"{self._path.name}.wal").unlink(missing_ok=True)
        os.replace(link, self._path)
        _sync_folder(self._path.parent)

    def lease(self) -> tuple[Snapshot, int] | None:
        """The current snapshot, kept until the descriptor that comes with it is closed."""
        while snapshot := self.current():
            with suppress(FileNotFoundError):
                descriptor = os.open(snapshot.file.parent / _LEASE, os.O_RDONLY)
                # Not there any more, or just being removed: a newer one has taken its place.
                if try_lock(descriptor, shared=True) and snapshot.file.exists():
                    return snapshot, descriptor
                os.close(descriptor)
        return None

    def clean(self) -> int:
        """Remove old snapshots that nobody reads. The number of the oldest one left, 0 for none."""
        current = self.current()
        if current is None:
            return 0
        left = [snapshot for snapshot in self._all() if snapshot == current or not self._removed(snapshot)]
        return min(snapshot.number for snapshot in left)

    def _removed(self, snapshot: Snapshot) -> bool:
        place = snapshot.file.parent
        with suppress(FileNotFoundError):
            if time.time() - (place / _LEASE).stat().st_mtime < _GRACE_SECONDS or _is_read(snapshot):
                return False
        shutil.rmtree(place, ignore_errors=True)
        return True

    def _all(self) -> list[Snapshot]:
        with suppress(FileNotFoundError):
            numbers = sorted(int(name) for name in os.listdir(self._folder) if name.isdigit())
            return [Snapshot(n, self._folder / f"{n:08d}" / self._path.name) for n in numbers]
        return []


def _is_read(snapshot: Snapshot) -> bool:
    """Our own readers hold a lease; any other program holds the lock that DuckDB puts on the file."""
    return not _free(snapshot.file.parent / _LEASE, try_lock) or not _free(snapshot.file, _try_record_lock)


def _free(file: Path, lock: Callable[[int], bool]) -> bool:
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        return lock(descriptor)
    finally:
        os.close(descriptor)


def _try_record_lock(descriptor: int) -> bool:
    with suppress(OSError):
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
