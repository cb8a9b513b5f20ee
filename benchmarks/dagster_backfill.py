"""A backfill of many days in one process, against assets that do nothing: what the pipeline adds to Dagster.

    python -m benchmarks.dagster_backfill [days] [recordings a day]

Both materialize the same partitions of three assets in a row, a week a run, in the same kind of instance:
ours with recordings of a second of tone, short enough to need a call each, against a provider on this
machine without latency or limits; theirs returning an empty frame to memory.
"""

from __future__ import annotations

import sys
import tempfile
import time
import wave
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from llm_assets import DuckDBFrameIOManager, OpenAIResource, RecordingSource, build_audio_insights
from llm_assets.testing import FakeProvider

START = date(2026, 1, 1)
DAYS_PER_RUN = 7
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
INSIGHT: dict[str, Any] = {
    "summary": "A tone.",
    "sentiment": {"label": "neutral", "score": 0.0},
    "topics": [],
    "intent": "other",
    "outcome": "not_applicable",
    "action_items": [],
    "entities": [],
    "customer_effort": 1,
    "language": "en",
    "quotes": [],
    "confidence": 0.5,
}


def record(root: Path, days: int, recordings: int) -> None:
    """Recordings that differ, so that each is asked for."""
    for number in range(days):
        folder = root / (START + timedelta(days=number)).isoformat()
        folder.mkdir(parents=True)
        for which in range(recordings):
            sample = (100 + number * recordings + which).to_bytes(2, "little")
            with wave.open(str(folder / f"{which}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(sample * 8000)


def nothing(partitions: dg.DailyPartitionsDefinition) -> dg.Definitions:
    """Three assets that do nothing, and a job over them."""

    def asset(name: str, upstream: str | None) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            partitions_def=partitions,
            deps=[upstream] if upstream else [],
            backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN),
        )
        def empty() -> dg.MaterializeResult[Any]:
            return dg.MaterializeResult(metadata={"rows": 0})

        return empty

    assets = [asset("first", None), asset("second", "first"), asset("third", "second")]
    return dg.Definitions(assets=assets, jobs=[dg.define_asset_job("job", selection=assets)])


def seconds_of(job: dg.JobDefinition, days: int) -> float:
    """Wall time of the whole range, a week a run."""
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        started = time.perf_counter()
        for first in range(0, days, DAYS_PER_RUN):
            last = min(first + DAYS_PER_RUN, days) - 1
            tags = {
                "dagster/asset_partition_range_start": (START + timedelta(days=first)).isoformat(),
                "dagster/asset_partition_range_end": (START + timedelta(days=last)).isoformat(),
            }
            assert job.execute_in_process(instance=instance, tags=tags, run_config=QUIET).success
        return time.perf_counter() - started


def main(days: int = 28, recordings: int = 10) -> None:
    partitions = dg.DailyPartitionsDefinition(
        start_date=START.isoformat(), end_date=(START + timedelta(days=days)).isoformat()
    )
    with tempfile.TemporaryDirectory() as folder, FakeProvider(INSIGHT) as provider:
        record(Path(folder) / "calls", days, recordings)
        source = RecordingSource(root=f"{folder}/calls", minimum_seconds=0.5, settle_seconds=0)
        resources = {
            "openai": OpenAIResource(base_url=provider.base_url, state=f"{folder}/state.sqlite"),
            "io_manager": DuckDBFrameIOManager(path=f"{folder}/calls.duckdb"),
        }
        defs = dg.Definitions.merge(
            build_audio_insights(source, partitions), dg.Definitions(resources=resources)
        )
        ours = seconds_of(defs.resolve_job_def("audio_insights_daily"), days)
        asked = len(provider.requests)
    theirs = seconds_of(nothing(partitions).resolve_job_def("job"), days)
    print(f"{days} days of {recordings}: {ours:.1f} s with {asked} calls, doing nothing {theirs:.1f} s: "
          f"{ours / theirs:.2f} times")  # fmt: skip


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
