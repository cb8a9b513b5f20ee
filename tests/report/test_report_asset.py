"""The asset `report`: a page for each month, written anew when one of its days has changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from llm_assets import AudioInsights
from llm_assets.definitions import build_definitions
from llm_assets.orchestration.report_asset import build_report_asset, monthly_partitions
from llm_assets.orchestration.settings import Settings
from llm_assets.report.write import Report

DAYS = dg.DailyPartitionsDefinition("2026-02-20", timezone="Europe/Berlin")
REPORT = dg.AssetKey("report")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def copy(database: str, tmp_path: Path) -> str:
    return str(shutil.copy(database, tmp_path / "llm_assets.duckdb"))


@dg.asset(partitions_def=DAYS)
def insights() -> None:
    """A day that changes."""


def test_a_month_is_a_page_with_its_numbers(copy: str, instance: dg.DagsterInstance, march: Report) -> None:
    """The materialization says where the page is, what its headline is, and shows it."""
    asset = build_report_asset(copy, DAYS, [])
    result = dg.materialize([asset], partition_key="2026-03-01", instance=instance)
    (event,) = result.asset_materializations_for_node("report")
    page = Path(copy).parent / "reports" / "report-2026-03.html"
    assert event.metadata["path"] == dg.MetadataValue.path(str(page))
    assert event.metadata["recordings"].value == march.rows.totals.recordings
    assert event.metadata["cost_usd"].value == pytest.approx(float(march.rows.totals.cost_usd or 0))
    assert "| Recordings | **" in str(event.metadata["preview"].value)
    assert "<h1>March 2026</h1>" in page.read_text(encoding="utf-8")


def test_a_backfill_is_one_run(copy: str, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A range of months is written in one run, each with its own numbers."""
    asset = build_report_asset(copy, DAYS, [], folder=str(tmp_path / "pages"))
    tags = {
        "dagster/asset_partition_range_start": "2026-02-01",
        "dagster/asset_partition_range_end": "2026-03-01",
    }
    result = dg.materialize([asset], tags=tags, instance=instance)
    found = {
        event.partition: event.metadata["recordings"].value
        for event in result.asset_materializations_for_node("report")
    }
    assert set(found) == {"2026-02-01", "2026-03-01"}
    assert found["2026-02-01"] != found["2026-03-01"]
    assert len(list((tmp_path / "pages").glob("report-*.html"))) == 2


def test_a_month_stands_on_its_days(copy: str) -> None:
    """The first month has only the days there are, and a full one all of its days."""
    graph = dg.Definitions(
        assets=[insights, build_report_asset(copy, DAYS, [insights.key])]
    ).resolve_asset_graph()
    mapping = graph.get_partition_mapping(REPORT, insights.key)

    def days_of(month: str) -> list[str]:
        months = monthly_partitions(DAYS)
        subset = months.subset_with_partition_keys([month])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, months, DAYS)
        return sorted(found.partitions_subset.get_partition_keys())

    assert days_of("2026-02-01") == [f"2026-02-{day}" for day in range(20, 29)]
    assert (len(days_of("2026-03-01")), days_of("2026-03-01")[0]) == (31, "2026-03-01")


def test_months_follow_the_days() -> None:
    """Months begin with the first day's own, in the same time zone, and end with the current one."""
    months = monthly_partitions(DAYS)
    assert months.get_first_partition_key() == "2026-02-01"
    assert months.timezone == "Europe/Berlin"
    last_day = DAYS.get_last_partition_key()
    assert last_day is not None
    assert str(months.get_last_partition_key())[:7] >= last_day[:7]


def test_a_changed_day_asks_for_its_month(copy: str, instance: dg.DagsterInstance) -> None:
    """A day that is materialized asks once for its month, whichever days are missing, and for no other."""
    report = build_report_asset(copy, DAYS, [insights.key])
    defs = dg.Definitions(assets=[insights, report])
    first = dg.evaluate_automation_conditions(defs, instance=instance)
    assert first.total_requested == 0
    dg.materialize([insights], partition_key="2026-03-05", instance=instance)
    second = dg.evaluate_automation_conditions(defs, instance=instance, cursor=first.cursor)
    assert second.get_requested_partitions(REPORT) == {"2026-03-01"}
    third = dg.evaluate_automation_conditions(defs, instance=instance, cursor=second.cursor)
    assert third.total_requested == 0


def test_without_a_database_the_run_says_what_to_do(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """A missing database fails the run with one sentence."""
    asset = build_report_asset(str(tmp_path / "none.duckdb"), DAYS, [])
    result = dg.materialize([asset], partition_key="2026-03-01", instance=instance, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    assert "materialize a partition" in str(failure.step_failure_data.user_failure_data)


def test_the_project_has_it(tmp_path: Path) -> None:
    """It stands on the three assets, and is no part of the daily job."""
    defs = build_definitions(Settings.from_env({}, tmp_path))
    graph = defs.resolve_asset_graph()
    assert {key.path[-1] for key in graph.get(REPORT).parent_keys} == {
        "recordings",
        "transcripts",
        "insights",
    }
    assert "report" not in str(defs.resolve_job_def("audio_insights_daily").asset_layer.selected_asset_keys)


def test_the_component_offers_it(copy: str) -> None:
    """`report: true` in YAML: behind the instance's assets, described like them, in a folder of its own."""
    attributes = {
        "recordings": "calls",
        "start_date": "2026-02-20",
        "prefix": "sales",
        "duckdb": copy,
        "report": True,
        "translation": {"owners": ["data@example.com"]},
    }
    component = AudioInsights.from_attributes_dict(attributes=attributes)
    defs = component.build_defs(dg.ComponentTree.for_test().load_context)
    asset = defs.resolve_assets_def(dg.AssetKey(["sales", "report"]))
    spec = asset.get_asset_spec()
    assert {dep.asset_key.path[-1] for dep in spec.deps} == {"recordings", "transcripts", "insights"}
    assert (spec.group_name, list(spec.owners)) == ("sales_audio_insights", ["data@example.com"])
    dg.materialize([asset], partition_key="2026-03-01", instance=dg.DagsterInstance.ephemeral())
    assert (Path(copy).parent / "reports" / "sales" / "report-2026-03.html").exists()
