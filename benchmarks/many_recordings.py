"""Ten thousand recordings of one day through `recordings` and `transcripts`: how large all processes become.

Most are short, some are long enough to be cut into chunks, and a few are as large as a provider takes, so
that what is on its way is more than may be held at a time. The server answers at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.children import child, server, work_folder
from benchmarks.made_recordings import write_many, write_talk
from benchmarks.pipeline import DAY
from benchmarks.process_tree import Peaks, watched

_RECORDINGS, _QUICK_RECORDINGS = 10_000, 300
_FEW, _SOME = 1_000, 4_000
_SHORT_SECONDS, _LONG_SECONDS, _LONGEST_SECONDS = 6, 240, 2_400
_SHARE_LONG = 0.01
_LONGEST = 4
_LIMIT_SECONDS = 3600.0
_SAID = "Good morning how can I help you I would like to know where my parcel is and when it comes. " * 8


async def measure(*, quick: bool) -> dict[str, Any]:
    """`peak_mb` is the most of all processes together at one moment, pages they share counted once.

    `kb_for_each_more` is by how much the process of the run grows with another short recording.
    """
    few, some = (_QUICK_RECORDINGS // 3, _QUICK_RECORDINGS) if quick else (_FEW, _SOME)
    _, peaks_of_few = await _materialized(partial(_write_short, count=few))
    _, peaks_of_some = await _materialized(partial(_write_short, count=some))
    more_kb = (peaks_of_some.own_mb - peaks_of_few.own_mb) * 1024 / (some - few)
    count = _QUICK_RECORDINGS if quick else _RECORDINGS
    figures, peaks = await _materialized(partial(_write, count=count))
    return {
        "recordings": count,
        "peak_mb": round(peaks.mb),
        "peak_rss_mb": round(peaks.rss_mb),
        "peak_processes": peaks.processes,
        "peak_of_the_run_alone_mb": round(peaks.own_mb),
        "kb_for_each_more": round(more_kb, 1),
        **figures,
    }


async def _materialized(write: Callable[[Path], None]) -> tuple[dict[str, Any], Peaks]:
    """What a day of recordings took, with a project and a server of its own."""
    async with work_folder() as folder, server({"fixed_transcript": _SAID}, folder) as emulator:
        day = folder / "data/recordings" / DAY
        await asyncio.to_thread(write, day)
        (folder / "workspace.yaml").write_text("load_from: []\n")
        started = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.pipeline"]
        async with child("pipeline", command, folder) as pipeline, watched(pipeline.process.pid) as peaks:
            await pipeline.say(json.dumps({"root": str(folder), "base_url": emulator.base_url}))
            figures = await pipeline.hear_json(_LIMIT_SECONDS)
        audit = await emulator.audit()
        bytes_on_disk = sum(file.stat().st_size for file in day.rglob("*.mp3"))
    rows = figures.pop("rows")
    taken = {"megabytes": round(bytes_on_disk / 1e6), "ok": rows.get("ok", 0), "calls": audit["served"]}
    return taken | figures | {"seconds": round(time.monotonic() - started, 1)}, peaks


def _write(folder: Path, count: int) -> None:
    long = max(1, round(count * _SHARE_LONG))
    write_many(folder / "short", count - long - _LONGEST, _SHORT_SECONDS)
    write_many(folder / "long", long, _LONG_SECONDS)
    for number in range(_LONGEST):
        write_talk(folder / f"longest-{number}.mp3", _LONGEST_SECONDS, seed=number)


def _write_short(folder: Path, count: int) -> None:
    write_many(folder, count, _SHORT_SECONDS)
