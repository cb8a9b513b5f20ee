"""What a run's process does before its first asset."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from llm_assets.orchestration.run_process import has_more_to_come

RECORDINGS, TRANSCRIPTS = dg.AssetKey("recordings"), dg.AssetKey("transcripts")

PREPARED = """
import gc, sys, time
from llm_assets.orchestration.run_process import prepare

prepare(None, is_decoding=False)
while "genai_prices.data" not in sys.modules:
    time.sleep(0.05)
print("llm_assets.llm.client" in sys.modules, gc.get_freeze_count() > 0)
"""
_PATIENCE_SECONDS = 120


@pytest.mark.parametrize(
    ("selected", "expected"),
    [(None, True), (frozenset(), True), ({RECORDINGS}, False), ({RECORDINGS, TRANSCRIPTS}, True)],
)
def test_more_is_to_come_unless_one_asset_is_selected(
    selected: frozenset[dg.AssetKey] | None, expected: bool
) -> None:
    """Dagster says None or nothing at all for a job that is run as a whole."""
    assert has_more_to_come(selected) is expected


def test_what_calls_models_is_loaded_beside_the_first_asset() -> None:
    """It comes although nobody waits for it."""
    said = subprocess.run(
        [sys.executable, "-c", PREPARED],
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE_SECONDS,
    )
    assert said.stdout.split() == ["True", "True"]
