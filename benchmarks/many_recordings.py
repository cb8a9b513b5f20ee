"""Ten thousand recordings of one day through `recordings` and `transcripts`: how large all processes become.

Most are short, some are long enough to be cut into chunks, and a few are as large as a provider takes, so
that what is on its way is more than may be held at a time. The server answers at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.children import child, server, work_folder
from benchmarks.made_recordings import write_many, write_talk
from benchmarks.pipeline import DAY
from benchmarks.process_tree import watched

_RECORDINGS, _QUICK_RECORDINGS = 10_000, 300
_SHORT_SECONDS, _LONG_SECONDS, _LONGEST_SECONDS = 6, 240, 2_400
_SHARE_LONG = 0.01
_LONGEST = 4
_LIMIT_SECONDS = 3600.0
_SAID = "Good morning how can I help you I would like to know where my parcel is and when it comes. " * 8


async def measure(*, quick: bool) -> dict[str, Any]:
    """`peak_pss_mb` is the most of all processes together at one moment, shared pages counted once."""
    count = _QUICK_RECORDINGS if quick else _RECORDINGS
    async with work_folder() as folder, server({"fixed_transcript": _SAID}, folder) as emulator:
        bytes_on_disk = await asyncio.to_thread(_write, folder / "data/recordings" / DAY, count)
        (folder / "workspace.yaml").write_text("load_from: []\n")
        started = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.pipeline"]
        async with child("pipeline", command, folder) as pipeline, watched(pipeline.process.pid) as peaks:
            await pipeline.say(json.dumps({"root": str(folder), "base_url": emulator.base_url}))
            figures = await pipeline.hear_json(_LIMIT_SECONDS)
        audit = await emulator.audit()
    rows = figures.pop("rows")
    return {
        "recordings": count,
        "megabytes": round(bytes_on_disk / 1e6),
        "ok": rows.get("ok", 0),
        "calls": audit["served"],
        **{f"peak_{name}": round(value) for name, value in asdict(peaks).items()},
        **figures,
        "seconds": round(time.monotonic() - started, 1),
    }


def _write(folder: Path, count: int) -> int:
    long = max(1, round(count * _SHARE_LONG))
    write_many(folder / "short", count - long - _LONGEST, _SHORT_SECONDS)
    write_many(folder / "long", long, _LONG_SECONDS)
    for number in range(_LONGEST):
        write_talk(folder / f"longest-{number}.mp3", _LONGEST_SECONDS, seed=number)
    return sum(file.stat().st_size for file in folder.rglob("*.mp3"))
