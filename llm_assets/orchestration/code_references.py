"""Where an asset comes from, as links in the UI: the lines of the user's own that made it.

An installed package is no place to link to: its path says something of the machine and nothing of the
project, and `link_code_references_to_git` would make an address of it that leads nowhere.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import dagster as dg

_KEY = "dagster/code_references"
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_OURS, _DAGSTER = __name__.rpartition(".")[0], "dagster"

Place = dg.LocalFileCodeReference


def caller() -> Place | None:
    """The line that called a function of this room; None if Dagster did, which links a component's YAML."""
    frame = inspect.currentframe()
    while frame is not None and _module(frame).startswith(f"{_OURS}."):
        frame = frame.f_back
    if frame is None or _module(frame).partition(".")[0] == _DAGSTER:
        return None
    return _place(frame.f_code.co_filename, frame.f_lineno)


def class_place(kind: type) -> Place | None:
    """Where a class is written; None for one that was made at run time."""
    try:
        file = inspect.getsourcefile(kind)
        line = inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):
        return None
    return None if file is None else _place(file, line, kind.__name__)


def code_references(places: Iterable[Place | None]) -> dict[str, Any]:
    """The metadata in which Dagster keeps them; none without any place."""
    found = [place for place in places if place is not None]
    if not found:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return {_KEY: dg.CodeReferencesMetadataValue(code_references=list(found))}


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _place(file: str, line: int, label: str | None = None) -> Place | None:
    path = Path(file).absolute()
    if _INSTALLED & set(path.parts) or not path.is_file():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return Place(file_path=str(path), line_number=line, label=label)
