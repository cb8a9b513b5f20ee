"""The three assets: recordings, transcripts and insights, one partition a day.

They are thin: a module for each stage does the work and is imported inside a run,
with everything heavy (pandas, DuckDB, PyAV), so the project loads in the time Dagster itself needs. This
module has no postponed annotations, since Dagster reads those of an asset as they stand; a data frame is
`Any` to Dagster, so that any IO manager for data frames fits.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.insights.columns import output_columns
from llm_assets.insights.prompts import Extractor, call_insights_extractor
from llm_assets.orchestration.checks import row_per_recording_spec, usable_rows_spec
from llm_assets.orchestration.errors import as_failures
from llm_assets.orchestration.io_manager import COLUMN_SCHEMA, column_schema
from llm_assets.orchestration.resource import OpenAIResource
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Column, Table, insights_table

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any

GROUP = "audio_insights"
MINIMUM_SECONDS = 5.0

# A run that fails leaves all of its days as they were, so a backfill's run is a week: starting it costs
# little beside the work, and one bad day holds up few others.
DAYS_PER_BACKFILL_RUN = 7


def build_audio_insights_assets(
    recordings_root: str,
    partitions: dg.DailyPartitionsDefinition,
    *,
    extractor: Extractor | None = None,
    minimum_seconds: float = MINIMUM_SECONDS,
    days_per_backfill_run: int = DAYS_PER_BACKFILL_RUN,
) -> list[dg.AssetsDefinition]:
    """The assets `recordings`, `transcripts` and one named like the extractor (default: `insights`).

    They need the resources `openai` (an OpenAIResource) and `io_manager` (any that keeps data frames).
    Recordings shorter than `minimum_seconds` are rows without a call to a model.
    """
    with warnings.catch_warnings():
        # Backfill policies are what these assets are built around; a team is not helped by the notice.
        warnings.simplefilter("ignore", dg.BetaWarning)
        days = _Days(partitions, dg.BackfillPolicy.multi_run(max_partitions_per_run=days_per_backfill_run))
        return [
            _recordings(recordings_root, minimum_seconds, days),
            _transcripts(recordings_root, days),
            _insights(extractor or call_insights_extractor(), days),
        ]


@dataclass(frozen=True, slots=True)
class _Days:
    """How the days are partitions, and how many of them a run of a backfill takes."""

    partitions: dg.DailyPartitionsDefinition
    backfill: dg.BackfillPolicy


def _recordings(root: str, minimum_seconds: float, days: _Days) -> dg.AssetsDefinition:
    key = dg.AssetKey("recordings")

    @dg.asset(
        partitions_def=days.partitions,
        backfill_policy=days.backfill,
        group_name=GROUP,
        key=key,
        kinds={"audio", "duckdb"},
        code_version=f"1:{minimum_seconds:g}",
        description="The day's audio recordings, with what they are and whether they can be used.",
        metadata={COLUMN_SCHEMA: column_schema(RECORDINGS), "recordings_root": dg.MetadataValue.path(root)},
        check_specs=[usable_rows_spec(key)],
    )
    def recordings(context: dg.AssetExecutionContext):
        from llm_assets.orchestration.recordings_stage import read_recordings

        with as_failures():
            return read_recordings(context, root, minimum_seconds)

    return recordings


def _transcripts(root: str, days: _Days) -> dg.AssetsDefinition:
    key, upstream = dg.AssetKey("transcripts"), dg.AssetKey("recordings")

    @dg.asset(
        partitions_def=days.partitions,
        backfill_policy=days.backfill,
        group_name=GROUP,
        key=key,
        kinds={"openai", "duckdb"},
        code_version="1",
        description="What is said in each recording, whole and as segments with their times.",
        metadata={COLUMN_SCHEMA: column_schema(TRANSCRIPTS)},
        check_specs=[usable_rows_spec(key), row_per_recording_spec(key, upstream)],
    )
    def transcripts(context: dg.AssetExecutionContext, openai: OpenAIResource, recordings: DataFrame):
        from llm_assets.orchestration.transcripts_stage import make_transcripts

        with as_failures():
            return make_transcripts(context, openai, recordings, root)

    return transcripts


def _insights(extractor: Extractor, days: _Days) -> dg.AssetsDefinition:
    key, upstream = dg.AssetKey(extractor.name), dg.AssetKey("transcripts")
    table = output_table(extractor)

    @dg.asset(
        partitions_def=days.partitions,
        backfill_policy=days.backfill,
        group_name=GROUP,
        key=key,
        kinds={"openai", "duckdb"},
        # The prompt and the schema: the UI shows the rows that were asked for with another one.
        code_version=extractor.prompt_version,
        description=f"{extractor.output_model.__name__} of each transcript: one typed column per field.",
        metadata={COLUMN_SCHEMA: column_schema(table), "prompt": dg.MetadataValue.md(extractor.instructions)},
        check_specs=[usable_rows_spec(key), row_per_recording_spec(key, upstream)],
    )
    def insights(context: dg.AssetExecutionContext, openai: OpenAIResource, transcripts: DataFrame):
        from llm_assets.orchestration.insights_stage import make_insights

        with as_failures():
            return make_insights(context, openai, transcripts, extractor, table)

    return insights


def output_table(extractor: Extractor) -> Table:
    """The table of an extractor's insights."""
    columns = [Column(c.name, c.sql_type, c.description) for c in output_columns(extractor.output_model)]
    return insights_table(extractor.name, columns)
