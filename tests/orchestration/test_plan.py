"""`llm-assets plan`: what days would ask and cost is told without a run, a key, a call or a trace."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fake_openai import FakeOpenAI, write_wav

from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_audio_insights
from llm_assets.cli.main import run
from llm_assets.definitions import build_definitions
from llm_assets.orchestration.jobs import JOB_NAME
from llm_assets.orchestration.plan_days import RecordingsPlan, plan_days
from llm_assets.orchestration.project_stages import ProjectStages
from llm_assets.orchestration.settings import Settings

DAY = "2026-03-02"
STRANGER = """
import dagster as dg
from llm_assets import DuckDBFrameIOManager, Extractor, OpenAIResource, build_audio_insights
from pydantic import BaseModel

class Mood(BaseModel):
    mood: str

@dg.definitions
def defs():
    return dg.Definitions.merge(
        build_audio_insights(
            {recordings!r}, dg.DailyPartitionsDefinition("2026-03-02"), prefix="sales",
            extractors=[Extractor("moods", Mood, "How do they feel?")],
        ),
        dg.Definitions(resources={{
            "openai": OpenAIResource(base_url="http://127.0.0.1:9/v1", chat=["gpt-6-luna"]),
            "sales_io_manager": DuckDBFrameIOManager(path={tables!r}),
        }}),
    )
