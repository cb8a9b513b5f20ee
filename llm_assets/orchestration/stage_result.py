"""What a stage made, and how it is told to Dagster: rows, checks, and metadata day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.llm.models import BudgetConfig
from llm_assets.orchestration.calls import Asked
from llm_assets.orchestration.checks import Check, CheckLimits, Facts
from llm_assets.orchestration.metadata import row_metadata, run_metadata
from llm_assets.orchestration.partitions import partition_dates, partition_key
from llm_assets.orchestration.rows import of_day
from llm_assets.warehouse.plain import Rows
from llm_assets.warehouse.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """Rows of the run's days, the calls behind them, and what else there is to say.

    `more` is metadata of the whole run, the same for all its days; `by_day` is of one day.
    """

    table: Table
    rows: Rows
    asked: Asked | None = None
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by_day: Mapping[date, Mapping[str, Any]] = field(default_factory=dict[date, Mapping[str, Any]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What a stage's result is judged by."""

    checks: Sequence[Check]
    limits: CheckLimits
    upstream: Rows | None = None
    budget: BudgetConfig | None = None


def told(
    context: dg.AssetExecutionContext, made: StageResult, judging: Judging, *, as_frame: bool
) -> dg.MaterializeResult[Any]:
    """The result as Dagster takes it. Metadata goes by partition: else it is copied to every day of a run."""
    of_the_run = dict(made.more)
    asked = made.asked
    if asked and asked.metrics:
        of_the_run |= run_metadata(asked.metrics)
        if chart := asked.calls.chart.markdown():
            of_the_run["run.chart"] = dg.MetadataValue.md(chart)
    days = partition_dates(context.partition_keys)
    for day in days:
        upstream = judging.upstream and of_day(judging.upstream, day)
        metadata = row_metadata(of_day(made.rows, day), upstream)
        metadata |= of_the_run | dict(made.by_day.get(day, {}))
        if asked:
            metadata |= asked.calls.by_day[day].metadata()
        context.add_asset_metadata(metadata, partition_key=partition_key(day))
    facts = Facts(
        rows=made.rows,
        days=days,
        upstream=judging.upstream,
        metrics=asked.metrics if asked else None,
        budget=judging.budget,
        spent=asked.spent if asked else {},
    )
    results = [check.result(facts, judging.limits) for check in judging.checks]
    return dg.MaterializeResult(value=_frame(made) if as_frame else made.rows, check_results=results)


def _frame(made: StageResult) -> DataFrame:
    from llm_assets.warehouse.frames import frame_of

    return frame_of(made.table, made.rows)
