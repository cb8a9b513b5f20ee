"""Workers that crash, hang, eat memory or lose their parent: the run notices no more than a row."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hostile_jobs import Crash, CrashOnce, CrashSlowly, EatMemory, Hang, NoteAndSay, Raise, Say
from made_audio import FLAC, OPUS, encoded, put, talk

from llm_assets.errors import (
    ConfigurationError,
    MissingExtra,
    RecordingsUnavailable,
    RecordingUnreadable,
    WorkersUnavailable,
)
from llm_assets.recordings.find import FoundRecording, find_recordings
from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.worker_pool import WorkerPool
from llm_assets.recordings.workers import Preparers, steadily
from llm_assets.records import RowStatus

DAY = date(2026, 3, 2)
SHORT = ChunkLimits(max_seconds=9, target_seconds=6, window_seconds=3)
CALL, _ = talk([(1.7, 0.5), (2.1, 0.4), (1.2, 0.6), (2.4, 0.5)] * 2)
AMPLE_SECONDS = 120.0


def source_of(root: Path) -> RecordingSource:
    return RecordingSource(root=str(root))


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(2, 1 << 29)
    yield pool
    await pool.close()


async def results(pool: WorkerPool, job: Any, timeout_seconds: float = AMPLE_SECONDS) -> list[Any]:
    return [result async for result in steadily(pool, job, timeout_seconds)]


def is_alive(process_id: int) -> bool:
    """Zombies, which nobody may be there to reap, are not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - other processes and tasks have no event to wait for
        await asyncio.sleep(0.05)


async def test_a_crash_ends_one_job_and_no_other(pool: WorkerPool) -> None:
    """A segmentation fault is an error with the signal's name; the next job has a new process."""
    [(_, before, _)] = await results(pool, Say())
    with pytest.raises(RecordingUnreadable, match="SIGSEGV"):
        await results(pool, Crash())
    [(_, after, _)] = await results(pool, Say())
    assert after != before
    assert not is_alive(before)


async def test_the_reason_is_how_it_ended_and_not_how_it_was_cleared_away(pool: WorkerPool) -> None:
    """What is heard last may come before the process has ended: it is waited for."""
    with pytest.raises(RecordingUnreadable, match="SIGSEGV"):
        await results(pool, CrashSlowly())


async def test_a_crash_leaves_the_neighbours_alone(pool: WorkerPool) -> None:
    """Jobs beside the one that crashes give all of their results."""
    outcomes = await asyncio.gather(
        *(results(pool, Crash(1) if number % 3 == 0 else Say(5, 200_000)) for number in range(9)),
        return_exceptions=True,
    )
    for number, outcome in enumerate(outcomes):
        if number % 3 == 0:
            assert isinstance(outcome, RecordingUnreadable)
        else:
            assert isinstance(outcome, list)
            assert len(outcome) == 5


async def test_a_death_that_does_not_repeat_is_not_noticed(pool: WorkerPool, tmp_path: Path) -> None:
    """Killed half way through a job, it is done again and every result comes once."""
    assert await results(pool, CrashOnce(tmp_path / "crashed")) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("in_c", [True, False], ids=["in C with the lock held", "in Python"])
async def test_a_hang_ends_at_its_time_out(pool: WorkerPool, in_c: bool) -> None:
    """A process that does not answer in time is killed, and the reason tells the time-out."""
    await results(pool, Say())  # its start is not what the time-out is for
    seen: list[int] = []

    async def hang() -> None:
        async for process_id in steadily(pool, Hang(in_c), 2):
            seen.append(process_id)

    with pytest.raises(RecordingUnreadable, match="took longer than 2 s"):
        await hang()
    await until(lambda: not is_alive(seen[0]))
    assert len(await results(pool, Say())) == 1


async def test_who_waits_between_results_is_not_timed(pool: WorkerPool) -> None:
    """The time-out is for making a result, not for taking it: calls may wait an hour for their quota."""
    await results(pool, Say())
    numbers: list[int] = []
    async for number, _, _ in steadily(pool, Say(4, 1_000_000), 2):
        numbers.append(number)
        await asyncio.sleep(0.8)
    assert numbers == [0, 1, 2, 3]


