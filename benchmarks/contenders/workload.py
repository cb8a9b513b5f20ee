"""What every contender is asked to do, and how it tells what became of it. Standard library only, since it
is imported into the environment of each of them.

A script reads one job as a line of JSON from standard input and prints one line of JSON when it is done.
Whatever a library prints meanwhile goes to standard error.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

API_KEY = "benchmark"
MAX_OUTPUT_TOKENS = 16
CHARACTERS_PER_TOKEN = 4
_PADDING = "they said that the parcel came late and that nobody called them back about it "


@dataclass(frozen=True, slots=True)
class Sizes:
    """Log-normal sizes in tokens, cut at both ends."""

    median: float
    sigma: float
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Row:
    """One request. `tokens` is what it is charged at admission, which everybody can compute: the larger of
    its output limit and a quarter of its characters."""

    number: int
    text: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Rows `first_row` to `first_row + rows` of the workload `seed`, and what is known about the server.

    `concurrency` is the most that may be in flight. `mean_latency_seconds` is for those who have nothing but
    concurrency to limit themselves with. `warm_up` rows come first and are not measured.
    """

    base_url: str
    model: str
    rows: int
    first_row: int = 0
    seed: str = "benchmark"
    sizes: Sizes | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int = 256
    mean_latency_seconds: float = 0.0
    deadline_seconds: float = 3600.0
    warm_up: int = 0
    waits_for_go: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, line: str) -> Job:
        given: dict[str, Any] = json.loads(line)
        if given.get("sizes"):
            given["sizes"] = Sizes(**given["sizes"])
        return cls(**given)


def make_rows(job: Job) -> Iterator[Row]:
    """The rows to measure: the same for every contender, each with a text of its own."""
    return (_row(job, number) for number in range(job.first_row, job.first_row + job.rows))


def make_warm_up(job: Job) -> Iterator[Row]:
    return (_row(job, -1 - number) for number in range(job.warm_up))


def _row(job: Job, number: int) -> Row:
    text = f"Call {number} of {job.seed}: {_PADDING}"
    if job.sizes is not None:
        length = _size(job, number) * CHARACTERS_PER_TOKEN
        text = (text + _PADDING * (length // len(_PADDING) + 1))[:length]
    return Row(number, text, max(MAX_OUTPUT_TOKENS, -(-len(text) // CHARACTERS_PER_TOKEN)))


def _size(job: Job, number: int) -> int:
    assert job.sizes is not None
    drawn = job.sizes.median * random.Random(f"{job.seed}:{number}").lognormvariate(0.0, job.sizes.sigma)
    return round(min(max(drawn, job.sizes.least), job.sizes.most))


class Outcomes:
    """What became of the rows, and what it took from the first row's start to the last row's outcome."""

    def __init__(self) -> None:
        self.answered = 0
        self.errors: Counter[str] = Counter()
        self.measured: dict[str, Any] = {}

    def failed(self, error: object) -> None:
        self.errors[type(error).__name__ if isinstance(error, BaseException) else str(error)] += 1

    @asynccontextmanager
    async def measure(self, job: Job) -> AsyncGenerator[None]:
        """Around the measured work. At the deadline the work is cancelled; what is missing then is lost."""
        if job.waits_for_go:
            print("ready", file=sys.__stdout__, flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        timed_out = False
        rss_before, wall, cpu = _peak_rss_mb(), time.perf_counter(), time.process_time()
        try:
            async with asyncio.timeout(job.deadline_seconds):
                yield
        except TimeoutError:
            timed_out = True
        finally:
            self.measured = {
                "cpu_seconds": round(time.process_time() - cpu, 4),
                "wall_seconds": round(time.perf_counter() - wall, 4),
                "rss_before_mb": round(rss_before, 1),
                "peak_rss_mb": round(_peak_rss_mb(), 1),
                "timed_out": timed_out,
            }

    async def ask_all(self, rows: Iterator[Row], ask: Callable[[Row], Awaitable[object]]) -> None:
        """A task for every row, as `asyncio.gather` invites to; `ask` holds back what must wait."""

        async def one(row: Row) -> None:
            try:
                await ask(row)
            except Exception as error:  # whatever a library raises, the row is lost
                self.failed(error)
            else:
                self.answered += 1

        await asyncio.gather(*map(one, rows))

    def report(self, job: Job) -> dict[str, Any]:
        lost = job.rows - self.answered
        return {"answered": self.answered, "lost": lost, "errors": dict(self.errors), **self.measured}


def _loop_factory(job: Job) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The option `loop` is `uvloop`, or it is asyncio's own."""
    if job.options.get("loop") != "uvloop":
        return None
    import uvloop  # only where it is asked for

    return uvloop.new_event_loop


def _peak_rss_mb() -> float:
    # Linux hands the parent's peak down in ru_maxrss; VmHWM is this program's own.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)


async def warm(job: Job, ask: Callable[[Row], Awaitable[object]]) -> None:
    """Connections are open and code is warm before anything is measured."""
    await Outcomes().ask_all(make_warm_up(job), ask)


def run(work: Callable[[Job, Outcomes], Coroutine[Any, Any, None]]) -> None:
    """The whole life of a contender's script."""
    job, outcomes = Job.read(sys.stdin.readline()), Outcomes()
    with redirect_stdout(sys.stderr), asyncio.Runner(loop_factory=_loop_factory(job)) as runner:
        runner.run(work(job, outcomes))
    print(json.dumps(outcomes.report(job)), flush=True)
