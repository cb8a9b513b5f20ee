"""How much memory a process takes together with all that it started. Linux only: it is read off /proc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_EVERY_SECONDS = 0.2
_KB_PER_MB = 1024


@dataclass(slots=True)
class Peaks:
    """The most that was seen at one moment, in MB, and how many processes there were then.

    `mb` counts a file's pages once that several of them have mapped, whoever else on the machine has them
    too. `rss_mb` counts them for each process. `own_mb` is the first process alone, without pages of files.
    """

    mb: float = 0.0
    rss_mb: float = 0.0
    own_mb: float = 0.0
    processes: int = 0

    def see(self, pids: list[int]) -> None:
        sizes = [size for pid in pids if (size := _size(pid)) is not None]
        mapped: dict[str, int] = {}
        for size in sizes:
            for place, kb in size.mapped_kb.items():
                mapped[place] = max(mapped.get(place, 0), kb)
        own = [size.own_kb for size in sizes]
        mb = (sum(own) + sum(mapped.values())) / _KB_PER_MB
        rss_mb = (sum(own) + sum(sum(size.mapped_kb.values()) for size in sizes)) / _KB_PER_MB
        self.rss_mb = max(self.rss_mb, rss_mb)
        self.own_mb = max(self.own_mb, max(own[:1], default=0) / _KB_PER_MB)
        if mb > self.mb:
            self.mb, self.processes = mb, len(sizes)


@dataclass(slots=True)
class _Size:
    """Pages of a process alone, and those of files by what is mapped there."""

    own_kb: int = 0
    mapped_kb: dict[str, int] = field(default_factory=dict[str, int])


@asynccontextmanager
async def watched(pid: int) -> AsyncGenerator[Peaks]:
    """Look at the process and its descendants five times a second."""
    peaks = Peaks()

    async def look() -> None:
        while True:
            await asyncio.to_thread(lambda: peaks.see(_tree(pid)))
            await asyncio.sleep(_EVERY_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield peaks
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def _size(pid: int) -> _Size | None:
    """None when the process is gone."""
    size = _Size()
    try:
        for place, kb, anonymous_kb in _mappings(Path(f"/proc/{pid}/smaps").read_text()):
            size.own_kb += anonymous_kb
            if kb > anonymous_kb:
                size.mapped_kb[place] = size.mapped_kb.get(place, 0) + kb - anonymous_kb
    except OSError:
        return None
    return size


def _mappings(text: str) -> Iterator[tuple[str, int, int]]:
    """Each mapping's file and place in it, its resident pages, and those that are no file's."""
    place, kb = "", 0
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "Rss:":
            kb = int(rest.split()[0])
        elif name == "Anonymous:":
            yield place, kb, int(rest.split()[0])
        elif not name.endswith(":"):
            _, offset, device, inode, *_ = rest.split(None, 4)
            place = f"{device} {inode} {offset}"
