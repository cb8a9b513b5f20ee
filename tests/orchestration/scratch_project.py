"""A Dagster project as `create-dagster project` lays it out, and `dg` run inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

PYPROJECT = """\
[project]
name = "scratch"
requires-python = ">=3.10,<3.15"
version = "0.1.0"
dependencies = ["dagster"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "scratch"
registry_modules = ["scratch.components.*"]
"""

DEFINITIONS = """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


class ScratchProject:
    """Somebody else's project. `dg` knows this package by the entry points in its pyproject.toml."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "scratch"
        self.package = self.root / "src" / "scratch"
        for name in ("defs", "components"):
            (self.package / name).mkdir(parents=True)
            (self.package / name / "__init__.py").touch()
        (self.package / "__init__.py").touch()
        (self.package / "definitions.py").write_text(DEFINITIONS)
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (folder / "home").mkdir()
        installed = _installed_here(folder / "installed")
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LLM_ASSETS_", "OPENAI_", "ANTHROPIC_", "DAGSTER_"))
        }
        self.environ = clean | {
            "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, installed, self.root / "src"))),
            "DAGSTER_HOME": str(folder / "home"),
            "DAGSTER_DG_CLI_DISABLE_TELEMETRY": "1",
            "COLUMNS": "200",
        }

    def dg(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "dg"), *arguments],
            cwd=self.root,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )


def _installed_here(folder: Path) -> Path:
    """What an installation says of the package, from the project's file: installed or not, tests find it."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    about = folder / "llm_assets_of_this_checkout-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-assets-of-this-checkout\nVersion: 0\n")
    lines: list[str] = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
