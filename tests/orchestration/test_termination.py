"""A run that is ended in the middle of its calls stops at once and has lost nothing it paid for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI, write_wav

RUN = """
import dagster as dg
from llm_assets.definitions import build_definitions
from llm_assets.orchestration.jobs import JOB_NAME
from llm_assets.orchestration.settings import Settings

job = build_definitions(Settings.from_env()).resolve_job_def(JOB_NAME)
with dg.DagsterInstance.ephemeral() as instance:
    try:
        assert job.execute_in_process(instance=instance, partition_key="2026-03-02").success
    finally:
        for record in instance.event_log_storage.get_event_records(
            dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION)
        ):
            print("materialized", record.asset_key.to_user_string(), flush=True)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_ended_run_stops_within_three_seconds_and_keeps_its_answers(
    project: Path, server: FakeOpenAI, end: signal.Signals
) -> None:
    """Nothing is recorded as materialized that was not, and the next run asks only what was not answered."""
    for number in range(6):
        write_wav(project / "data/recordings/2026-03-02" / f"{number}.wav", 6 + number, 300)
    server.hold_after = 3
    server.released.clear()
    process = start(project, server)
    assert server.holding.wait(300)
    process.send_signal(end)
    ended = time.monotonic()
    assert process.stdout is not None
    assert process.stdout.readline() == "materialized recordings\n"  # said when the run is over
    assert time.monotonic() - ended < 3
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert output == ""

    answered = 3
    server.released.set()
    before = server.count("transcriptions")
    finished = start(project, server)
    output, _ = finished.communicate(timeout=300)
    assert finished.returncode == 0
    assert server.count("transcriptions") - before == 8 - answered
    assert "materialized insights" in output


def start(project: Path, server: FakeOpenAI) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LLM_ASSETS_")}
    environ |= {"DAGSTER_HOME": str(project), "OPENAI_BASE_URL": server.base_url}
    return subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=environ,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
