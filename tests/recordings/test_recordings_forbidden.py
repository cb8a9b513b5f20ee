"""Places that can be listed and not read: one error for the partition, or the row of the one recording."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from bucket import Bucket

from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_audio_insights
from llm_assets.recordings.source import RecordingSource

DAY = "2026-03-02"
SAMPLE = Path(__file__).parents[2] / "data" / "recordings" / DAY / "1041-internet-outage.ogg"
NOBODY = "http://127.0.0.1:9/v1"


class Pipeline:
    """The two assets that read recordings, with the tables they keep. No model can be asked."""

    def __init__(self, source: RecordingSource, folder: Path) -> None:
        resources = {
            "openai": OpenAIResource(base_url=NOBODY, retry={"max_attempts": 1}),
            "io_manager": DuckDBFrameIOManager(path=str(folder / "tables.duckdb")),
        }
        days = dg.DailyPartitionsDefinition(DAY)
        assets = build_audio_insights(source, days, retry_policy=None)
        self._defs = dg.Definitions.merge(assets, dg.Definitions(resources=resources))

    def run(self, *assets: str) -> dg.ExecuteInProcessResult:
        selection = [dg.AssetKey(name) for name in assets]
        return self._defs.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=DAY,
            raise_on_error=False,
            instance=dg.DagsterInstance.ephemeral(),
            asset_selection=selection,
        )


def why(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(str(event.step_failure_data) for event in result.all_events if event.is_step_failure)


def rows(result: dg.ExecuteInProcessResult) -> Any:
    return result.output_for_node("recordings")


@pytest.fixture
def calls(bucket: Bucket) -> Bucket:
    for number in range(3):
        bucket.put(f"{DAY}/{number}.ogg", SAMPLE.read_bytes() + bytes(number))
    return bucket


def is_reading(request: str) -> bool:
    return "list-type" not in request


def test_a_place_that_may_only_be_listed_fails_the_run_once(calls: Bucket, tmp_path: Path) -> None:
    """One sentence that says which permission is missing, in place of a row for each recording."""
    calls.server.refused = is_reading
    result = Pipeline(calls.source(), tmp_path).run("recordings")
    assert not result.success
    assert "None of the 3 recordings" in why(result)
    assert "s3:GetObject" in why(result)


def test_one_that_may_not_be_read_is_its_own_row(calls: Bucket, tmp_path: Path) -> None:
    """The others show that the credentials are good."""
    calls.server.refused = lambda request: request.startswith(f"GET /{calls.name}/{DAY}/1.ogg")
    result = Pipeline(calls.source(), tmp_path).run("recordings")
    assert result.success
    assert [row["status"] for row in rows(result)] == ["ok", "unreadable", "ok"]
    assert "Access Denied" in rows(result)[1]["error"]


@pytest.mark.parametrize("refused", ["recording", "hints"])
def test_what_may_no_longer_be_read_fails_the_run(calls: Bucket, tmp_path: Path, refused: str) -> None:
    """It was read a moment ago, so it is no fault of the recording and no row says so."""
    calls.put(f"{DAY}/1.json", b'{"language": "en"}')
    pipeline = Pipeline(calls.source(), tmp_path)
    assert pipeline.run("recordings").success
    end = {"recording": ".ogg?", "hints": ".json?"}[refused]
    calls.server.refused = lambda request: is_reading(request) and end in request
    result = pipeline.run("transcripts")
    assert "can no longer be read" in why(result)


def test_a_silent_network_holds_up_no_end(tmp_path: Path) -> None:
    """Its own time-outs are ten minutes here, and the process that was told to end is gone long before."""
    pytest.importorskip("s3fs")
    script = f"""
        import asyncio, socket
        from datetime import date
        from llm_assets.recordings.place import FoundRecording
        from llm_assets.recordings.source import RecordingSource
        from llm_assets.recordings.workers import Preparers

        async def main():
            with socket.create_server(("127.0.0.1", 0)) as mute:
                url = f"http://127.0.0.1:{{mute.getsockname()[1]}}"
                options = {{"endpoint_url": url, "key": "a", "secret": "b",
                           "config_kwargs": {{"read_timeout": 600}}}}
                source = RecordingSource(root="s3://calls", storage_options=options)
                async with Preparers(processes=1) as preparers:
                    found = FoundRecording("{DAY}/a.ogg", "a.ogg", 9, None)
                    reading = asyncio.ensure_future(preparers.read(source, found, date(2026, 3, 2)))
                    await asyncio.get_running_loop().run_in_executor(None, mute.accept)
                    reading.cancel()

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {"PYTHONPATH": ":".join(sys.path), "TMPDIR": str(tmp_path)}
    assert subprocess.run(command, timeout=120, env=environment).returncode == 0
    assert not list(tmp_path.iterdir())
