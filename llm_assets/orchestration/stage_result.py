"""What a stage returns to Dagster: its rows, with checks and metadata day by day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.orchestration.calls import AllFinished
from llm_assets.orchestration.checks import check_row_per_recording, check_usable_rows
from llm_assets.orchestration.metadata import call_metadata, row_metadata, run_metadata
from llm_assets.orchestration.partitions import partition_dates, partition_key
from llm_assets.orchestration.rows import as_date

if TYPE_CHECKING:
    from pandas import DataFrame


def stage_result(
    context: dg.AssetExecutionContext,
    frame: DataFrame,
    upstream: DataFrame,
    finished: AllFinished[Any],
    more: Mapping[str, Any] | None = None,
) -> dg.MaterializeResult[DataFrame]:
    """The rows with their checks; `more` is metadata of the whole run, the same for all its days."""
    of_the_run = (run_metadata(finished.metrics) if finished.metrics else {}) | dict(more or {})
    for day in partition_dates(context.partition_keys):
        calls = [outcome for each in finished.items if each.day == day for outcome in each.outcomes]
        report_day(context, day, frame, call_metadata(calls) | of_the_run)
    checks = [check_usable_rows(frame), check_row_per_recording(frame, upstream)]
    return dg.MaterializeResult(value=frame, check_results=checks)


def report_day(context: dg.AssetExecutionContext, day: date, frame: DataFrame, more: dict[str, Any]) -> None:
    """Metadata for one day. Without the partition's key Dagster would copy it to every day of the run."""
    rows = frame.iloc[[at for at, value in enumerate(frame["partition_date"]) if as_date(value) == day]]
    context.add_asset_metadata(row_metadata(rows) | more, partition_key=partition_key(day))
