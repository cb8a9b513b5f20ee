"""The definitions of the project around a command: found as Dagster finds them, and loaded here."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dotenv import load_dotenv

from llm_assets.errors import ConfigurationError, LLMAssetsError
from llm_assets.orchestration.settings import ROOT_MARKER, project_root

_OUR_OWN = "llm_assets.definitions"


@dataclass(frozen=True, slots=True)
class FoundDefinitions:
    """Definitions with the module they are of. `around` is the file that named it, None when none did."""

    definitions: dg.Definitions
    module: str
    around: Path | None

    @property
    def is_around(self) -> bool:
        """Whether a project was found here, or where `DAGSTER_HOME` is, and not where this is installed."""
        if self.around is None:
            return False
        root = self.around.parent
        return bool(os.environ.get("DAGSTER_HOME")) or Path.cwd().is_relative_to(root)

    def command(self, asset: str, day: str) -> str:
        """What materializes a day of an asset, to be typed in the project's root."""
        if self.around is not None and self.around.name != ROOT_MARKER:
            return f"dg launch --assets {asset} --partition {day}"
        return f"dagster asset materialize -m {self.module} --select {asset} --partition {day}"


def find_definitions(module: str | None = None) -> FoundDefinitions:
    """What `module` defines; without it, what the project of `dg` or the `workspace.yaml` around names.

    A `.env` in the project's root is read first, as Dagster does.
    Raises ConfigurationError when there is none, or it cannot be loaded.
    """
    root = project_root()
    load_dotenv(root / ".env")
    named = (module, None) if module else next(_named(root), (_OUR_OWN, None))
    name, around = named
    for folder in (root, root / "src"):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))
    try:
        found = [_made(value) for value in vars(import_module(name)).values() if _defines(value)]
    except LLMAssetsError:
        raise
    except Exception as error:  # whatever a project's own code raises
        raise ConfigurationError(f"the definitions of {name} cannot be loaded: {error}") from error
    if not found:
        raise ConfigurationError(f"{name} defines nothing: --module names the one with `Definitions`")
    return FoundDefinitions(dg.Definitions.merge(*found), name, around)


def _named(root: Path) -> Iterator[tuple[str, Path]]:
    """Modules with definitions, as the project's own files name them, and those files."""
    for file in ("dg.toml", "pyproject.toml"):
        tools = _toml(root / file)
        project = (tools if file == "dg.toml" else tools.get("tool", {}).get("dg", {})).get("project", {})
        if "code_location_target_module" in project:
            yield project["code_location_target_module"], root / file
        elif "root_module" in project:
            yield f"{project['root_module']}.definitions", root / file
    if (root / ROOT_MARKER).is_file():
        workspace = root / ROOT_MARKER
        for name in _of_workspace(yaml.safe_load(workspace.read_text("utf-8"))):
            yield name, workspace


def _toml(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def _of_workspace(workspace: Any) -> Iterator[str]:
    for each in (workspace or {}).get("load_from") or ():
        module = each.get("python_module")
        if module is not None:
            yield module if isinstance(module, str) else module["module_name"]


_LAZY: type = type(dg.definitions(lambda: dg.Definitions()))


def _defines(value: Any) -> bool:
    return isinstance(value, dg.Definitions | _LAZY)


def _made(value: Any) -> dg.Definitions:
    return value if isinstance(value, dg.Definitions) else value()
