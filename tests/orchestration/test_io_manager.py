"""Frames of partitioned assets live in DuckDB tables, one partition or a range of them at a time."""

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from llm_assets.orchestration.io_manager import COLUMN_SCHEMA, DuckDBFrameIOManager, column_schema
from llm_assets.orchestration.rows import rows_of
from llm_assets.warehouse.frames import frame_of
from llm_assets.warehouse.tables import RECORDINGS, Column, insights_table

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-02")
RANGE = {
    "dagster/asset_partition_range_start": "2026-03-02",
    "dagster/asset_partition_range_end": "2026-03-04",
}
MOODS = insights_table("moods", [Column("mood", "VARCHAR", "How it sounds.")])


def recordings_on(days: list[str]) -> Any:
    from datetime import date

    rows = [
        {
            "partition_date": date.fromisoformat(day),
            "recording_id": f"id-{day}",
            "path": f"{day}/a.ogg",
            "file_name": "a.ogg",
            "size_bytes": 1,
            "sha256": "0",
            "status": "ok",
        }
        for day in days
    ]
    return frame_of(RECORDINGS, rows_of(RECORDINGS, rows))


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def recordings(context: dg.AssetExecutionContext) -> Any:
    return recordings_on([day for day in context.partition_keys if day != "2026-03-03"])


@dg.asset(
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={COLUMN_SCHEMA: column_schema(MOODS)},
)
def moods(context: dg.AssetExecutionContext, recordings: Any) -> Any:
    rows = recordings[["partition_date", "recording_id", "status"]].assign(mood="calm")
    context.add_output_metadata({"seen": len(recordings)})
    return rows


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "calls.duckdb")


def materialize(path: str, **arguments: Any) -> dg.ExecuteInProcessResult:
    resources = {"io_manager": DuckDBFrameIOManager(path=path)}
    return dg.materialize([recordings, moods], resources=resources, **arguments)


def stored(path: str, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_one_partition_is_written_and_read_by_the_next_asset(path: str) -> None:
    """What an asset returns, the next one gets; both are tables afterwards."""
    result = materialize(path, partition_key="2026-03-02")
    assert result.success
    assert stored(path, "SELECT recording_id, mood FROM moods") == [("id-2026-03-02", "calm")]


def test_a_materialization_says_where_and_what_its_rows_are(path: str) -> None:
    """The UI shows the table's name, kind and the partition's rows; columns where the asset has none."""
    result = materialize(path, partition_key="2026-03-02")
    (event,) = result.asset_materializations_for_node("moods")
    metadata = event.metadata
    assert metadata["dagster/table_name"].value == "calls.main.moods"
    assert metadata["dagster/storage_kind"].value == "duckdb"
    assert metadata["dagster/partition_row_count"].value == 1
    assert "dagster/column_schema" not in metadata
    (event,) = result.asset_materializations_for_node("recordings")
    schema = event.metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns][:3] == ["partition_date", "recording_id", "path"]


def test_a_range_of_partitions_is_one_write_and_one_read(path: str) -> None:
    """A run over several days keeps each row in its day, and a day without rows is written empty."""
    assert materialize(path, tags=RANGE).success
    expected = [("id-2026-03-02",), ("id-2026-03-04",)]
    assert stored(path, "SELECT recording_id FROM moods ORDER BY 1") == expected


def test_materializing_again_replaces_only_its_own_partition(path: str) -> None:
    """The other days stay as they are, and nothing is there twice."""
    materialize(path, tags=RANGE)
    materialize(path, partition_key="2026-03-02")
    assert stored(path, "SELECT count(*) FROM recordings") == [(2,)]


def test_an_empty_partition_is_read_as_no_rows(path: str) -> None:
    """A day without recordings goes through the whole line."""
    result = materialize(path, partition_key="2026-03-03")
    (event,) = result.asset_materializations_for_node("moods")
    assert event.metadata["seen"].value == 0


def test_a_day_that_was_never_materialized_is_not_taken_for_an_empty_one(path: str) -> None:
    """Without its upstream an asset fails and says what to materialize; it does not turn green on nothing."""
    materialize(path, partition_key="2026-03-02")
    with pytest.raises(dg.Failure, match="recordings of 2026-03-04 was never materialized"):
        materialize(path, partition_key="2026-03-04", selection=[moods])


def test_a_frame_that_does_not_fit_is_a_clear_failure(path: str) -> None:
    """The failure names the table and the column, and is not retried."""

    @dg.asset(partitions_def=DAYS, name="recordings")
    def wrong() -> Any:
        return recordings_on(["2026-03-02"]).assign(surprise=1)

    result = dg.materialize(
        [wrong],
        resources={"io_manager": DuckDBFrameIOManager(path=path)},
        partition_key="2026-03-02",
        raise_on_error=False,
    )
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    error = str(failed.event_specific_data)
    assert "surprise" in error
    assert "recordings" in error


def test_an_asset_without_columns_is_told_what_to_give(path: str) -> None:
    """An asset of one's own names its columns in its definition."""

    @dg.asset(partitions_def=DAYS)
    def nameless() -> Any:
        return recordings_on([])

    with pytest.raises(dg.Failure, match="dagster/column_schema"):
        dg.materialize(
            [nameless],
            resources={"io_manager": DuckDBFrameIOManager(path=path)},
            partition_key="2026-03-02",
        )


def test_two_instances_in_one_file_are_refused(path: str) -> None:
    """Their tables have the same names, so each would replace the other's days."""
    assert materialize(path, partition_key="2026-03-02").success

    @dg.asset(key=["sales", "recordings"], partitions_def=DAYS)
    def others(context: dg.AssetExecutionContext) -> Any:
        return recordings_on(list(context.partition_keys))

    resources = {"io_manager": DuckDBFrameIOManager(path=path)}
    result = dg.materialize([others], resources=resources, partition_key="2026-03-02", raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    said = str(failed.step_failure_data.error)
    assert "written by the asset 'recordings'" in said
    assert "'sales/recordings'" in said
    assert stored(path, "SELECT count(*) FROM recordings") == [(1,)]
    assert materialize(path, partition_key="2026-03-02").success
