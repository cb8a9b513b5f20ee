"""Other IO managers for data frames in place of ours, Dagster's own for DuckDB among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest
from fake_openai import FakeOpenAI, write_wav

from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_audio_insights

DAYS = ("2026-03-02", "2026-03-03")
RUN = """
import json, sys
import dagster as dg
from llm_assets.definitions import defs

assert defs.resolve_job_def("audio_insights_daily").execute_in_process(partition_key="2026-03-02").success
print(json.dumps(sorted({"pandas", "numpy", "pyarrow", "av"} & set(sys.modules))))
"""


class InMemory(dg.IOManager):
    """Frames by asset, those that were given and those that were asked for counted."""

    def __init__(self) -> None:
        self.kept: dict[dg.AssetKey, pd.DataFrame] = {}

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        assert isinstance(obj, pd.DataFrame)
        self.kept[context.asset_key] = obj

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        return self.kept[context.asset_key]


class Counting(DuckDBFrameIOManager):
    """Ours, with something of a team's own done to the frame."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        context.add_output_metadata({"columns": len(obj.columns)})
        super().handle_output(context, obj)


def run_of(manager: Any, recordings: Path, server: FakeOpenAI, day: str = DAYS[0]) -> bool:
    openai = OpenAIResource(base_url=server.base_url, state=str(recordings / "state.sqlite"))
    pipeline = build_audio_insights(
        recordings, dg.DailyPartitionsDefinition(start_date=DAYS[0]), days_per_backfill_run=1
    )
    resources = dg.Definitions(resources={"openai": openai, "io_manager": manager})
    job = dg.Definitions.merge(pipeline, resources).resolve_job_def("audio_insights_daily")
    return job.execute_in_process(partition_key=day).success


def test_other_io_managers_are_given_data_frames(tmp_path: Path, server: FakeOpenAI) -> None:
    """With typed columns, the output model's among them."""
    write_wav(tmp_path / DAYS[0] / "call.wav", 6)
    manager = InMemory()
    assert run_of(manager, tmp_path, server)
    insights = manager.kept[dg.AssetKey("insights")]
    assert insights["status"].tolist() == ["ok"]
    assert str(insights["input_tokens"].dtype) == "Int64"


def test_an_io_manager_made_of_ours_is_given_data_frames(tmp_path: Path, server: FakeOpenAI) -> None:
    """What a team does with the frame still works."""
    write_wav(tmp_path / DAYS[0] / "call.wav", 6)
    database = str(tmp_path / "calls.duckdb")
    assert run_of(Counting(path=database), tmp_path, server)
    with duckdb.connect(database, read_only=True) as connection:
        assert connection.execute("SELECT status FROM insights").fetchall() == [("ok",)]


def test_with_ours_a_run_loads_no_library_of_data_frames(project: Path, server: FakeOpenAI) -> None:
    """They take longer to load than a day's rows to write, in every run. Decoders load in processes apart."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LLM_ASSETS_")}
    environ |= {"DAGSTER_HOME": str(project), "OPENAI_BASE_URL": server.base_url}
    ran = subprocess.run(
        [sys.executable, "-c", RUN], env=environ, cwd=project, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == []


def test_days_are_carried_through_and_replaced(tmp_path: Path, server: FakeOpenAI) -> None:
    """Dagster's own IO manager. Single days, one of them twice: each has its rows once."""
    theirs = pytest.importorskip(
        "dagster_duckdb_pandas", reason="needs dagster-duckdb-pandas, which needs pandas before 3"
    )
    for number, day in enumerate(DAYS):
        write_wav(tmp_path / day / "call.wav", 6 + number)
    manager = theirs.DuckDBPandasIOManager(database=str(tmp_path / "theirs.duckdb"))
    for day in (*DAYS, DAYS[0]):
        assert run_of(manager, tmp_path, server, day)
    with duckdb.connect(str(tmp_path / "theirs.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT CAST(partition_date AS VARCHAR)[:10], status FROM public.insights ORDER BY 1"
        ).fetchall()
    assert rows == [(day, "ok") for day in DAYS]