"""


class Planner:
    """The command in a project, as a person calls it, and runs of the same project."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.root = root
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def call(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Its exit code, output and errors."""
        with self._monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            patch.setattr(sys, "path", [*sys.path])
            patch.delitem(sys.modules, "llm_assets.definitions", raising=False)  # made of the environment
            self._capsys.readouterr()
            code = run(["plan", *arguments])
        return code, *self._capsys.readouterr()

    def plan(self, *arguments: str, **environ: str) -> dict[str, Any]:
        code, output, errors = self.call("--partition", DAY, "--json", *arguments, **environ)
        assert code == 0, errors
        return json.loads(output)

    def run(self, *assets: str) -> None:
        job = build_definitions(Settings.from_env()).resolve_job_def(JOB_NAME)
        selection = [dg.AssetKey(name) for name in assets] or None
        assert job.execute_in_process(partition_key=DAY, asset_selection=selection).success


@pytest.fixture
def planner(
    project: Path, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Planner:
    for name in [name for name in os.environ if name.startswith(("LLM_ASSETS_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(project)
    environ = {
        "OPENAI_BASE_URL": server.base_url,
        "LLM_ASSETS_CHAT_CHAIN": "gpt-6-luna",
        "LLM_ASSETS_TRANSCRIPTION_CHAIN": "gpt-transcribe",
        "COLUMNS": "80",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return Planner(project, monkeypatch, capsys)


def rows(plan: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of each asset: rows, without a model, answered, to ask, estimated."""
    names = ("rows", "without_model", "answered", "to_ask", "estimated")
    return {each["asset"]: tuple(each[name] for name in names) for each in plan["assets"]}


def test_from_nothing_to_everything_answered(planner: Planner, server: FakeOpenAI) -> None:
    """Listed, then known by their length, then by their texts, then answered; and new for another model."""
    plan = planner.plan()
    assert plan["recordings"] == [{"asset": "recordings", "rows": 0, "not_read_yet": 4}]
    assert plan["cost_usd_most"] == 0
    assert not (planner.root / "data/state.sqlite").exists()
    assert not (planner.root / "data/llm_assets.duckdb").exists()

    planner.run("recordings")
    plan = planner.plan()
    assert plan["recordings"] == [{"asset": "recordings", "rows": 4, "not_read_yet": 0}]
    assert rows(plan) == {"transcripts": (4, 2, 0, 2, 0), "insights": (4, 2, 0, 2, 2)}
    transcripts, insights = plan["assets"]
    assert transcripts["audio_seconds_most"] == pytest.approx(13, abs=0.1)
    assert transcripts["cost_usd_most"] == pytest.approx(13 / 60 * 0.0045, rel=0.02)
    assert 0 < insights["cost_usd_least"] < insights["cost_usd_most"]
    assert plan["cost_usd_most"] == pytest.approx(transcripts["cost_usd_most"] + insights["cost_usd_most"])
    assert server.paths == []

    planner.run()
    asked = len(server.paths)
    plan = planner.plan()
    assert rows(plan) == {"transcripts": (4, 2, 2, 0, 0), "insights": (4, 2, 2, 0, 0)}
    assert (plan["cost_usd_least"], plan["cost_usd_most"]) == (0, 0)
    changed = planner.plan(LLM_ASSETS_CHAT_CHAIN="gpt-6.1-sol")
    assert rows(changed) == {"transcripts": (4, 2, 2, 0, 0), "insights": (4, 2, 0, 2, 0)}
    changed = planner.plan(LLM_ASSETS_TRANSCRIPTION_CHAIN="whisper-1")
    assert rows(changed)["transcripts"] == (4, 2, 0, 2, 0)
    assert len(server.paths) == asked


def test_a_recording_that_came_since_is_said(planner: Planner) -> None:
    """What no run has read is not in the numbers, and not left out in silence."""
    planner.run("recordings")
    write_wav(planner.root / "data/recordings" / DAY / "late.wav", 9, 4000)
    assert planner.plan()["recordings"][0]["not_read_yet"] == 1
    _, output, _ = planner.call("--partition", DAY)
    assert "1 recordings are not read yet" in output
    assert max(map(len, output.splitlines())) <= 80


def test_the_budget_bears_it_or_not(planner: Planner) -> None:
    """The most it can cost, the least, and what lies between."""
    planner.run("recordings")
    plan = planner.plan()
    least, most = plan["cost_usd_least"], plan["cost_usd_most"]
    assert plan["budgets"] == []
    expected = {
        most + 0.001: ("yes", "It bears this."),
        (least + most) / 2: ("perhaps", "It may not bear this"),
        least / 3: ("no", "It does not bear this"),
    }
    for per_day, (bears, said) in expected.items():
        given = {"LLM_ASSETS_BUDGET_DAY_USD": f"{per_day:.9f}"}
        (budget,) = planner.plan(**given)["budgets"]
        assert budget["bears"] == bears
        assert said in planner.call("--partition", DAY, **given)[1]
    assert budget["days"][0] >= 3


def test_what_is_spent_today_is_taken_off(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the runs of today, whichever days they were of."""
    monkeypatch.setenv("LLM_ASSETS_BUDGET_DAY_USD", "5")
    planner.run()
    (budget,) = planner.plan()["budgets"]
    assert 0 < budget["spent_today_usd"] < 0.01
    assert budget["left_today_usd"] == pytest.approx(5 - budget["spent_today_usd"])


def test_the_project_around_is_planned(
    planner: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's, with a prefix and an extractor of its own, found by what dg knows of it."""
    stranger = tmp_path / "stranger"
    package = stranger / "src" / "stranger"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    recordings = str(planner.root / "data/recordings")
    source = STRANGER.format(recordings=recordings, tables=str(tmp_path / "sales.duckdb"))
    (package / "definitions.py").write_text(source)
    (stranger / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "stranger"\n'
    )
    monkeypatch.chdir(stranger)
    plan = planner.plan()
    assert plan["recordings"] == [{"asset": "sales/recordings", "rows": 0, "not_read_yet": 4}]
    assert list(rows(plan)) == ["sales/transcripts", "sales/moods"]


class Theirs(DuckDBFrameIOManager):
    """One that may do something with the rows, so it is asked as Dagster asks."""


def test_rows_that_another_io_manager_keeps_are_counted(planner: Planner) -> None:
    """As they would be read in a run; what was never materialized is only estimated."""
    planner.run("recordings")
    settings = Settings.from_env()
    resources = {
        "openai": OpenAIResource(base_url="http://127.0.0.1:9/v1", chat=["gpt-6-luna"]),
        "io_manager": Theirs(path=settings.duckdb_path),
    }
    days = dg.DailyPartitionsDefinition(DAY)
    definitions = dg.Definitions.merge(
        build_audio_insights(settings.recordings, days), dg.Definitions(resources=resources)
    )
    with ProjectStages(definitions) as project:
        plan = asyncio.run(plan_days(project, [DAY]))
    assert plan.recordings == [RecordingsPlan(asset="recordings", rows=4, unread=0)]
    assert [(each.rows, each.to_ask, each.estimated) for each in plan.plans] == [(4, 2, 0), (4, 2, 2)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--days", "yesterday"), 2, "they look like"),
        (("--days", "2026-03-05..2026-03-02"), 2, "they look like"),
        (("--partition", "2.3.2026"), 2, "it looks like"),
        (("--days", "2026-03-02..2026-03-03", "--partition", DAY), 2, "give one of them"),
        (("--partition", "1999-01-01"), 1, "there are 2026-03-02 to "),
        (("--module", "json"), 1, "json defines nothing"),
        (("--module", "no_such_module"), 1, "cannot be loaded"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(
    planner: Planner, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """With the exit code that `--help` promises."""
    found, output, errors = planner.call(*arguments)
    assert (found, output) == (code, "")
    assert said in errors
    assert "Traceback" not in errors
