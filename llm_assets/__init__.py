"""Audio recordings to transcripts to structured insights, as daily-partitioned Dagster assets in DuckDB.

Names are loaded when they are first used: importing this package costs nothing, and `llm_assets.llm`
serves a program that has no Dagster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_assets.insights.call_insights import CallInsights
    from llm_assets.insights.prompts import CALL_PROMPT, Extractor, call_insights_extractor
    from llm_assets.insights.spoken import SpokenText, Verbatim
    from llm_assets.llm.client import LLMClient
    from llm_assets.llm.metrics import MetricsSnapshot
    from llm_assets.llm.models import ClientConfig, ModelConfig
    from llm_assets.llm.requests import ChatRequest, Message, Outcome, OutputSchema, TranscriptionRequest
    from llm_assets.llm.stopping import stop_on_sigterm
    from llm_assets.orchestration.build import build_audio_insights
    from llm_assets.orchestration.checks import CheckLimits
    from llm_assets.orchestration.component import AudioInsights
    from llm_assets.orchestration.connect import connect
    from llm_assets.orchestration.insights_asset import build_insights_asset
    from llm_assets.orchestration.io_manager import DuckDBFrameIOManager
    from llm_assets.orchestration.report_asset import build_report_asset
    from llm_assets.orchestration.resource import OpenAIResource
    from llm_assets.orchestration.schedule import DailyRhythm
    from llm_assets.orchestration.sensor import LateRecordings
    from llm_assets.recordings.source import Hints, RecordingSource

_HOMES = {
    "LateRecordings": "orchestration.sensor",
    "DailyRhythm": "orchestration.schedule",
    "CheckLimits": "orchestration.checks",
    "AudioInsights": "orchestration.component",
    "CALL_PROMPT": "insights.prompts",
    "CallInsights": "insights.call_insights",
    "ChatRequest": "llm.requests",
    "ClientConfig": "llm.models",
    "DuckDBFrameIOManager": "orchestration.io_manager",
    "Extractor": "insights.prompts",
    "Hints": "recordings.source",
    "LLMClient": "llm.client",
    "Message": "llm.requests",
    "MetricsSnapshot": "llm.metrics",
    "ModelConfig": "llm.models",
    "OpenAIResource": "orchestration.resource",
    "Outcome": "llm.requests",
    "OutputSchema": "llm.requests",
    "RecordingSource": "recordings.source",
    "SpokenText": "insights.spoken",
    "TranscriptionRequest": "llm.requests",
    "Verbatim": "insights.spoken",
    "build_audio_insights": "orchestration.build",
    "build_report_asset": "orchestration.report_asset",
    "build_insights_asset": "orchestration.insights_asset",
    "call_insights_extractor": "insights.prompts",
    "connect": "orchestration.connect",
    "stop_on_sigterm": "llm.stopping",
}

__all__ = [
    "CALL_PROMPT",
    "AudioInsights",
    "CallInsights",
    "ChatRequest",
    "CheckLimits",
    "ClientConfig",
    "DailyRhythm",
    "DuckDBFrameIOManager",
    "Extractor",
    "Hints",
    "LLMClient",
    "LateRecordings",
    "Message",
    "MetricsSnapshot",
    "ModelConfig",
    "OpenAIResource",
    "Outcome",
    "OutputSchema",
    "RecordingSource",
    "SpokenText",
    "TranscriptionRequest",
    "Verbatim",
    "build_audio_insights",
    "build_insights_asset",
    "build_report_asset",
    "call_insights_extractor",
    "connect",
    "stop_on_sigterm",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
