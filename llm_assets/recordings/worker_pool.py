"""Worker processes from the event loop's side: started when needed, given one job at a time, replaced.

Plain child processes, neither `multiprocessing` nor an executor: those import the caller's main module again
in every child, and one dead child of `ProcessPoolExecutor` breaks all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Protocol, Self

from llm_assets.errors import WorkersUnavailable
from llm_assets.recordings.worker_messages import LENGTH_BYTES, End, Job, Order, Result

# Else glibc keeps what the largest recording took for as long as the process lives.
_GIVES_MEMORY_BACK = {"MALLOC_MMAP_THRESHOLD_": "524288", "MALLOC_TRIM_THRESHOLD_": "1048576"}
_MODULE = "llm_assets.recordings.worker_process"
_START_SECONDS = 120.0
_REAP_SECONDS = 0.002
_LAST_MOMENTS_SECONDS = 5.0


class WorkerDied(Exception):
    """The process ended, or did not answer in time, while it was at a job; the message says how."""


class TimedOut(WorkerDied):
    """It did not answer in time."""


class Worker:
    """One process. After anything but a job's end it is at an unknown point and has to be killed.

    It outlives an event loop: between two jobs it can be detached, and attached in another loop.
    """

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self._process, self._socket = process, ours
        self._began, self._is_new = time.monotonic(), True
        self.start_seconds = 0.0
        self._to: asyncio.StreamWriter
        self._back: asyncio.StreamReader

    @classmethod
    def begin(cls, memory_bytes: int) -> Self:
        """Start one, and leave it to itself while it imports everything.

        Raises:
            WorkersUnavailable: the system starts none. That is no recording's fault.
        """
        try:
            return cls(*_started(memory_bytes))
        except OSError as error:
            raise _cannot_start(error) from error

    @classmethod
    async def start(cls, memory_bytes: int) -> Self:
        """Start one and wait until it has imported everything. Raises WorkersUnavailable."""
        return await cls.begin(memory_bytes).attached()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def attached(self) -> Self:
        """Speak to it from the running loop, through a socket of the loop's own, once it has come up.

        Raises:
            WorkersUnavailable: it does not come up.
        """
        try:
            self._back, self._to = await asyncio.open_connection(sock=self._socket.dup())
            if self._is_new:
                await self.receive(_START_SECONDS)
        except BaseException as error:
            await self.kill()
            raise (_cannot_start(error) if isinstance(error, WorkerDied) else error) from error
        if self._is_new:
            self._is_new, self.start_seconds = False, time.monotonic() - self._began
        return self

    def detach(self) -> None:
        """Leave the loop. Between jobs nothing is on its way in either direction."""
        self._to.close()

    async def send(self, order: Order) -> None:
        """Raises WorkerDied."""
        body = pickle.dumps(order, pickle.HIGHEST_PROTOCOL)
        try:
            self._to.write(len(body).to_bytes(LENGTH_BYTES) + body)
            await self._to.drain()
        except OSError as error:
            raise WorkerDied(await self._how_it_ended()) from error

    async def receive(self, timeout_seconds: float) -> Result | End:
        """Raises WorkerDied."""
        try:
            async with asyncio.timeout(timeout_seconds):
                length = int.from_bytes(await self._back.readexactly(LENGTH_BYTES))
                body = await self._back.readexactly(length)
            return pickle.loads(body)  # noqa: S301 - our own child wrote it
        except TimeoutError:
            raise TimedOut(f"took longer than {timeout_seconds:.0f} s") from None
        except Exception as error:  # an end in mid-sentence, or what is no sentence: its memory is damaged
            raise WorkerDied(await self._how_it_ended()) from error

    async def kill(self) -> None:
        self.end()
        await self._gone()

    def end(self) -> None:
        """Have it killed, from any thread, without waiting for it."""
        if self._process.poll() is None:
            self._process.kill()
        if hasattr(self, "_to") and not self._to.is_closing():
            self._to.close()
        self._socket.close()

    def wait(self) -> None:
        """Until a killed one is gone."""
        self._process.wait()

    async def _gone(self) -> None:
        # By asking: it may have been started by another loop, which would be told of its end.
        while self._process.poll() is None:  # noqa: ASYNC110
            await asyncio.sleep(_REAP_SECONDS)

    async def _how_it_ended(self) -> str:
        # What it said last comes a moment before its end, and killing it first would be taken for the reason.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_MOMENTS_SECONDS):
                await self._gone()
        await self.kill()
        code = self._process.returncode or 0
        if code >= 0:
            return f"the process ended with code {code}"
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"the process was ended by {name}"


class Spares(Protocol):
    """Where workers without work are kept from one pool to the next."""

    def take(self, memory_bytes: int) -> Worker | None: ...

    def keep(self, worker: Worker, memory_bytes: int) -> None: ...


class WorkerPool:
    """At most `processes` at work, and those that wait for work.

    At first one is started; another one when jobs have waited, all together, for as long as it took to start
    the last one (or `patience_seconds`), and as many at a time as there are already: a day of few and short
    recordings is done by one before a second one would be up. Those that `takes_from` has come first, and
    those that are well go to `keeps_at` instead of being ended.
    """

    def __init__(
        self,
        processes: int,
        memory_bytes: int,
        takes_from: Spares | None = None,
        keeps_at: Spares | None = None,
        *,
        patience_seconds: float | None = None,
    ) -> None:
        self._memory_bytes = memory_bytes
        self._places = asyncio.Semaphore(processes)
        self._takes_from, self._keeps_at = takes_from, keeps_at
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._starting = 0
        self._patience_seconds, self._patience_left = patience_seconds, 0.0
        self._changed = asyncio.Event()
        self._is_closed = False

    async def results(self, job: Job, timeout_seconds: float) -> AsyncGenerator[Any]:
        """A job's results one by one, with at most `timeout_seconds` for each.

        Left early, its worker is ended. Raises what the job raises, and WorkerDied.
        """
        async with self._places:
            worker = await self._taken()
            has_ended = False
            try:
                await worker.send(Order(job, timeout_seconds))
                while isinstance(message := await worker.receive(timeout_seconds), Result):
                    yield message.value
                has_ended = True
            except WorkerDied as death:
                if self._is_closed:
                    raise _closed() from death
                raise
            finally:
                await self._put_back(worker, is_idle=has_ended and not self._is_closed)
        if message.error is not None:
            raise message.error

    async def _taken(self) -> Worker:
        while not self._is_closed:
            if self._idle:
                return self._idle.pop()
            if spare := self._takes_from.take(self._memory_bytes) if self._takes_from else None:
                return await self._added(spare.attached())
            if self._starting < max(1, len(self._workers)) and (
                not self._workers or self._patience_left <= 0
            ):
                return await self._added(Worker.start(self._memory_bytes))
            await self._wait()
        raise _closed()

    async def _added(self, coming: Awaitable[Worker]) -> Worker:
        self._starting += 1
        try:
            worker = await coming
        finally:
            self._starting -= 1
            self._tell_who_waits()
        self._workers.add(worker)
        self._patience_left = (
            worker.start_seconds if self._patience_seconds is None else self._patience_seconds
        )
        if self._is_closed:
            await worker.kill()
            raise _closed()
        return worker

    async def _wait(self) -> None:
        """Until something changes, or patience ends. Who waits for the first worker knows of no work yet."""
        loop = asyncio.get_running_loop()
        began, is_counted = loop.time(), bool(self._workers) and not self._starting
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_left if is_counted else None):
                await self._changed.wait()
        if is_counted:
            self._patience_left -= loop.time() - began

    async def _put_back(self, worker: Worker, *, is_idle: bool) -> None:
        if is_idle:
            self._idle.append(worker)
        else:
            self._workers.discard(worker)
        self._tell_who_waits()
        if not is_idle:
            await worker.kill()

    def _tell_who_waits(self) -> None:
        self._changed.set()
        self._changed.clear()

    async def close(self) -> None:
        """End the processes at once, whatever they are at; or keep those that are at nothing."""
        self._is_closed = True
        self._tell_who_waits()
        if self._keeps_at is not None:
            for worker in self._idle:
                self._workers.discard(worker)
                worker.detach()
                self._keeps_at.keep(worker, self._memory_bytes)
        await asyncio.gather(*(worker.kill() for worker in self._workers))
        self._workers.clear()
        self._idle.clear()


def _started(memory_bytes: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, its = socket.socketpair()
    with its:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                (sys.executable, "-P", "-m", _MODULE, str(memory_bytes)),
                stdin=its.fileno(),
                stdout=its.fileno(),
                env=_surroundings(),
            )
        except BaseException:
            ours.close()
            raise
    return process, ours


def _surroundings() -> dict[str, str]:
    """The same packages as here, however they were found; the folder it starts in is kept off (-P).

    Numerical libraries would start a thread for each core, with much address space for each.
    """
    path = os.pathsep.join(filter(None, sys.path))
    fixed = {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return _GIVES_MEMORY_BACK | os.environ | fixed


def _cannot_start(reason: BaseException) -> WorkersUnavailable:
    return WorkersUnavailable(f"A process for decoding recordings cannot be started: {reason}.")


def _closed() -> WorkersUnavailable:
    return WorkersUnavailable("The processes for decoding recordings have been ended.")
