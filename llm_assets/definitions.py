"""The project that Dagster loads (`workspace.yaml`): everything from the environment, nothing done yet.

A plain user of the package: the same functions make these definitions in any other Dagster project. No
key is needed to load it; a setting with a wrong value is said here, a missing key when a run begins.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from llm_assets.orchestration.build import build_audio_insights
from llm_assets.orchestration.io_manager import DuckDBFrameIOManager
from llm_assets.orchestration.partitions import daily_partitions
from llm_assets.orchestration.report_asset import build_report_asset
from llm_assets.orchestration.resource import OpenAIResource
from llm_assets.orchestration.settings import Settings
from llm_assets.recordings.source import RecordingSource


def build_definitions(
    settings: Settings, openai: OpenAIResource | None = None, **options: Any
) -> dg.Definitions:
    """Assets, checks, job, schedule and resources for these settings.

    `options` are further ones of `build_audio_insights`.
    """
    surroundings = dg.Definitions(
        resources={
            "openai": openai or build_resource(settings),
            "io_manager": DuckDBFrameIOManager(path=settings.duckdb_path),
        },
        # The assets of a run follow each other, so a process for each would only cost its start.
        executor=dg.in_process_executor,
    )
    days = daily_partitions(settings)
    recordings = RecordingSource.of(settings.recordings).named("LLM_ASSETS_RECORDINGS")
    pipeline = build_audio_insights(recordings, days, **options)
    stages = [asset.key for asset in pipeline.assets or () if isinstance(asset, dg.AssetsDefinition)]
    report = build_report_asset(settings.duckdb_path, days, stages)
    return dg.Definitions.merge(pipeline, dg.Definitions(assets=[report]), surroundings)


def build_resource(settings: Settings, **fields: Any) -> OpenAIResource:
    """The models and budget for these settings; keys stay references to the environment.

    `fields` are further ones of OpenAIResource, or others in place of these.
    """
    caps = {"usd_per_run": settings.budget_run_usd, "usd_per_day": settings.budget_day_usd}
    given: dict[str, Any] = {
        "api_key": dg.EnvVar("OPENAI_API_KEY"),
        "base_url": dg.EnvVar("OPENAI_BASE_URL"),
        "anthropic_api_key": dg.EnvVar("ANTHROPIC_API_KEY"),
        "transcription": list(settings.transcription_chain),
        "chat": list(settings.chat_chain),
        # As text: configuration has no decimals, and a binary fraction is not the amount that was set.
        "budget": {name: str(amount) for name, amount in caps.items() if amount is not None},
        "state": _private(settings.state, "LLM_ASSETS_STATE"),
        "quota": dg.EnvVar("LLM_ASSETS_QUOTA"),
        "timezone": settings.timezone,
    }
    return OpenAIResource(**given | fields)


def _private(place: str, variable: str) -> str:
    """A database URL can hold a password, so it stays a reference; a path is written out, absolute."""
    return dg.EnvVar(variable) if "://" in place else place


defs = build_definitions(Settings.from_env())
