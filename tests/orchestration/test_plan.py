"""`llm-assets plan`: what days would ask and cost is told without a run, a key, a call or a trace."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fake_openai import FakeOpenAI, finished, write_wav

from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_audio_insights
from llm_assets.cli.main import run
from llm_assets.definitions import build_definitions
from llm_assets.orchestration.jobs import JOB_NAME
from llm_assets.orchestration.plan_days import plan_days
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


def listed(asset: str, **counts: int) -> dict[str, Any]:
    return {"asset": asset, **counts, "outside_layout": 0}


def test_from_nothing_to_everything_answered(planner: Planner, server: FakeOpenAI) -> None:
    """Listed, then known by their length, then by their texts, then answered; and new for another model."""
    plan = planner.plan()
    assert plan["recordings"] == [listed("recordings", rows=0, not_read_yet=4)]
    assert plan["cost_usd_most"] == 0
    assert not (planner.root / "data/state.sqlite").exists()
    assert not (planner.root / "data/llm_assets.duckdb").exists()

    planner.run("recordings")
    plan = planner.plan()
    assert plan["recordings"] == [listed("recordings", rows=4, not_read_yet=0)]
    assert rows(plan) == {"transcripts": (4, 2, 0, 2, 0), "insights": (4, 2, 0, 2, 2)}
    transcripts, insights = plan["assets"]
    assert transcripts["audio_seconds_most"] == pytest.approx(13, abs=0.1)
    assert transcripts["cost_usd_most"] == pytest.approx(13 / 60 * 0.0045, rel=0.02)
    assert 0 == insights["cost_usd_least"] < insights["cost_usd_most"]
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
    assert "1 recording is not read yet" in output
    command = "dagster asset materialize -m llm_assets.definitions --select recordings --partition 2026-03-02"
    assert f"\n  {command}\n" in output
    assert max(len(line) for line in output.splitlines() if not line.startswith("  ")) <= 80


def test_what_is_not_counted_leaves_the_verdict_open(planner: Planner) -> None:
    """Unless what is counted is too much already; and each day's command is there to be typed."""
    plenty, nothing = {"LLM_ASSETS_BUDGET_DAY_USD": "50"}, {"LLM_ASSETS_BUDGET_DAY_USD": "0.0001"}
    (budget,) = planner.plan(**plenty)["budgets"]
    assert (budget["bears"], budget["recordings_not_counted"], budget["days"]) == ("unknown", 4, None)
    assert "cannot be said yet" in " ".join(planner.call("--partition", DAY, **plenty)[1].split())
    planner.run("recordings")
    assert planner.plan(**plenty)["budgets"][0]["bears"] == "yes"
    for day in (DAY, "2026-03-03"):
        write_wav(planner.root / "data/recordings" / day / "late.wav", 9, 4000)
    assert planner.plan(**plenty)["budgets"][0]["bears"] == "unknown"
    assert planner.plan(**nothing)["budgets"][0]["bears"] == "no"
    _, output, _ = planner.call("--days", "2026-03-02..2026-03-03")
    assert "  for day in 2026-03-02 2026-03-03; do dagster asset " in output
    assert "--partition $day; done" in output


def test_recordings_that_no_day_has_are_said(planner: Planner) -> None:
    """Beside the days' folders, and in folders that are named almost like days."""
    recordings = planner.root / "data/recordings"
    for place in ("2026-3-2", "20260303", "2026-02-30", "."):
        write_wav(recordings / place / "lost.wav", 9, 4000)
    (recordings / "notes.txt").touch()
    assert planner.plan()["recordings"][0]["outside_layout"] == 4
    _, output, _ = planner.call("--partition", DAY)
    assert "4 recordings lie outside the layout" in output
    assert "2026-3-2/lost.wav" in output


