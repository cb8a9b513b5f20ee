"""A backfill of many days against one of assets that do nothing: what the pipeline adds to Dagster.

Both materialize three assets in a row, a week a run, each run a process that loads its definitions, in an
instance of their own: ours with short recordings that differ, each transcribed by the emulator without
latency or limits (what it hears is the same, so a run asks for insights once). The two take turns, so that
a slow minute of the machine meets both.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.backfill_run import DAYS_PER_RUN, START
from benchmarks.children import COMPILED_ONCE, server, work_folder

_DAYS, _QUICK_DAYS = 365, 28
_RECORDINGS = 10
_SAID = "Good morning, I would like to know where my parcel is."

Tell = Callable[[date, float], None]


@dataclass(slots=True)
class Spent:
    """Time of processes: by the clock, and of the CPU with all of their own children."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


async def measure(*, quick: bool, days: int | None = None, tell: Tell) -> dict[str, Any]:
    """`ratio` is by the clock, `cpu_ratio` of CPU time without the emulator's, which is another process."""
    days = days or (_QUICK_DAYS if quick else _DAYS)
    ours, nothing = Spent(), Spent()
    async with work_folder() as folder, server({"fixed_transcript": _SAID}, folder) as emulator:
        await asyncio.to_thread(_record, folder / "calls", days)
        for kind in ("ours", "nothing"):
            (folder / kind).mkdir()
            (folder / kind / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        for first in range(0, days, DAYS_PER_RUN):
            span = _day(first), _day(min(first + DAYS_PER_RUN, days) - 1)
            for kind, spent in {"ours": ours, "nothing": nothing}.items():
                await _run(kind, folder, emulator.base_url, span, spent)
            tell(span[1], ours.wall_seconds / nothing.wall_seconds)
        audit = await emulator.audit()
    return {
        "days": days,
        "recordings": days * _RECORDINGS,
        "calls": audit["served"],
        "seconds": round(ours.wall_seconds, 1),
        "seconds_of_doing_nothing": round(nothing.wall_seconds, 1),
        "cpu_seconds": round(ours.cpu_seconds, 1),
        "cpu_seconds_of_doing_nothing": round(nothing.cpu_seconds, 1),
        "ratio": round(ours.wall_seconds / nothing.wall_seconds, 3),
        "cpu_ratio": round(ours.cpu_seconds / nothing.cpu_seconds, 3),
    }


async def _run(kind: str, folder: Path, base_url: str, span: tuple[date, date], spent: Spent) -> None:
    started, cpu = time.monotonic(), _children_cpu_seconds()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.backfill_run", kind, str(folder), base_url),
        *map(str, span),
        env=os.environ
        | COMPILED_ONCE
        | {"DAGSTER_HOME": str(folder / kind), "OPENAI_API_KEY": "benchmark", "PYTHONWARNINGS": "ignore"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait():
        raise RuntimeError(f"the run of {span[0]} to {span[1]} of {kind} failed")
    spent.wall_seconds += time.monotonic() - started
    spent.cpu_seconds += _children_cpu_seconds() - cpu


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _day(number: int) -> date:
    return START + timedelta(days=number)


def _record(root: Path, days: int) -> None:
    """A second of sound each, no two alike."""
    for number in range(days):
        folder = root / _day(number).isoformat()
        folder.mkdir(parents=True)
        for which in range(_RECORDINGS):
            sample = (100 + number * _RECORDINGS + which).to_bytes(2, "little")
            with wave.open(str(folder / f"{which}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((4 * sample + bytes(8)) * 1000)
