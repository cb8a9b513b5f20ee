"""Scenarios under quotas: how much of the quota a contender used, what was refused, what it lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from benchmarks.children import Child, ChildFailed, Server, child, redis_server, server, work_folder
from benchmarks.contenders.workload import Job
from benchmarks.environments import CONTENDERS, Contender
from benchmarks.scenarios import MODEL, Change, Scenario

# A contender stops itself at the deadline; one that does not is ended.
_PAST_DEADLINE_SECONDS = 60.0
_START_SECONDS = 120.0
_LOG = logging.getLogger(__name__)

# Called when a contender starts (without figures) and when it is done.
Tell = Callable[[Scenario, str, dict[str, Any] | None], None]


async def measure(
    scenarios: Iterable[Scenario], names: Collection[str], *, jobs: int, quick: bool, tell: Tell
) -> None:
    """One scenario after the other, at most `jobs` contenders at a time; teams of processes run alone."""

    async def one(scenario: Scenario, name: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            tell(scenario, name, None)
            tell(scenario, name, await measure_one(scenario, CONTENDERS[name], quick=quick))

    for scenario in scenarios:
        slots = asyncio.Semaphore(jobs if scenario.processes == 1 else 1)
        async with asyncio.TaskGroup() as group:
            for name in scenario.contenders:
                if name in names:
                    group.create_task(one(scenario, name, slots))


async def measure_one(scenario: Scenario, contender: Contender, *, quick: bool) -> dict[str, Any]:
    """One contender in one scenario, on a server of its own."""
    rows = scenario.quick_rows if quick else scenario.rows
    deadline = scenario.deadline_seconds(quick)
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(work_folder())
        emulator = await stack.enter_async_context(server(scenario.server_config(), folder))
        options = await _options(scenario, contender, folder, stack)
        jobs = [
            replace(_with_limits(job, scenario, contender), deadline_seconds=deadline, options=options)
            for job in _split(scenario, emulator.base_url, rows)
        ]
        reports = await _run(contender, jobs, folder, emulator, scenario.change_of(quick))
        audit = await emulator.audit()
    return _figures(rows, reports, audit) | {
        "processes": len(jobs),
        "expected_ideal_seconds": round(scenario.ideal_seconds(quick), 3),
        "deadline_seconds": round(deadline, 1),
    }


async def _options(
    scenario: Scenario, contender: Contender, folder: Path, stack: AsyncExitStack
) -> dict[str, Any]:
    options = dict(contender.options)
    if options.get("state") == "sqlite":
        options["state"] = str(folder / "state.sqlite")
        if scenario.shared == "redis":
            options["quota"] = await stack.enter_async_context(redis_server(folder))
    return options


def _split(scenario: Scenario, base_url: str, rows: int) -> list[Job]:
    each = rows // scenario.processes
    sizes = [each] * (scenario.processes - 1) + [rows - each * (scenario.processes - 1)]
    return [
        scenario.job(base_url, number * each, size, waits_for_go=True) for number, size in enumerate(sizes)
    ]


def _with_limits(job: Job, scenario: Scenario, contender: Contender) -> Job:
    """What the contender is told. Who cannot share limits between processes gives each its part of them."""
    processes = 1 if "state" in contender.options else scenario.processes

    def told(limit: int | None) -> int | None:
        return None if limit is None else int(limit * contender.told / processes)

    return replace(
        job,
        requests_per_minute=told(scenario.requests_per_minute),
        tokens_per_minute=told(scenario.tokens_per_minute),
    )


async def _run(
    contender: Contender, jobs: list[Job], folder: Path, emulator: Server, change: Change | None
) -> list[dict[str, Any] | None]:
    """The reports of all processes, which start together. None for one that died on the way."""
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(_started(contender, job, number, folder))
            for number, job in enumerate(jobs)
        ]
        for process in processes:
            await process.hear(_START_SECONDS)  # it says that it is ready
        for process in processes:
            await process.say("go")
        async with asyncio.TaskGroup() as group:
            changing = group.create_task(_change(emulator, change)) if change else None
            waiting = jobs[0].deadline_seconds + _PAST_DEADLINE_SECONDS
            hearing = [group.create_task(_hear(process, waiting)) for process in processes]
            reports = [await task for task in hearing]
            if changing is not None:
                changing.cancel()
        return reports


@asynccontextmanager
async def _started(contender: Contender, job: Job, number: int, folder: Path) -> AsyncGenerator[Child]:
    async with child(f"{contender.name}-{number}", contender.command, folder) as process:
        await process.say(json.dumps(asdict(job)))
        yield process


async def _hear(process: Child, waiting_seconds: float) -> dict[str, Any] | None:
    try:
        return await process.hear_json(waiting_seconds)
    except ChildFailed as error:
        _LOG.warning("%s", error)
        return None


async def _change(emulator: Server, change: Change) -> None:
    await asyncio.sleep(change.after_seconds)
    body = json.dumps({"model": MODEL, "requests_per_minute": change.requests_per_minute}).encode()
    direct = build_opener(ProxyHandler({}))  # whatever proxy this machine has, not for this server
    await asyncio.to_thread(direct.open, f"{emulator.root_url}/emulator/limits", body)


def _figures(rows: int, reports: list[dict[str, Any] | None], audit: dict[str, Any]) -> dict[str, Any]:
    """What the clients say of themselves and what the server counted.

    `share` is of the quota for what was let through, by the server's count: it says nothing of lost rows.
    """
    told = [report for report in reports if report is not None]
    answered = sum(report["answered"] for report in told)
    errors: Counter[str] = Counter()
    for report in told:
        errors.update(report["errors"])
    admission = audit["admission_seconds"]
    return {
        "rows": rows,
        "answered": answered,
        "lost": rows - answered,
        "errors": dict(errors),
        "timed_out": any(report["timed_out"] for report in told),
        "died": len(reports) - len(told),
        "refused": audit["refused"],
        "served": audit["served"],
        "served_twice": audit["served_twice"],
        "share": round(audit["ideal_seconds"] / admission, 4) if admission else None,
        "ideal_seconds": round(audit["ideal_seconds"], 3),
        "admission_seconds": round(admission, 3),
        "wall_seconds": max((report["wall_seconds"] for report in told), default=None),
        "cpu_seconds": round(sum(report["cpu_seconds"] for report in told), 3),
    }