async def test_hunger_for_memory_ends_one_job() -> None:
    """A job that would eat all memory is stopped at the bound."""
    pool = WorkerPool(1, 1 << 28)
    with pytest.raises(RecordingUnreadable, match="needs more memory"):
        await results(pool, EatMemory())
    assert len(await results(pool, Say())) == 1
    await pool.close()


async def test_a_worker_makes_one_result_ahead(pool: WorkerPool, tmp_path: Path) -> None:
    """Results that nobody takes are not made: there is no pile of chunks in memory."""
    notes = tmp_path / "notes"
    async with aclosing(steadily(pool, NoteAndSay(notes, 20, 1_000_000), AMPLE_SECONDS)) as made:
        await anext(made)
        await anext(made)
        await asyncio.sleep(0.5)
        assert len(notes.read_text().splitlines()) <= 4


async def test_left_early_a_worker_is_ended(pool: WorkerPool) -> None:
    """Who stops taking results gives the place back at once."""
    async with aclosing(steadily(pool, Say(1000, 100_000), AMPLE_SECONDS)) as made:
        _, process_id, _ = await anext(made)
    assert not is_alive(process_id)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (RecordingUnreadable("no audio track"), RecordingUnreadable),
        (RecordingsUnavailable("no bucket"), RecordingsUnavailable),
        (MissingExtra("reading recordings", "s3"), MissingExtra),
        (ValueError("odd"), RecordingUnreadable),
    ],
)
async def test_errors_come_across(pool: WorkerPool, raised: Exception, told: type[Exception]) -> None:
    """Our errors come as they are; any other is what a recording does, named, and the worker lives on."""
    [(_, before, _)] = await results(pool, Say())
    with pytest.raises(told, match=str(raised).split()[0]):
        await results(pool, Raise(raised))
    [(_, after, _)] = await results(pool, Say())
    assert after == before


async def test_as_many_workers_as_there_is_work() -> None:
    """They start when needed, never more than allowed, and serve again."""
    pool = WorkerPool(2, 1 << 29, patience_seconds=0)
    one_by_one = {(await results(pool, Say()))[0][1] for _ in range(3)}
    assert len(one_by_one) == 1
    many = await asyncio.gather(*(results(pool, Say(3, 100_000)) for _ in range(8)))
    assert len({process_id for outcome in many for _, process_id, _ in outcome}) == 2
    await pool.close()


async def test_a_little_work_is_done_by_one_worker() -> None:
    """To start another one would take longer than all of it."""
    pool = WorkerPool(2, 1 << 29, patience_seconds=AMPLE_SECONDS)
    many = await asyncio.gather(*(results(pool, Say(3, 100_000)) for _ in range(20)))
    assert len({process_id for outcome in many for _, process_id, _ in outcome}) == 1
    await pool.close()


async def test_who_has_waited_long_enough_gets_another_worker() -> None:
    """A long job holds up nobody but its own worker."""
    pool = WorkerPool(2, 1 << 29)
    hanging = pool.results(Hang(), AMPLE_SECONDS)
    await anext(hanging)
    assert await results(pool, Say())
    await pool.close()
    await hanging.aclose()


async def test_closing_ends_whatever_is_under_way() -> None:
    """Workers that hang are gone in a moment; who waited for them hears why."""
    pool = WorkerPool(2, 1 << 29)
    started: list[int] = []

    async def hang() -> None:
        async for process_id in steadily(pool, Hang(), AMPLE_SECONDS):
            started.append(process_id)

    waiting = [asyncio.ensure_future(hang()) for _ in range(2)]
    await until(lambda: len(started) == 2)
    before = time.monotonic()
    await pool.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert time.monotonic() - before < AMPLE_SECONDS / 4
    assert all(isinstance(outcome, WorkersUnavailable) for outcome in outcomes)
    assert not any(is_alive(process_id) for process_id in started)
    with pytest.raises(WorkersUnavailable):
        await results(pool, Say())


