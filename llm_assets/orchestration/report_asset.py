"""The asset `report`: a month's page, written anew when a day of the month has changed.

Its partitions are months, the current one included, and each stands on the days of the assets it reports
on. It reads the tables and asks no model, so writing it again costs a second and nothing else. This module
has no postponed annotations: Dagster reads an asset's as they stand.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.orchestration.code_references import caller, code_references
from llm_assets.orchestration.errors import as_failures
from llm_assets.orchestration.stage_asset import GROUP

if TYPE_CHECKING:
    from llm_assets.report.contents import Tile

ASSET_NAME = "report"


def build_report_asset(
    duckdb_path: str,
    days: dg.DailyPartitionsDefinition,
    upstream: Iterable[dg.AssetKey],
    *,
    folder: str | None = None,
    key: dg.AssetKey | None = None,
    group_name: str = GROUP,
) -> dg.AssetsDefinition:
    """An asset that writes `report-<month>.html` into `folder` (default: `reports` beside the database).

    `days` are the partitions of the `upstream` assets, whose tables lie in the DuckDB file at
    `duckdb_path`. It is no part of the daily job, whose partitions are days; its automation condition asks
    for a month once its days have changed and nothing upstream is running. It needs no resource.
    """
    with warnings.catch_warnings():
        # The mapping and the policy are what this asset is built around; a team is not helped by the notice.
        warnings.simplefilter("ignore", dg.BetaWarning)
        # The first month may begin before the first day there is, and the current one ends after the last.
        its_days = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

        @dg.asset(
            key=key or dg.AssetKey(ASSET_NAME),
            partitions_def=monthly_partitions(days),
            deps=[dg.AssetDep(each, partition_mapping=its_days) for each in upstream],
            automation_condition=_after_its_days_changed(),
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name=group_name,
            kinds={"html"},
            metadata=code_references([caller()]),
            description="A month as one page: recordings, sentiment, topics, cost, quota use, failures.",
        )
        def report(context: dg.AssetExecutionContext) -> None:
            with as_failures():
                for month in context.partition_keys:
                    metadata = _write(duckdb_path, month, folder)
                    context.add_asset_metadata(metadata, partition_key=month)

    return report


def monthly_partitions(days: dg.DailyPartitionsDefinition) -> dg.MonthlyPartitionsDefinition:
    """The months of these days, from the one of the first day to the current one."""
    return dg.MonthlyPartitionsDefinition(
        start_date=days.start.replace(day=1).strftime("%Y-%m-%d"), timezone=days.timezone, end_offset=1
    )


def _after_its_days_changed() -> dg.AutomationCondition[Any]:
    """Not `eager`: that waits for every day of the month, and looks at the latest month alone."""
    return (
        dg.AutomationCondition.any_deps_updated().since_last_handled()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("a day of the month has changed")


def _write(duckdb_path: str, partition_key: str, folder: str | None) -> dict[str, Any]:
    from llm_assets.report.headline import headline, headline_numbers
    from llm_assets.report.months import Month
    from llm_assets.report.write import file_name, make_report, report_folder, write_page

    month = Month.parse(partition_key)
    page = (Path(folder) if folder else report_folder(duckdb_path)) / file_name(month)
    report = make_report(duckdb_path, month)
    write_page(report.html, page)
    numbers = {name: value for name, value in headline_numbers(report.rows).items() if value is not None}
    preview = _preview(month.name, headline(month, report.rows))
    return {"path": dg.MetadataValue.path(str(page)), "preview": dg.MetadataValue.md(preview), **numbers}


def _preview(title: str, tiles: "Iterable[Tile]") -> str:
    lines = [f"| {title} | | |", "| --- | ---: | --- |"]
    lines += [f"| {tile.name} | **{tile.value}** | {tile.detail} |" for tile in tiles]
    return "\n".join(lines)
