"""What docs/report.md says works as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llm_assets.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ llm-assets (report.*)$", DOCUMENT, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split("#")[0].strip())
def test_every_command_writes_a_page(
    command: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of the document ends well, and a page of March is where it says."""
    shutil.copy(database, tmp_path / "llm_assets.duckdb")
    monkeypatch.setenv("LLM_ASSETS_DUCKDB", str(tmp_path / "llm_assets.duckdb"))
    monkeypatch.chdir(tmp_path)
    shown: list[str] = []
    monkeypatch.setattr(click, "launch", shown.append)
    result = CliRunner().invoke(cli, shlex.split(command, comments=True))
    assert result.exit_code == 0
    pages = [*tmp_path.rglob("*.html")]
    assert len(pages) == 1 or (not pages and result.stdout.startswith("<!DOCTYPE html>"))
    assert shown == ([pages[0].as_uri()] if "--open" in command else [])


def test_the_example_loads() -> None:
    """The definitions of the document load, with the report behind the three assets."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    namespace: dict[str, object] = {}
    exec(example, namespace)
    graph = namespace["defs"].resolve_asset_graph()  # type: ignore[attr-defined]
    assert {key.path[-1] for key in graph.get_all_asset_keys()} == {
        "recordings", "transcripts", "insights", "report",
    }  # fmt: skip


def test_the_picture_is_small() -> None:
    """A picture in the repository is there for good, so it is a small one."""
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size <= 150_000
