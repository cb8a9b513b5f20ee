"""What a source says of itself."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from llm_assets import build_audio_insights
from llm_assets.recordings.source import OF_HEARING, Hints, RecordingSource

SPLIT = RecordingSource(root="calls", channels="split", speakers=("agent", "customer"))


@pytest.mark.parametrize(
    "change",
    [
        {"hints": Hints(language="de")},
        {"hints": Hints(keywords=("Orion",))},
        {"speakers": ("customer", "agent")},
        {"speakers": (), "channels": "mix"},
        {"encoding": "flac"},
        {"target_seconds": 60},
        {"longest_silence_seconds": None},
        {"sidecars": False},
        {"continue_prompt": True},
    ],
    ids=str,
)
def test_heard_differently_is_another_version(change: dict[str, Any]) -> None:
    """Each of these makes other transcripts of the same recordings."""
    assert SPLIT.model_copy(update=change).hearing != SPLIT.hearing


@pytest.mark.parametrize(
    "change",
    [
        {"root": "s3://calls"},
        {"pattern": "**/*"},
        {"storage_options": {"key": "k"}},
        {"minimum_seconds": 1},
        {"settle_seconds": 1},
        {"timezone": "Europe/Berlin"},
    ],
    ids=str,
)
def test_found_elsewhere_is_heard_the_same(change: dict[str, Any]) -> None:
    """Where recordings lie has no part in what is said in them."""
    assert SPLIT.model_copy(update=change).hearing == SPLIT.hearing


def test_every_field_is_about_finding_or_about_hearing() -> None:
    """A new field has to be decided about."""
    finding = {"root", "pattern", "timezone", "storage_options", "minimum_seconds", "settle_seconds"}
    assert set(RecordingSource.model_fields) == finding | OF_HEARING
    assert not finding & OF_HEARING


def test_the_asset_shows_what_is_heard_differently() -> None:
    """Transcripts made with other hints are of an older version in the UI; the recordings are not."""
    days = dg.DailyPartitionsDefinition("2026-03-02")

    def versions(source: RecordingSource) -> list[str | None]:
        made = build_audio_insights(source, days).assets or ()
        assets = [each for each in made if isinstance(each, dg.AssetsDefinition)]
        known = {
            key.path[-1]: version for each in assets for key, version in each.code_versions_by_key.items()
        }
        return [known[name] for name in ("recordings", "transcripts")]

    before, after = versions(SPLIT), versions(SPLIT.model_copy(update={"hints": Hints(language="de")}))
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert versions(SPLIT) == before
