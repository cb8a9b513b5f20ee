"""The assets of the pipeline: recordings, transcripts, and insights of each extractor, one partition a day.

They are thin: a module for each stage does the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.insights.columns import output_columns
from llm_assets.insights.prompts import Extractor
from llm_assets.orchestration.checks import OF_ANSWERS, OF_RECORDINGS, OF_TRANSCRIPTS
from llm_assets.orchestration.code_references import class_place
from llm_assets.orchestration.io_manager import COLUMN_SCHEMA, column_schema
from llm_assets.orchestration.stage_asset import StageAsset, Surroundings, build_stage_asset, openai_of
from llm_assets.recordings.source import RecordingSource
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Column, Table, insights_table

if TYPE_CHECKING:
    from llm_assets.orchestration.stage_result import StageResult
    from llm_assets.warehouse.plain import Rows


def recordings_asset(source: RecordingSource, surroundings: Surroundings) -> dg.AssetsDefinition:
    """The day's recordings, found and probed."""
    spec = surroundings.spec(
        "recordings",
        kinds={"audio", "duckdb"},
        code_version=f"1:{source.minimum_seconds:g}",
        description="The day's audio recordings, with what they are and whether they can be used.",
        metadata={
            COLUMN_SCHEMA: column_schema(RECORDINGS),
            "recordings_root": dg.MetadataValue.path(source.place),
        },
    )

    def compute(context: dg.AssetExecutionContext, _: Rows | None) -> StageResult:
        from llm_assets.orchestration.recordings_stage import read_recordings

        return read_recordings(context, source)

    stage = StageAsset(spec=spec, source=source, checks=OF_RECORDINGS, compute=compute)
    return build_stage_asset(stage, surroundings)


def transcripts_asset(
    source: RecordingSource, recordings: dg.AssetKey, surroundings: Surroundings
) -> dg.AssetsDefinition:
    """What is said in each of the `recordings`."""
    spec = surroundings.spec(
        "transcripts",
        kinds={"openai", "duckdb"},
        code_version=f"1:{source.hearing}",
        description="What is said in each recording, whole and as segments with their times.",
        metadata={COLUMN_SCHEMA: column_schema(TRANSCRIPTS)},
    )

    def compute(context: dg.AssetExecutionContext, upstream: Rows | None) -> StageResult:
        from llm_assets.orchestration.transcripts_stage import make_transcripts

        assert upstream is not None
        return make_transcripts(context, openai_of(context, surroundings), upstream, source)

    lineage = {name: (name,) for name in ("partition_date", "recording_id", "duration_seconds")}
    lineage |= dict.fromkeys(("text", "language"), ("path", "sha256"))
    stage = StageAsset(
        spec=spec, source=source, upstream=recordings, checks=OF_TRANSCRIPTS, lineage=lineage, compute=compute
    )
    return build_stage_asset(stage, surroundings)


def insights_asset(
    extractor: Extractor, transcripts: dg.AssetKey, surroundings: Surroundings
) -> dg.AssetsDefinition:
    """What the extractor makes of each of the `transcripts`, called like the extractor."""
    table = output_table(extractor)
    spec = surroundings.spec(
        extractor.name,
        kinds={"openai", "duckdb"},
        # The prompt, the schema and the chain: the UI shows the rows that were asked for with another one.
        code_version=extractor.code_version,
        description=f"{extractor.output_model.__name__} of each transcript: one typed column per field.",
        metadata={
            COLUMN_SCHEMA: column_schema(table),
            "prompt": dg.MetadataValue.md(extractor.instructions),
        },
        defined_in=[class_place(extractor.output_model)],
    )

    def compute(context: dg.AssetExecutionContext, upstream: Rows | None) -> StageResult:
        from llm_assets.orchestration.insights_stage import make_insights

        assert upstream is not None
        return make_insights(context, openai_of(context, surroundings), upstream, extractor, table)

    lineage = {name: (name,) for name in ("partition_date", "recording_id")}
    lineage |= {column.name: ("text",) for column in output_columns(extractor.output_model)}
    stage = StageAsset(
        spec=spec,
        extractor=extractor,
        upstream=transcripts,
        checks=OF_ANSWERS,
        lineage=lineage,
        compute=compute,
    )
    return build_stage_asset(stage, surroundings)


def output_table(extractor: Extractor) -> Table:
    """The table of an extractor's insights."""
    columns = [Column(c.name, c.sql_type, c.description) for c in output_columns(extractor.output_model)]
    return insights_table(extractor.name, columns)
