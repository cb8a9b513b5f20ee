"""Runs of a project that is not ours are ended in each phase, with Dagster's own executor of processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from fake_openai import FakeOpenAI, write_wav
from live_instance import LiveDagster
from live_project import START

from llm_assets.warehouse.turns import turn

DEFINITIONS = """
import dagster as dg
from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_audio_insights

defs = dg.Definitions.merge(
    build_audio_insights("{root}/calls", dg.DailyPartitionsDefinition(start_date="{start}")),
    dg.Definitions(
        resources={{
            "openai": OpenAIResource(
                base_url="{url}",
                transcription=["gpt-transcribe"],
                chat=["gpt-6-luna"],
                state="{root}/state.sqlite",
            ),
            "io_manager": DuckDBFrameIOManager(path="{root}/calls.duckdb"),
        }}
    ),
)
"""
WORKSPACE = "load_from: [{{python_file: {{relative_path: {file}, location_name: llm_assets}}}}]\n"
EVERY_ASSET = "__ASSET_JOB"
DAYS = iter(f"2026-03-{number:02}" for number in range(2, 28))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeOpenAI]:
    server = FakeOpenAI()
    yield server
    server.close()


@pytest.fixture(scope="module")
def dagster(root: Path, provider: FakeOpenAI) -> Iterator[LiveDagster]:
    live = LiveDagster(root, {})
    (root / "defs.py").write_text(DEFINITIONS.format(root=root, start=START, url=provider.base_url))
    (root / "workspace.yaml").write_text(WORKSPACE.format(file="defs.py"))
    with live:
        yield live


def steps_of(dagster: LiveDagster, run: str) -> set[str]:
    """The steps that have begun."""
    events = dagster.ask(
        """query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            __typename ... on ExecutionStepStartEvent { stepKey } } } } }""",
        id=run,
    )["logsForRun"]["events"]
    return {each["stepKey"] for each in events if each["__typename"] == "ExecutionStepStartEvent"}


def ended(dagster: LiveDagster, run: str) -> float:
    """Terminate it, and the seconds until its end as Dagster notes it."""
    asked = time.time()
    dagster.terminate(run)
    assert dagster.finished(run) == "CANCELED"
    seconds = float(dagster.run(run)["endTime"]) - asked
    print(f"ended after {seconds:.1f} s")
    return seconds


def test_with_calls_in_flight(dagster: LiveDagster, root: Path, provider: FakeOpenAI) -> None:
    """What was answered is kept and not asked again; the day is materialized by the next run alone."""
    day = next(DAYS)
    for number in range(8):
        write_wav(root / "calls" / day / f"{number}.wav", 6, 2000 + number)
    provider.hold_after = len(provider.paths) + 3
    provider.holding.clear()
    provider.released.clear()
    run = dagster.launch(day, EVERY_ASSET)
    assert provider.holding.wait(180)
    ended(dagster, run)
    provider.released.set()
    assert day in dagster.materialized("recordings")
    assert day not in dagster.materialized("transcripts")
    before = provider.count("transcriptions")
    assert dagster.finished(dagster.launch(day, EVERY_ASSET)) == "SUCCESS"
    assert provider.count("transcriptions") - before == 8 - 3
    assert day in dagster.materialized("insights")


def test_while_recordings_are_prepared(dagster: LiveDagster, root: Path, provider: FakeOpenAI) -> None:
    """Long recordings are being decoded in processes of their own, which end with the run."""
    day = next(DAYS)
    for number in range(3):
        write_wav(root / "calls" / day / f"{number}.wav", 3600, 3000 + number)
    run = dagster.launch(day, EVERY_ASSET)
    dagster.wait("the step", lambda: "transcripts" in steps_of(dagster, run))
    ended(dagster, run)
    assert day not in dagster.materialized("transcripts")
    assert rows(root, day) == 0


def test_while_tables_are_published(dagster: LiveDagster, root: Path, provider: FakeOpenAI) -> None:
    """Another writer has its turn, so the answers are there and the rows are not."""
    day = next(DAYS)
    write_wav(root / "calls" / day / "one.wav", 6, 4000)
    with turn(str(root / "calls.duckdb"), 60):
        run = dagster.launch(day, EVERY_ASSET)
        tickets = root / "calls.duckdb.lock.d"
        dagster.wait("its ticket", lambda: len(list(tickets.glob("[!.]*"))) == 2)
        ended(dagster, run)
    assert day not in dagster.materialized("recordings")
    assert dagster.finished(dagster.launch(day, EVERY_ASSET)) == "SUCCESS"
    assert rows(root, day) == 1


def rows(root: Path, day: str) -> int:
    with duckdb.connect(str(root / "calls.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM transcripts WHERE partition_date = ?", [day])
        return found.fetchall()[0][0]
