"""What the asset `recordings` does with recordings that are not finished, and with places that fail."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fake_openai import FakeOpenAI, write_wav

from llm_assets import DuckDBFrameIOManager, OpenAIResource, RecordingSource, build_audio_insights

DAY = "2026-03-02"


def run(source: RecordingSource, folder: Path, base_url: str) -> tuple[dg.ExecuteInProcessResult, Any]:
    days = dg.DailyPartitionsDefinition("2026-03-02")
    resources = {
        "openai": OpenAIResource(base_url=base_url),
        "io_manager": DuckDBFrameIOManager(path=str(folder / "tables.duckdb")),
    }
    defs = dg.Definitions.merge(
        build_audio_insights(source, days, retry_policy=None), dg.Definitions(resources=resources)
    )
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=DAY, raise_on_error=False, instance=dg.DagsterInstance.ephemeral()
    )
    made = result.asset_materializations_for_node("recordings")
    return result, made[0].metadata if made else {}


def test_a_recording_that_is_still_written_is_left_and_named(tmp_path: Path, server: FakeOpenAI) -> None:
    """The finished one is a row and is asked for, the other one is neither, and the run succeeds."""
    root = tmp_path / "calls"
    write_wav(root / DAY / "done.wav", 6)
    write_wav(root / DAY / "half.wav", 7)
    os.utime(root / DAY / "done.wav", (time.time() - 7200,) * 2)
    source = RecordingSource(root=root, settle_seconds=3600)
    result, metadata = run(source, tmp_path, server.base_url)
    assert result.success
    assert (metadata["rows"].value, metadata["left_for_a_later_run"].value) == (1, 1)
    assert "half.wav" in metadata["left_recordings"].value
    assert server.count("transcriptions") == 1


def test_a_place_that_is_down_fails_the_run_before_any_call(tmp_path: Path, server: FakeOpenAI) -> None:
    """One sentence with the place and no key in it."""
    pytest.importorskip("s3fs")
    options = {"endpoint_url": "http://127.0.0.1:9", "key": "AKIAEXAMPLE", "secret": "very-secret-key"}
    source = RecordingSource(root="s3://calls/raw", storage_options=options)
    result, _ = run(source, tmp_path, server.base_url)
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert "s3://calls/raw cannot be listed" in str(failed.step_failure_data)
    assert "very-secret-key" not in str(result.all_events)
    assert not server.paths


def test_the_same_content_with_different_hints_is_said(
    tmp_path: Path, server: FakeOpenAI, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is one transcript and can be heard in one way only: the first one's, and the log names both."""
    day = tmp_path / "calls" / DAY
    for name, language in (("a", "en"), ("b", "de")):
        write_wav(day / f"{name}.wav", 6)
        (day / f"{name}.json").write_text(json.dumps({"language": language}))
    result, _ = run(RecordingSource(root=tmp_path / "calls", settle_seconds=0), tmp_path, server.base_url)
    assert result.success
    assert server.count("transcriptions") == 1
    said = " ".join(capfd.readouterr().err.split())
    assert f"{DAY}/a.wav, {DAY}/b.wav have the same content and different hints" in said
    assert f"with the hints of {DAY}/a.wav" in said
