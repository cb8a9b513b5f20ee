"""Writers take turns: first come, first served, also among processes, and a dead one holds up nobody.

Whoever wants to write puts a ticket into a folder and holds a lock on it. The oldest ticket that is held
goes first. The lock file itself still decides, so two tickets drawn at the same instant do no harm.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from llm_assets.errors import WarehouseError, WarehouseLocked

_POLL_SECONDS = 0.002
_POLLS_UNTIL_SLOW = 50
_SLOW_POLL_SECONDS = 0.01


@contextmanager
def turn(path: str, timeout_seconds: float) -> Generator[None]:
    """Hold the right to write `path`. Raises WarehouseLocked after `timeout_seconds`, WarehouseError when
    its folder cannot be written."""
    deadline = time.monotonic() + timeout_seconds
    line = Path(f"{path}.lock.d")
    try:
        line.mkdir(parents=True, exist_ok=True)
        ticket = _draw(line)
    except OSError as error:
        raise WarehouseError(f"{path} cannot be written: {error}") from error
    try:
        _until(deadline, path, timeout_seconds, lambda: _is_first(line, ticket.name))
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _until(deadline, path, timeout_seconds, lambda: try_lock(lock))
            yield
        finally:
            os.close(lock)
    finally:
        ticket.leave()


class _Ticket:
    def __init__(self, file: Path, descriptor: int) -> None:
        self.name, self._file, self._descriptor = file.name, file, descriptor

    def leave(self) -> None:
        self._file.unlink(missing_ok=True)
        os.close(self._descriptor)


def _draw(line: Path) -> _Ticket:
    # Hidden until it is locked, or another process would take it for that of a dead one.
    draft = line / f".{uuid4().hex}"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try_lock(descriptor)
    file = line / f"{time.time_ns():020d}-{os.getpid()}-{uuid4().hex[:8]}"
    os.rename(draft, file)
    return _Ticket(file, descriptor)


def _is_first(line: Path, ticket: str) -> bool:
    for other in sorted(name for name in os.listdir(line) if not name.startswith(".")):
        if other >= ticket:
            return True
        if not _is_abandoned(line / other):
            return False
    return True


def _is_abandoned(ticket: Path) -> bool:
    """True when its process is gone; then the ticket is removed."""
    try:
        descriptor = os.open(ticket, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not try_lock(descriptor):
            return False
        ticket.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _until(deadline: float, path: str, timeout_seconds: float, ready: Callable[[], bool]) -> None:
    polls = 0
    while not ready():
        if time.monotonic() >= deadline:
            raise WarehouseLocked(
                f"{path} was being written by other runs for {timeout_seconds:g} s (they hold {path}.lock): "
                "run again when they are done"
            )
        polls += 1
        time.sleep(_POLL_SECONDS if polls < _POLLS_UNTIL_SLOW else _SLOW_POLL_SECONDS)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file if nobody is in the way; the operating system lets go of it with the process."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False
