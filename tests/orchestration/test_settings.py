"""The environment is read once, with paths that do not depend on where a process runs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from llm_assets.errors import ConfigurationError
from llm_assets.orchestration.settings import Settings, project_root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "deep" / "folder").mkdir(parents=True)
    (root / "workspace.yaml").write_text("load_from: []\n")
    return root.resolve()


def test_defaults_lie_below_the_root(project: Path) -> None:
    """With nothing set, everything is where the README says, below the project's root."""
    settings = Settings.from_env({"DAGSTER_HOME": str(project)})
    assert settings.root == project
    assert settings.recordings == str(project / "data" / "recordings")
    assert settings.duckdb_path == str(project / "data" / "llm_assets.duckdb")
    assert settings.state == str(project / "data" / "state.sqlite")
    assert settings.quota is None
    assert settings.start_date == date(2026, 3, 2)
    assert settings.timezone == "UTC"


def test_every_variable_is_read(project: Path) -> None:
    """Each fixed name changes exactly its own setting."""
    settings = Settings.from_env(
        {
            "DAGSTER_HOME": str(project),
            "LLM_ASSETS_RECORDINGS": "s3://calls/raw",
            "LLM_ASSETS_DUCKDB": "warehouse/calls.duckdb",
            "LLM_ASSETS_STATE": "postgresql://db/state",
            "LLM_ASSETS_QUOTA": "redis://cache:6379/1",
            "LLM_ASSETS_START_DATE": "2025-01-31",
            "LLM_ASSETS_TIMEZONE": "Europe/Berlin",
            "LLM_ASSETS_CHAT_CHAIN": "gpt-6-luna, cached",
            "LLM_ASSETS_TRANSCRIPTION_CHAIN": "whisper-1",
            "LLM_ASSETS_BUDGET_RUN_USD": "2.50",
            "LLM_ASSETS_BUDGET_DAY_USD": "20",
        }
    )
    assert settings == Settings(
        root=project,
        recordings="s3://calls/raw",
        duckdb_path=str(project / "warehouse" / "calls.duckdb"),
        state="postgresql://db/state",
        quota="redis://cache:6379/1",
        start_date=date(2025, 1, 31),
        timezone="Europe/Berlin",
        chat_chain=("gpt-6-luna", "cached"),
        transcription_chain=("whisper-1",),
        budget_run_usd=Decimal("2.50"),
        budget_day_usd=Decimal("20"),
    )


def test_the_root_is_the_same_from_every_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process started in a sub-folder finds the same root as one started at the top."""
    monkeypatch.chdir(project / "deep" / "folder")
    assert project_root({}) == project


def test_a_project_of_dg_is_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that `create-dagster` made has no workspace.yaml, and DAGSTER_HOME is mostly elsewhere."""
    home, project = tmp_path / "home", tmp_path / "project"
    (project / "src").mkdir(parents=True)
    home.mkdir()
    monkeypatch.chdir(project / "src")
    (project / "pyproject.toml").write_text("[tool.dg]\ndirectory_type = 'workspace'\n")
    assert project_root({"DAGSTER_HOME": str(home)}) != project.resolve()
    (project / "pyproject.toml").write_text("[tool.dg]\ndirectory_type = 'project'\n")
    assert project_root({"DAGSTER_HOME": str(home)}) == project.resolve()


def test_dagster_home_goes_before_the_working_directory(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code server started elsewhere still works in the project that DAGSTER_HOME names."""
    monkeypatch.chdir(tmp_path)
    assert project_root({"DAGSTER_HOME": str(project / "deep")}) == project


def test_an_empty_variable_is_an_unset_one(project: Path) -> None:
    """`LLM_ASSETS_START_DATE=` in a .env file means the default."""
    settings = Settings.from_env({"DAGSTER_HOME": str(project), "LLM_ASSETS_START_DATE": " "})
    assert settings.start_date == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("LLM_ASSETS_START_DATE", "foo", "YYYY-MM-DD"),
        ("LLM_ASSETS_TIMEZONE", "Berlin", "IANA"),
        ("LLM_ASSETS_TIMEZONE", "../etc/passwd", "IANA"),
        ("LLM_ASSETS_BUDGET_RUN_USD", "ten", "US dollars"),
        ("LLM_ASSETS_BUDGET_DAY_USD", "-1", "US dollars"),
        ("LLM_ASSETS_BUDGET_DAY_USD", "NaN", "US dollars"),
        ("LLM_ASSETS_CHAT_CHAIN", ", ,", "names of models"),
        ("LLM_ASSETS_QUOTA", "localhost", "Redis"),
    ],
)
def test_a_wrong_value_names_its_variable(project: Path, name: str, value: str, hint: str) -> None:
    """The error names the variable, the value and what it may be."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"DAGSTER_HOME": str(project), name: value})
    assert name in str(caught.value)
    assert value in str(caught.value)
    assert hint in str(caught.value)
