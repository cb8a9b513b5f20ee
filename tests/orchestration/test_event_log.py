"""Dagster's event log stays open while a run lasts, so that its files are carried over once."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from llm_assets.orchestration.event_log import OpenFiles
from llm_assets.orchestration.io_manager import DuckDBFrameIOManager
from tests.orchestration.test_io_manager import recordings


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    (tmp_path / "home").mkdir()
    return dg.DagsterInstance.local_temp(str(tmp_path / "home"))


def waiting(tmp_path: Path) -> set[str]:
    """The files of events that have a log beside them."""
    return {file.name.removesuffix(".db-wal") for file in (tmp_path / "home").rglob("*.db-wal")}


def test_the_log_of_a_run_is_open_as_long_as_its_resources(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Afterwards nothing is left beside Dagster's own files, and every event is in them."""
    seen: set[str] = set()

    @dg.asset(deps=[recordings], required_resource_keys={"io_manager"})
    def watcher() -> None:
        seen.update(waiting(tmp_path))

    keeper = DuckDBFrameIOManager(path=str(tmp_path / "calls.duckdb"))
    result = dg.materialize([recordings, watcher], instance=instance, partition_key="2026-03-02",
                            resources={"io_manager": keeper})  # fmt: skip
    assert {"index", result.run_id} <= seen
    assert waiting(tmp_path) == set()
    assert instance.get_latest_materialization_event(dg.AssetKey("recordings")) is not None


def test_a_log_that_is_not_there_is_left_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """No file is made for a run that has none."""
    files = OpenFiles()
    files.open(instance, "a-run-without-events")
    files.close()
    assert not list((tmp_path / "home").rglob("a-run-without-events*"))


def test_other_storages_are_left_alone() -> None:
    """An instance in memory has no files."""
    with dg.DagsterInstance.ephemeral() as in_memory:
        files = OpenFiles()
        files.open(in_memory, "any")
        files.close()
