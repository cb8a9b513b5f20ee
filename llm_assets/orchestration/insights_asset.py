"""One more way to read transcripts: an asset of insights beside a pipeline that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import BaseModel

from llm_assets.insights.prompts import DEFAULT_MAX_OUTPUT_TOKENS, DEFAULT_REPAIRS, Extractor
from llm_assets.orchestration.assets import insights_asset
from llm_assets.orchestration.stage_asset import Surroundings


def build_insights_asset(
    name: str,
    output_model: type[BaseModel],
    prompt: str,
    partitions: dg.DailyPartitionsDefinition,
    *,
    chain: Sequence[Any] | None = None,
    max_output_tokens: int | None = DEFAULT_MAX_OUTPUT_TOKENS,
    repairs: int = DEFAULT_REPAIRS,
    transcripts: str | Sequence[str] | dg.AssetKey = "transcripts",
    **surroundings: Any,
) -> dg.AssetsDefinition:
    """The asset and the table `name`: the fields of `output_model`, extracted from each of the `transcripts`.

    `chain` are the models to ask, None for those of the resource's `chat`. The partitions are those of the
    transcripts. `surroundings` are further options of `build_audio_insights`: prefix, group_name,
    days_per_backfill_run, openai_key, io_manager_key, translation.

    Raises ConfigurationError (OutputModelError for the model) when it is built, not when it runs.
    """
    extractor = Extractor(name, output_model, prompt, max_output_tokens, chain, repairs)
    upstream = transcripts if isinstance(transcripts, dg.AssetKey) else dg.AssetKey(transcripts)
    return insights_asset(extractor, upstream, Surroundings(partitions=partitions, **surroundings))
