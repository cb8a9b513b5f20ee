"""How much memory a process takes together with all that it started. Linux only: it is read off /proc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_EVERY_SECONDS = 0.2


@dataclass(slots=True)
class Peaks:
    """The most that was seen at one moment, in MB, and how many processes there were then.

    `pss_mb` counts a page that several processes share once; `rss_mb` counts it for each of them.
    """

    pss_mb: float = 0.0
    rss_mb: float = 0.0
    processes: int = 0

    def see(self, pids: list[int]) -> None:
        sizes = [size for pid in pids if (size := _sizes(pid)) is not None]
        pss, rss = (sum(size[which] for size in sizes) / 1024 for which in (0, 1))
        self.rss_mb = max(self.rss_mb, rss)
        if pss > self.pss_mb:
            self.pss_mb, self.processes = pss, len(sizes)


@asynccontextmanager
async def watched(pid: int) -> AsyncGenerator[Peaks]:
    """Look at the process and its descendants five times a second."""
    peaks = Peaks()

    async def look() -> None:
        while True:
            peaks.see(await asyncio.to_thread(_tree, pid))
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


def _sizes(pid: int) -> tuple[int, int] | None:
    """PSS and RSS in KB; None when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return values.get("Pss", 0), values.get("Rss", 0)
