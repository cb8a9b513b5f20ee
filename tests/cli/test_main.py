"""The command line teaches its first steps and turns known errors into one line."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import click
import pytest

from llm_assets.cli import main as command_line
from llm_assets.errors import WarehouseMissing


@pytest.fixture
def failing_command(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--interrupt", is_flag=True)
    def boom(interrupt: bool) -> None:
        if interrupt:
            raise KeyboardInterrupt
        raise WarehouseMissing("no table yet; materialize a partition first")

    monkeypatch.setattr(command_line, "boom", boom, raising=False)
    lazy = command_line.LazyCommand("llm_assets.cli.main", "boom", "Fail.")
    monkeypatch.setitem(command_line.COMMANDS, "boom", lazy)


def test_help_names_what_it_is_and_the_first_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer reads what this is for and what to type."""
    assert command_line.run(["--help"]) == 0
    text = capsys.readouterr().out
    for words in ("Audio recordings to transcripts", "llm-assets demo", "dagster dev", "OPENAI_API_KEY"):
        assert words in text
    for name in command_line.COMMANDS:
        assert f"  {name} " in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the installed one."""
    assert command_line.run(["version"]) == 0
    assert capsys.readouterr().out.strip() == metadata.version("llm-assets")


def test_help_imports_nothing_heavy() -> None:
    """`--help` answers at once: no Dagster, DuckDB, pandas or server is imported for it."""
    code = (
        "import sys; from llm_assets.cli.main import run; run(['--help']); "
        "print(sorted({'dagster', 'duckdb', 'pandas', 'aiohttp', 'av', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("failing_command")
def test_a_known_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback for what we can explain."""
    assert command_line.run(["boom"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "Error: no table yet; materialize a partition first\n"
    assert captured.out == ""


@pytest.mark.usefixtures("failing_command")
def test_interrupt_is_130() -> None:
    """Ctrl-C ends the command as shells expect."""
    assert command_line.run(["boom", "--interrupt"]) == 130


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command says so and points to the help."""
    assert command_line.run(["nonsense"]) == 2
    assert "No such command" in capsys.readouterr().err
