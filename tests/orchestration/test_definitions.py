"""The project loads fast, from any environment that is not wrong, and says what is wrong otherwise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from llm_assets import build_audio_insights
from llm_assets.definitions import build_definitions
from llm_assets.orchestration.built_stages import stage_of
from llm_assets.orchestration.jobs import JOB_NAME
from llm_assets.orchestration.settings import Settings

REPOSITORY = Path(__file__).parents[2]


def loaded(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLM_ASSETS_", "OPENAI_", "ANTHROPIC_"))
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environ, capture_output=True, text=True, check=False
    )


def test_loading_imports_nothing_heavy() -> None:
    """The code location loads in Dagster's own time: pandas and the like wait for a run."""
    code = (
        "import json, sys; import llm_assets.definitions as d; d.defs.get_repository_def(); "
        "heavy = {'pandas', 'numpy', 'duckdb', 'av', 'aiohttp', 'tiktoken', 'genai_prices', 'fsspec'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    result = loaded(code)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []
    assert "Warning" not in result.stderr


def test_a_wrong_setting_is_said_when_the_project_loads() -> None:
    """The error names the variable and what it may be."""
    result = loaded("import llm_assets.definitions", LLM_ASSETS_START_DATE="foo")
    assert result.returncode != 0
    assert "LLM_ASSETS_START_DATE is 'foo'" in result.stderr
    assert "YYYY-MM-DD" in result.stderr


def test_a_place_that_is_not_there_names_the_variable_only_where_it_gives_it() -> None:
    """The variable gives the place to this project alone; others give it as `recordings`."""
    days = dg.DailyPartitionsDefinition("2026-03-02")
    settings = Settings.from_env({}, root=REPOSITORY)
    for defs, given_as in (
        (build_definitions(settings), "LLM_ASSETS_RECORDINGS"),
        (build_audio_insights("/calls", days), "recordings"),
    ):
        built = stage_of(next(each for each in defs.assets or () if each.key.path[-1] == "recordings"))
        assert built.stage.source.given_as == given_as


def test_passwords_in_urls_stay_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and quota can be URLs with a password; Dagster is told only where to look."""
    environ = {
        "LLM_ASSETS_STATE": "postgresql://me:secret-word@db/state",
        "LLM_ASSETS_QUOTA": "redis://:secret-word@cache/0",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    defs = build_definitions(Settings.from_env(root=tmp_path))
    assert "secret-word" not in str(defs.get_repository_def().get_top_level_resources())
    resource = defs.resources["openai"]
    assert resource.client_config().quota == environ["LLM_ASSETS_QUOTA"]
    assert resource.client_config().state == environ["LLM_ASSETS_STATE"]
    assert "secret-word" not in repr(resource)


def test_budgets_and_chains_reach_the_client(tmp_path: Path) -> None:
    """What the environment says is what the client is built with, to the cent."""
    settings = Settings.from_env(
        {
            "LLM_ASSETS_BUDGET_RUN_USD": "0",
            "LLM_ASSETS_BUDGET_DAY_USD": "1.10",
            "LLM_ASSETS_CHAT_CHAIN": "gpt-6-luna,cached",
        },
        tmp_path,
    )
    config = build_definitions(settings).resources["openai"].client_config()
    assert (str(config.budget.usd_per_run), str(config.budget.usd_per_day)) == ("0", "1.10")
    assert config.chat[-1] == "cached"


def test_the_schedule_is_off_and_keeps_the_partitions_time(tmp_path: Path) -> None:
    """A fresh project spends nothing by itself; the day begins where the team is."""
    settings = Settings.from_env({"LLM_ASSETS_TIMEZONE": "Europe/Berlin"}, tmp_path)
    schedule = build_definitions(settings).resolve_schedule_def(f"{JOB_NAME}_schedule")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.job_name == JOB_NAME


def test_dagster_yaml_is_a_valid_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster accepts the configuration: a run queue, monitoring, no telemetry."""
    shutil.copyfile(REPOSITORY / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert instance.get_settings("concurrency")["runs"]["max_concurrent_runs"] == 4


def test_workspace_yaml_loads_these_definitions() -> None:
    """The names that schedules and people depend on."""
    (entry,) = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"] == {
        "module_name": "llm_assets.definitions",
        "attribute": "defs",
        "location_name": "llm_assets",
    }
