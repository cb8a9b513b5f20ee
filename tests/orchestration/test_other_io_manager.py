"""Another team's habit: Dagster's own IO manager for pandas frames in DuckDB, in place of ours."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest
from fake_openai import FakeOpenAI, write_wav

from llm_assets import OpenAIResource, build_audio_insights

theirs = pytest.importorskip(
    "dagster_duckdb_pandas", reason="needs dagster-duckdb-pandas, which needs pandas before 3"
)

DAYS = ("2026-03-02", "2026-03-03")


def test_days_are_carried_through_and_replaced(tmp_path: Path, server: FakeOpenAI) -> None:
    """Single days, one of them twice: each has its rows once, typed as they come."""
    for number, day in enumerate(DAYS):
        write_wav(tmp_path / day / "call.wav", 6 + number)
    resources = {
        "openai": OpenAIResource(base_url=server.base_url, state=str(tmp_path / "state.sqlite")),
        "io_manager": theirs.DuckDBPandasIOManager(database=str(tmp_path / "theirs.duckdb")),
    }
    pipeline = build_audio_insights(
        tmp_path, dg.DailyPartitionsDefinition(start_date=DAYS[0]), days_per_backfill_run=1
    )
    job = dg.Definitions.merge(pipeline, dg.Definitions(resources=resources)).resolve_job_def(
        "audio_insights_daily"
    )
    for day in (*DAYS, DAYS[0]):
        assert job.execute_in_process(partition_key=day).success
    with duckdb.connect(str(tmp_path / "theirs.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT CAST(partition_date AS VARCHAR)[:10], status FROM public.insights ORDER BY 1"
        ).fetchall()
    assert rows == [(day, "ok") for day in DAYS]
