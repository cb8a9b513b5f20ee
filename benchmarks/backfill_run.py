"""One run of a backfill as a process of its own, as Dagster's daemon starts one for each.

    python -m benchmarks.backfill_run ours|nothing FOLDER BASE_URL FIRST_DAY LAST_DAY

Loads the definitions, then materializes the days in the instance that DAGSTER_HOME names.
"""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

import dagster as dg

START = date(2025, 1, 1)
DAYS_PER_RUN = 7
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def ours(folder: str, base_url: str) -> dg.JobDefinition:
    """The pipeline over the recordings in `folder`."""
    from llm_assets import DuckDBFrameIOManager, OpenAIResource, RecordingSource, build_audio_insights

    source = RecordingSource(root=f"{folder}/calls", minimum_seconds=0.5, settle_seconds=0)
    resources = {
        "openai": OpenAIResource(base_url=base_url, state=f"{folder}/state.sqlite"),
        "io_manager": DuckDBFrameIOManager(path=f"{folder}/calls.duckdb"),
    }
    pipeline = build_audio_insights(source, _days(), days_per_backfill_run=DAYS_PER_RUN)
    defs = dg.Definitions.merge(pipeline, dg.Definitions(resources=resources))
    return defs.resolve_job_def("audio_insights_daily")


def nothing() -> dg.JobDefinition:
    """Three assets in a row that do nothing."""

    def asset(name: str, upstream: str | None) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            partitions_def=_days(),
            deps=[upstream] if upstream else [],
            backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN),
        )
        def empty() -> dg.MaterializeResult[Any]:
            return dg.MaterializeResult(metadata={"rows": 0})

        return empty

    assets = [asset("first", None), asset("second", "first"), asset("third", "second")]
    defs = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("job", selection=assets)])
    return defs.resolve_job_def("job")


def _days() -> dg.DailyPartitionsDefinition:
    return dg.DailyPartitionsDefinition(start_date=START.isoformat())


def main(kind: str, folder: str, base_url: str, first: str, last: str) -> None:
    job = ours(folder, base_url) if kind == "ours" else nothing()
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(instance=instance, tags=tags, run_config=_QUIET)


if __name__ == "__main__":
    main(*sys.argv[1:])
