"""Runs in several processes at once, one of them killed: every day of every table is published in the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
from fake_openai import FakeOpenAI, write_wav

PROCESSES = 4
FIRST = date(2026, 3, 2)

# A process as a run worker is one, which is slow at random where a catalogue is published.
RUN = """
import os, random, shutil, sys, time

import dagster as dg
from llm_assets.definitions import build_definitions
from llm_assets.orchestration.jobs import JOB_NAME
from llm_assets.orchestration.settings import Settings
from llm_assets.warehouse import turns


def slowly(module, name):
    quick = getattr(module, name)

    def slow(*arguments, **named):
        time.sleep(random.uniform(0, 0.05))
        return quick(*arguments, **named)

    setattr(module, name, slow)


for module, name in [(os, "link"), (os, "replace"), (shutil, "copyfile"), (turns, "try_lock")]:
    slowly(module, name)
job = build_definitions(Settings.from_env()).resolve_job_def(JOB_NAME)
for days in sys.argv[1:]:
    first, _, last = days.partition("...")
    span = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    given = {"tags": span} if last else {"partition_key": first}
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, **given).success
    print(days, flush=True)
"""

TABLES = {
    "recordings": "SELECT partition_date FROM recordings",
    "transcripts": "SELECT partition_date FROM transcripts WHERE status = 'ok'",
    "insights": "SELECT partition_date FROM insights WHERE status = 'ok'",
    "calls for transcripts": "SELECT partition_date FROM llm_calls WHERE asset = 'transcripts'",
    "calls for insights": "SELECT partition_date FROM llm_calls WHERE asset = 'insights'",
}


def test_every_day_of_every_table_is_there(project: Path, server: FakeOpenAI) -> None:
    """Single days and ranges side by side; a process killed in the middle of its runs does them again.

    Other programs see every table grow and never shrink, and none of them an error.
    """
    days = [str(FIRST + timedelta(days=number)) for number in range(1, 1 + 5 * PROCESSES)]
    for number, day in enumerate(days):
        write_wav(project / "data/recordings" / day / "a.wav", 6 + number, 300)
    shares = [days[at : at + 5] for at in range(0, len(days), 5)]
    runs = [[share[0], f"{share[1]}...{share[3]}", share[4]] for share in shares]
    processes = [start(project, server, *each) for each in runs]
    assert processes[0].stdout is not None
    assert processes[0].stdout.readline()
    processes[0].kill()
    processes.append(start(project, server, *runs[0]))
    path = str(project / "data/llm_assets.duckdb")
    seen = dict.fromkeys(TABLES, 0)
    while any(process.poll() is None for process in processes):
        for name, count in seen.items():
            now = len(published(path, TABLES[name]))
            assert now >= count
            seen[name] = now
        time.sleep(0.05)  # the processors are theirs
    assert [process.wait() for process in processes[1:]] == [0] * PROCESSES
    for name, sql in TABLES.items():
        assert (name, sorted(published(path, sql))) == (name, days)


def published(path: str, sql: str) -> list[str]:
    with duckdb.connect(path, read_only=True) as connection:
        return [str(day) for (day,) in connection.execute(sql).fetchall()]


def start(project: Path, server: FakeOpenAI, *days: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LLM_ASSETS_")}
    environ |= {"DAGSTER_HOME": str(project), "OPENAI_BASE_URL": server.base_url}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *days],
        env=environ,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=(project / f"run {days[0]}.log").open("wb"),
        text=True,
    )
