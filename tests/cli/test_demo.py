"""The demo runs the real pipeline against a real emulator, asks no paid API, and cleans up after itself."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from llm_assets.cli import demo, emulator_process, project
from llm_assets.cli.demo import demo_environment, lay_out, require_recognition, run_demo
from llm_assets.cli.demo_result import DemoResult, next_commands, show_result
from llm_assets.cli.demo_screen import Screen
from llm_assets.cli.emulator_process import running_emulator
from llm_assets.cli.project import SAMPLE_DAYS, SAMPLES, plan_layout
from llm_assets.errors import LLMAssetsError, MissingExtra
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import TRANSCRIPTS

# Long ago, so that nobody can be taken to be still writing the samples.
INSTALLED = 1_767_225_600
RESULT = DemoResult(
    root="/srv/project",
    seconds=39.4,
    calls=0,
    journal_hits=2,
    cost_usd=Decimal("0.0708"),
    audio_seconds=120.0,
    input_tokens=16_760,
    output_tokens=1_786,
    insights=[
        {"day": "2026-03-02", "recording": "a.ogg", "status": "ok", "sentiment": "negative",
         "intent": "refund", "outcome": "refunded", "summary": "Money back."},
        {"day": "2026-03-02", "recording": "b.ogg", "status": "unreadable", "sentiment": None,
         "intent": None, "outcome": None, "summary": "empty"},
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with running_emulator() as base_url:
        yield base_url


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and an installed package whose samples are three short tones."""
    package = tmp_path / "site-packages" / "llm_assets"
    for number, day in enumerate(SAMPLE_DAYS):
        recording = package / "_project" / SAMPLES / day / f"tone {number}.wav"
        recording.parent.mkdir(parents=True)
        with wave.open(str(recording), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes([0, number + 1, 0, 255 - number]) * 8000 * 3)
        os.utime(recording, (INSTALLED, INSTALLED))
    repository = Path(project.__file__).parents[2]
    for name in project.PROJECT_FILES:
        (package / "_project" / name).write_text((repository / name).read_text())
    monkeypatch.setattr(project, "_PACKAGE", package)
    folder = tmp_path / "empty folder"
    folder.mkdir()
    return folder


def screen() -> tuple[Screen, io.StringIO]:
    said = io.StringIO()
    return Screen(console=Console(file=said)), said


def test_it_runs_from_an_empty_folder_and_asks_nothing_the_second_time(
    root: Path, emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project is laid out, three days are materialized in its instance, and again from the journal."""
    monkeypatch.setenv("LLM_ASSETS_START_DATE", "nonsense that the demo must not read")
    shown, said = screen()
    lay_out(plan_layout(root), shown)
    assert str(SAMPLES / SAMPLE_DAYS[0] / "tone 0.wav") in said.getvalue()

    first = run_demo(root, shown, lambda: nullcontext(emulator))
    assert (first.calls, first.journal_hits, len(first.insights)) == (3, 0, 3)
    assert first.cost_usd > 0
    again = run_demo(root, shown, lambda: nullcontext(emulator))
    assert (again.calls, again.journal_hits) == (0, 3)
    assert again.cost_usd == first.cost_usd
    assert "transcripts: 3 of 3" in said.getvalue()

    monkeypatch.setenv("DAGSTER_HOME", str(root))
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        assert {run.tags["dagster/code_location"] for run in runs} == {"llm_assets"}
        for asset in ("recordings", "transcripts", "insights"):
            partitions = instance.get_materialized_partitions(dg.AssetKey(asset))
            assert partitions == set(SAMPLE_DAYS), asset


def test_answers_of_a_real_model_are_not_replaced(root: Path, emulator: str) -> None:
    """Where the sample days hold what somebody paid for, the demo says so and touches nothing."""
    lay_out(plan_layout(root), screen()[0])
    run_demo(root, screen()[0], lambda: nullcontext(emulator))
    database = root / "data/llm_assets.duckdb"
    day = date(2026, 3, 2)
    paid = read_partition(str(database), TRANSCRIPTS, [day])
    paid["llm_calls"] = '[{"status": "answered", "request_id": "req_123"}]'
    replace_partition(str(database), TRANSCRIPTS, [day], paid)
    with pytest.raises(LLMAssetsError, match="answers of a real model"):
        run_demo(root, screen()[0], lambda: nullcontext(emulator))


def test_a_key_in_the_shell_is_not_used_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo never asks a paid API; afterwards the environment is as it was."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("LLM_ASSETS_DUCKDB", "/srv/production.duckdb")
    before = dict(os.environ)
    with demo_environment(tmp_path, "http://127.0.0.1:9/v1"):
        assert os.environ["OPENAI_API_KEY"] == "emulator"
        assert os.environ["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"
        assert "LLM_ASSETS_DUCKDB" not in os.environ
    assert dict(os.environ) == before
    shown, said = screen()
    shown.say_what_is_ignored(os.environ)
    assert "OPENAI_API_KEY is set, and not used" in said.getvalue()
    assert "LLM_ASSETS_DUCKDB" in said.getvalue()


def test_without_speech_recognition_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started or written."""
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"llm-assets\[local\]"):
        require_recognition()


def audit(base_url: str) -> int:
    return urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/audit", timeout=60).status


def test_the_emulator_is_stopped_when_something_fails() -> None:
    """Nothing keeps running behind."""
    seen: list[str] = []

    def fail() -> None:
        with running_emulator() as base_url:
            seen.append(base_url)
            assert audit(base_url) == 200
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(urllib.error.URLError):
        audit(seen[0])


def test_an_emulator_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own message is passed on."""
    monkeypatch.setattr(emulator_process, "_OPTIONS", ["--port", "no-port"])
    with pytest.raises(LLMAssetsError, match="no-port"), running_emulator():
        pass


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    """In the middle of the calls: exit code 130, one word, no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_assets.cli.main", "demo"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = next(line for line in process.stderr if line.startswith(("recordings:", "Error")))
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)
    assert said.startswith("recordings:")
    assert process.returncode == 130
    assert rest.strip().splitlines()[-1] == "Interrupted."
    assert "Traceback" not in rest


def test_the_result_is_a_table_a_price_and_two_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """What a person reads at the end, also of what was asked."""
    show_result(RESULT, as_json=False)
    text = capsys.readouterr().out
    for words in ("a.ogg", "negative", "(unreadable)", "0 calls, 2 answers from the journal", "$0.071"):
        assert words in text
    assert all(command in text for command in next_commands(Path(RESULT.root)))


def test_the_result_for_scripts_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """All numbers, amounts as text."""
    show_result(RESULT, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["cost_usd"] == "0.0708"
    assert found["insights"][0]["intent"] == "refund"
