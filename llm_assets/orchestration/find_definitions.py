"""The definitions of the project around a command: found as Dagster finds them, and loaded here."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dotenv import load_dotenv

from llm_assets.errors import ConfigurationError, LLMAssetsError
from llm_assets.orchestration.settings import ROOT_MARKER, project_root

_OUR_OWN = "llm_assets.definitions"


def load_definitions(module: str | None = None) -> dg.Definitions:
    """What `module` defines; without it, what the project of `dg` or the `workspace.yaml` around names.

    A `.env` in the project's root is read first, as Dagster does.
    Raises ConfigurationError when there is none, or it cannot be loaded.
    """
    root = project_root()
    load_dotenv(root / ".env")
    name = module or next(_named(root), _OUR_OWN)
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
    return dg.Definitions.merge(*found)


def _named(root: Path) -> Iterator[str]:
    """Modules with definitions, as the project's own files name them."""
    for file in ("dg.toml", "pyproject.toml"):
        tools = _toml(root / file)
        project = (tools if file == "dg.toml" else tools.get("tool", {}).get("dg", {})).get("project", {})
        if "code_location_target_module" in project:
            yield project["code_location_target_module"]
        elif "root_module" in project:
            yield f"{project['root_module']}.definitions"
    if (root / ROOT_MARKER).is_file():
        yield from _of_workspace(yaml.safe_load((root / ROOT_MARKER).read_text("utf-8")))


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
