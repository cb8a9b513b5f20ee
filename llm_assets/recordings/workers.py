"""Reading and preparing recordings in worker processes, from the event loop.

Whatever a recording does to its decoder stays with that recording: a crash, a hang or hunger for memory
ends a process, which is replaced, and is the reason why the recording is unreadable.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date
from types import TracebackType
from typing import Any, Self

from llm_assets.errors import ConfigurationError, RecordingForbidden, RecordingUnreadable
from llm_assets.recordings.fetch import AHEAD, Fetcher
from llm_assets.recordings.jobs import HalveJob, PrepareJob, ReadJob
from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.row import listed_row, require_printable, unreadable
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.spare_workers import SPARES
from llm_assets.recordings.worker_messages import Job
from llm_assets.recordings.worker_pool import TimedOut, WorkerDied, WorkerPool
from llm_assets.records import AudioChunk, Recording

DEFAULT_TIMEOUT_SECONDS = 120.0
DEFAULT_MEMORY_BYTES = 1 << 30
# Slower than any machine decodes or any network reads, so that a time-out means a hang.
_SLOWEST_SPEED = 20.0
_SLOWEST_BYTES_PER_SECOND = 500_000


class Preparers:
    """A bounded pool of worker processes, each started when there is work for it.

    `processes` is how many work at once, by default one for each core. `timeout_seconds` is for reading a
    small recording or making one chunk; large ones get more. `memory_bytes` is what decoding may take
    in one process, beyond what the process itself needs. With `keeps_workers`, those without work when it
    is left serve the next one that `takes_kept` and is entered within seconds, in whichever event loop.

        async with Preparers() as preparers:
            async for chunk in preparers.chunks(source, recording, ChunkLimits()):
                ...

    Belongs to the event loop in which it is entered. Leaving it ends the processes, whatever they are at,
    except those it keeps.
    """

    def __init__(
        self,
        *,
        processes: int | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        takes_kept: bool = False,
        keeps_workers: bool = False,
    ) -> None:
        processes = usable_cores() if processes is None else processes
        for name, value in {"processes": processes, "timeout_seconds": timeout_seconds}.items():
            if value <= 0:
                raise ConfigurationError(f"Preparers.{name} is {value}; it must be above 0")
        self._timeout_seconds = timeout_seconds
        takes_from = SPARES if takes_kept else None
        keeps_at = SPARES if keeps_workers else None
        self._pool = WorkerPool(processes, memory_bytes, takes_from, keeps_at)
        self._fetcher = Fetcher(processes + AHEAD)
        # Of its own: who asks for halves may hold, by the chunks it has yet to take, all of the others.
        self._halving = WorkerPool(1, memory_bytes, takes_from, keeps_at)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._pool.close()
        await self._halving.close()

    async def read(self, source: RecordingSource, found: FoundRecording, partition_date: date) -> Recording:
        """The row of one recording, see `read_recording`.

        Raises:
            RecordingUnsettled: it is still being written.
            RecordingForbidden: it may not be read. Whether that is a row depends on the others.
            MissingExtra, RecordingsUnavailable: the root itself cannot be used.
            WorkersUnavailable: no process can be started.
        """
        row = listed_row(found, partition_date)
        timeout_seconds = self._timeout_seconds + found.size_bytes / _SLOWEST_BYTES_PER_SECOND
        try:
            require_printable(found)
            async with self._fetcher.finished(source, found) as file:
                job = ReadJob(file, row, source.minimum_seconds)
                async for known in steadily(self._pool, job, timeout_seconds):
                    row = known
        except RecordingForbidden:
            raise
        except RecordingUnreadable as error:
            return unreadable(row, str(error))
        return row

    async def chunks(
        self, source: RecordingSource, recording: Recording, limits: ChunkLimits
    ) -> AsyncGenerator[AudioChunk]:
        """The recording's chunks in order, see `prepare_chunks`.

        Only one or two chunks are made before they are asked for, so who waits between two of them holds
        up a worker and nothing else. Close it (`contextlib.aclosing`) when leaving it early.

        Raises:
            RecordingUnreadable: it cannot be decoded, is gone, or is no longer the same.
            RecordingForbidden: it may not be read any more.
            MissingExtra, RecordingsUnavailable: the root itself cannot be used.
            WorkersUnavailable: no process can be started.
        """
        seconds = recording.duration_seconds or 0.0
        timeout_seconds = (
            self._timeout_seconds
            + seconds / _SLOWEST_SPEED
            + recording.size_bytes / _SLOWEST_BYTES_PER_SECOND
        )
        listening = Listening(
            channels=source.channels, longest_silence_seconds=source.longest_silence_seconds
        )
        async with self._fetcher.file(source, recording.path) as file:
            job = PrepareJob(file, recording, limits, listening)
            async with aclosing(steadily(self._pool, job, timeout_seconds)) as results:
                async for chunk in results:
                    yield chunk

    async def halved(self, chunk: AudioChunk) -> tuple[AudioChunk, AudioChunk]:
        """The chunk as two, cut at the quietest place near its middle.

        Never waits for somebody to take chunks, so it may be asked for between two of them.

        Raises:
            RecordingUnreadable: its audio cannot be decoded.
            WorkersUnavailable: no process can be started.
        """
        timeout_seconds = self._timeout_seconds + chunk.duration_seconds / _SLOWEST_SPEED
        results = steadily(self._halving, HalveJob(chunk), timeout_seconds)
        first, second = [half async for half in results]
        return first, second


async def steadily(pool: WorkerPool, job: Job, timeout_seconds: float) -> AsyncGenerator[Any]:
    """A job's results. One whose worker dies is done once more, as the death may not have been its fault:
    the system ends some process when memory is short. The same job has the same results, so what was handed
    on is passed over. One that hangs would hang again.
    """
    handed_on = 0
    for is_last in (False, True):
        number = 0
        try:
            async with aclosing(pool.results(job, timeout_seconds)) as results:
                async for result in results:
                    number += 1
                    if number > handed_on:
                        handed_on = number
                        yield result
            return
        except TimedOut as timeout:
            raise RecordingUnreadable(f"decoding it {timeout}") from timeout
        except WorkerDied as death:
            if is_last:
                raise RecordingUnreadable(f"decoding it broke the decoder: {death}") from death


def usable_cores() -> int:
    """Those this process may use, which in a container are fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells
        return os.cpu_count() or 1