def test_the_place_is_named_where_nothing_is(
    planner: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quiet day of a project is fine; zeros about no project at all are a mistake."""
    workspace = "load_from: [{python_module: llm_assets.definitions}]"
    (planner.root / "workspace.yaml").write_text(workspace)
    code, output, _ = planner.call("--partition", "2026-03-09")
    assert code == 0
    assert "There is nothing for recordings of these days at" in output
    assert "{date:%Y-%m-%d}/**/*" in output
    (planner.root / "workspace.yaml").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("LLM_ASSETS_RECORDINGS", str(planner.root / "data/recordings"))
    code, output, errors = planner.call("--partition", "2026-03-09")
    assert (code, output) == (1, "")
    assert f"there is no project in {elsewhere}" in errors
    assert str(planner.root / "data/recordings") in errors
    assert planner.plan()["recordings"][0]["not_read_yet"] == 4


def test_repeats_are_not_answered(planner: Planner) -> None:
    """The same content twice is asked once, and is a column of its own."""
    day = planner.root / "data/recordings" / DAY
    write_wav(day / "one.wav", 9, 4000)
    (day / "two.wav").write_bytes((day / "one.wav").read_bytes())
    finished(day / "two.wav")
    planner.run("recordings")
    assert [each["repeated"] for each in planner.plan()["assets"]] == [1, 1]
    _, output, _ = planner.call("--partition", DAY)
    names, _, transcripts, *_ = output.splitlines()[1:]
    assert names.split()[:7] == ["asset", "rows", "no", "model", "answered", "repeated", "to"]
    assert transcripts.split()[1:6] == ["6", "2", "0", "1", "3"]


def test_days_that_are_no_partitions_are_said(planner: Planner) -> None:
    """One day is a range too."""
    _, output, _ = planner.call("--days", "2026-02-20..2026-03-02")
    assert "10 days are no partitions and left out." in output
    _, output, _ = planner.call("--days", "2026-02-20..2026-03-02", "--json")
    assert json.loads(output)["days_left_out"] == 10
    code, output, _ = planner.call("--days", DAY)
    assert (code, output.splitlines()[0]) == (0, f"{DAY}:")


def test_a_model_without_a_price_may_be_misspelt(planner: Planner) -> None:
    """Said where the cost is unknown."""
    planner.run("recordings")
    _, output, _ = planner.call("--partition", DAY, LLM_ASSETS_CHAT_CHAIN="gpt-6-lunar")
    assert "does not know gpt-6-lunar. Perhaps it is misspelt" in " ".join(output.split())


def test_small_amounts_are_not_nothing(planner: Planner) -> None:
    """A tenth of a cent is a budget."""
    _, output, _ = planner.call("--partition", DAY, LLM_ASSETS_BUDGET_RUN_USD="0.001")
    assert "$0.001 a run" in output


def test_of_what_may_be_silence_only_the_most_is_said(planner: Planner) -> None:
    """Of a recording in which long silences would be left out, nothing is certain before it is heard."""
    write_wav(planner.root / "data/recordings" / DAY / "long.wav", 120, 4000)
    before = planner.plan()["recordings"][0]["not_read_yet"]
    planner.run("recordings")
    transcripts, _ = planner.plan()["assets"]
    assert before == 5
    assert transcripts["audio_seconds_least"] == pytest.approx(13, abs=0.1)
    assert transcripts["audio_seconds_most"] == pytest.approx(133, abs=0.1)


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
        assert said in " ".join(planner.call("--partition", DAY, **given)[1].split())
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
    sales_elsewhere = tmp_path / "sales_elsewhere"
    # A name that no other test's project has: Python imports a module once.
    package = sales_elsewhere / "src" / "sales_elsewhere"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    recordings = str(planner.root / "data/recordings")
    source = STRANGER.format(recordings=recordings, tables=str(tmp_path / "sales.duckdb"))
    (package / "definitions.py").write_text(source)
    (sales_elsewhere / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "sales_elsewhere"\n'
    )
    monkeypatch.chdir(sales_elsewhere)
    plan = planner.plan()
    assert plan["recordings"] == [listed("sales/recordings", rows=0, not_read_yet=4)]
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
    # Dagster's loader leaves generators open. Collected while a later test compiles, they break CPython 3.11.
    gc.collect()
    assert (plan.recordings[0].rows, plan.recordings[0].unread) == (4, 0)
    assert [(each.rows, each.to_ask, each.estimated) for each in plan.plans] == [(4, 2, 0), (4, 2, 2)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--days", "yesterday"), 2, "it looks like 2025-01-01..2025-12-31"),
        (("--days", "2026-03-05..2026-03-02"), 2, "2026-03-05 is after 2026-03-02"),
        (("--partition", "2026-02-30"), 2, "there is no day 2026-02-30"),
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
