"""Paying workers as the one who starts them sees them, and kills them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from decimal import Decimal

from benchmarks.children import ROOT
from benchmarks.paying_worker import Work
from benchmarks.witness import Record


@dataclass(frozen=True, slots=True)
class HandedOn:
    """An answer as a worker was handed it, from the model or from the journal."""

    key: str
    text: str
    cost_usd: Decimal
    from_journal: bool


class Worker:
    """A worker that runs or has run. `paid` are the answers that it did not find in the journal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.handed_on: list[HandedOn] = []
        self.paid: Record[HandedOn] = Record()
        self._process = process
        self._reading = asyncio.create_task(self._read())

    def kill(self) -> None:
        """End its whole process group at once. A worker that has ended by itself stays as it ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Wait for its end and for all that it wrote; the exit status, negative for a signal."""
        await asyncio.shield(self._reading)
        return await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            key, text, cost_usd, from_journal = json.loads(line)
            handed_on = HandedOn(key, text, Decimal(cost_usd), from_journal)
            self.handed_on.append(handed_on)
            if not from_journal:
                self.paid.add(handed_on)


@asynccontextmanager
async def paying(work: Work) -> AsyncGenerator[Worker]:
    """A worker in a process group of its own, which does not outlive the context."""
    command = [sys.executable, "-m", "benchmarks.paying_worker", json.dumps(asdict(work))]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    worker = Worker(process)
    try:
        yield worker
    finally:
        worker.kill()
        await worker.ended()
