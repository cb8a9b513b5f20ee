"""CPU of preparing an hour of MP3 beside ffmpeg's for the same, and the memory for ten hours.

Both run on the same core and in turns. Preparing decodes, finds speech, leaves out long silences, looks
for pauses, cuts and encodes; `ffmpeg -ac 1 -ar 16000 out.opus` decodes and encodes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.children import ROOT, ChildFailed
from benchmarks.made_recordings import write_talk

_SECONDS, _QUICK_SECONDS = 3_600, 400
_HOURS = 10
_TURNS, _QUICK_TURNS = 3, 1


def measure(*, quick: bool) -> dict[str, Any]:
    """Raises ChildFailed, also where ffmpeg is not installed."""
    if shutil.which("ffmpeg") is None:
        raise ChildFailed("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    seconds = _QUICK_SECONDS if quick else _SECONDS
    with tempfile.TemporaryDirectory() as folder:
        hour, hours = Path(folder, "hour.mp3"), Path(folder, "hours.mp3")
        _write(hour, seconds)
        theirs, ours = [], []
        for _ in range(_QUICK_TURNS if quick else _TURNS):
            theirs.append(
                _run(["ffmpeg", "-v", "error", "-y", "-i", str(hour), *_LIKE_OURS, f"{folder}/out.opus"])
            )
            ours.append(_run(_preparing(hour, seconds)))
        _repeat(hour, hours)
        long = _run(_preparing(hours, seconds * _HOURS))
    return {
        "seconds_of_audio": seconds,
        "turns": len(ours),
        "ffmpeg_cpu_seconds": round(median(cpu for cpu, _ in theirs), 2),
        "preparing_cpu_seconds": round(median(cpu for cpu, _ in ours), 2),
        "ratio": round(median(own / other for (own, _), (other, _) in zip(ours, theirs, strict=True)), 3),
        "peak_rss_mb": round(max(rss for _, rss in ours)),
        "peak_rss_mb_of_ten_times_as_much": round(long[1]),
    }


_LIKE_OURS = ("-ac", "1", "-ar", "16000")


def _preparing(path: Path, seconds: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.preparing_child", str(path), str(seconds)]


def _write(path: Path, seconds: int) -> None:
    """As recorders make them: stereo, 44.1 kHz, 128 kbit/s."""
    talk = path.with_name("talk.mp3")
    write_talk(talk, seconds)
    _run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-i",
            str(talk),
            "-ac",
            "2",
            "-ar",
            "44100",
            "-b:a",
            "128k",
            str(path),
        ]
    )


def _repeat(hour: Path, hours: Path) -> None:
    """Never whole in memory here: Linux counts what a parent holds when it forks as the child's peak."""
    with hours.open("wb") as long:
        for _ in range(_HOURS):
            with hour.open("rb") as once:
                shutil.copyfileobj(once, long)


def _run(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a command with all it starts, and the most memory it had in MB; on one core."""
    core = max(os.sched_getaffinity(0))
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(["taskset", "-c", str(core), *command], cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildFailed(f"{command[0]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