async def test_cancelling_ends_the_worker(pool: WorkerPool) -> None:
    """A cancelled task leaves no process at its job."""
    started: list[int] = []

    async def hang() -> None:
        async for process_id in steadily(pool, Hang(), AMPLE_SECONDS):
            started.append(process_id)

    task = asyncio.ensure_future(hang())
    await until(lambda: started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(started[0])


@pytest.mark.parametrize("job", ["Hang(False)", "Say(1000, 1_000_000)"])
def test_no_orphans(job: str) -> None:
    """Killed without warning, the parent takes its workers along, at a job or waiting to be heard."""
    script = f"""
        import asyncio
        from hostile_jobs import *
        from llm_assets.recordings.worker_pool import WorkerPool

        async def main():
            pool = WorkerPool(1, 1 << 29)
            async for result in pool.results({job}, 600):
                print(result if isinstance(result, int) else result[1], flush=True)
                await asyncio.sleep(0.3)
                if not isinstance(result, int):
                    await asyncio.sleep(600)

        asyncio.run(main())
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker)


async def test_ctrl_c_is_for_the_parent(pool: WorkerPool) -> None:
    """A terminal sends Ctrl-C to workers as well; it does not end them at their job."""
    async with aclosing(steadily(pool, Say(3, 300_000), AMPLE_SECONDS)) as made:
        _, process_id, _ = await anext(made)
        os.kill(process_id, signal.SIGINT)
        assert [number async for number, _, _ in made] == [1, 2]


@pytest.mark.parametrize("program", ["/bin/false", "/no/such/python"])
async def test_a_process_that_cannot_start_is_no_recordings_fault(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """Where the machine has no Python to run, the run fails; nothing becomes unreadable."""
    monkeypatch.setattr(sys, "executable", program)
    pool = WorkerPool(1, 1 << 29)
    with pytest.raises(WorkersUnavailable, match="cannot be started"):
        await results(pool, Say())


async def test_reading_is_the_same_as_in_this_process(tmp_path: Path) -> None:
    """Rows from a worker are the rows of `read_recording`, the unreadable ones too."""
    put(tmp_path, "2026-03-02/a.ogg", encoded(CALL, OPUS))
    put(tmp_path, "2026-03-02/b.mp3", b"not audio " * 100)
    found = find_recordings(source_of(tmp_path), DAY)
    async with Preparers() as preparers:
        rows = await asyncio.gather(*(preparers.read(source_of(tmp_path), each, DAY) for each in found))
    assert rows == [read_recording(source_of(tmp_path), each, DAY) for each in found]
    assert [row.status for row in rows] == [RowStatus.OK, RowStatus.UNREADABLE]


async def test_a_reader_that_hangs_is_a_row(tmp_path: Path) -> None:
    """Also a recording that hangs its reader comes out as a row."""
    content = encoded(CALL, OPUS)
    put(tmp_path, "2026-03-02/a.ogg", content)
    [found] = find_recordings(source_of(tmp_path), DAY)
    async with Preparers(timeout_seconds=1e-9) as preparers:
        row = await preparers.read(source_of(tmp_path), FoundRecording(found.path, "a.ogg", 0, None), DAY)
    assert row.status is RowStatus.UNREADABLE
    assert "took longer" in (row.error or "")


async def test_chunks_are_the_same_as_in_this_process(tmp_path: Path) -> None:
    """Chunks from a worker are those of `prepare_chunks`, and halves go on from there, also between two."""
    content = encoded(CALL, FLAC)
    put(tmp_path, "2026-03-02/a.flac", content)
    [found] = find_recordings(source_of(tmp_path), DAY)
    async with Preparers(processes=1) as preparers:
        row = await preparers.read(source_of(tmp_path), found, DAY)
        chunks = []
        async for chunk in preparers.chunks(source_of(tmp_path), row, SHORT):
            first, second = await preparers.halved(chunk)
            assert first.end_seconds == second.start_seconds
            chunks.append(chunk)
    assert chunks == list(prepare_chunks(content, row, SHORT))
    assert len(chunks) > 2


async def test_a_recording_that_is_gone_says_so(tmp_path: Path) -> None:
    """Its chunks are an error that is the recording's own."""
    put(tmp_path, "2026-03-02/a.flac", encoded(CALL, FLAC))
    [found] = find_recordings(source_of(tmp_path), DAY)
    async with Preparers() as preparers:
        row = await preparers.read(source_of(tmp_path), found, DAY)
        (tmp_path / found.path).unlink()
        with pytest.raises(RecordingUnreadable, match="vanished"):
            [chunk async for chunk in preparers.chunks(source_of(tmp_path), row, SHORT)]


@pytest.mark.parametrize("wrong", [{"processes": 0}, {"timeout_seconds": 0}], ids=str)
def test_pools_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    """No processes, or no time, is said when it is set."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Preparers(**wrong)
