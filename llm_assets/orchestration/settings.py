"""What the environment says, read once into a frozen value. Nothing else in the project reads it.

Relative paths are relative to the project's root, never to where a process happens to run: the root is
the nearest folder with a `workspace.yaml`, or with the configuration of a project of `dg`, at or above
`DAGSTER_HOME`, else at or above the working directory, else at or above this package; without any, it is
`DAGSTER_HOME` or the working directory.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from llm_assets.errors import ConfigurationError

ROOT_MARKER = "workspace.yaml"

# The first day of the sample recordings, so that a fresh checkout shows exactly what it has.
DEFAULT_START_DATE = date(2026, 3, 2)
DEFAULT_TRANSCRIPTION_CHAIN = ("gpt-transcribe", "whisper-1")
DEFAULT_CHAT_CHAIN = ("gpt-6.1-sol", "gpt-6-luna", "cached")

_PACKAGE = Path(__file__).parent.parent
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The project's settings. Keys are not among them: those stay in the environment until a run.

    `recordings` is an absolute path or a URL, `duckdb_path` an absolute path, `state` an absolute path
    or a database URL. `quota` is None when limits live in the state. Budgets are US dollars, None when
    there is no cap.
    """

    root: Path
    recordings: str
    duckdb_path: str
    state: str
    quota: str | None = None
    start_date: date = DEFAULT_START_DATE
    timezone: str = "UTC"
    chat_chain: tuple[str, ...] = DEFAULT_CHAT_CHAIN
    transcription_chain: tuple[str, ...] = DEFAULT_TRANSCRIPTION_CHAIN
    budget_run_usd: Decimal | None = None
    budget_day_usd: Decimal | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, root: Path | None = None) -> Settings:
        """Read the variables `LLM_ASSETS_*`; one that is unset or empty means its default.

        Raises ConfigurationError that names the variable and what it may be.
        """
        read = _Reader(environ)
        root = root or project_root(environ)
        return cls(
            root=root,
            recordings=_located(root, read("LLM_ASSETS_RECORDINGS", str, "data/recordings")),
            duckdb_path=_tables(root, read("LLM_ASSETS_DUCKDB", str, "data/llm_assets.duckdb")),
            state=_located(root, read("LLM_ASSETS_STATE", str, "data/state.sqlite")),
            quota=read("LLM_ASSETS_QUOTA", _redis_url, None),
            start_date=read("LLM_ASSETS_START_DATE", _day, DEFAULT_START_DATE),
            timezone=read("LLM_ASSETS_TIMEZONE", a_time_zone, "UTC"),
            chat_chain=read("LLM_ASSETS_CHAT_CHAIN", _names, DEFAULT_CHAT_CHAIN),
            transcription_chain=read("LLM_ASSETS_TRANSCRIPTION_CHAIN", _names, DEFAULT_TRANSCRIPTION_CHAIN),
            budget_run_usd=read("LLM_ASSETS_BUDGET_RUN_USD", _dollars, None),
            budget_day_usd=read("LLM_ASSETS_BUDGET_DAY_USD", _dollars, None),
        )


def project_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that relative paths start from; see the top of this file."""
    home = environ.get("DAGSTER_HOME", "").strip()
    starts = [Path(home).expanduser()] if home else []
    starts.append(Path.cwd())
    found = (_nearest(start, _is_project) for start in [*starts, _PACKAGE])
    return next((root for root in found if root is not None), starts[0].resolve())


def nearest_with_marker(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds a `workspace.yaml`."""
    return _nearest(start, _has_marker)


def _nearest(start: Path, is_it: Callable[[Path], bool]) -> Path | None:
    start = start.resolve()
    return next((folder for folder in [start, *start.parents] if is_it(folder)), None)


def _has_marker(folder: Path) -> bool:
    return (folder / ROOT_MARKER).is_file()


def _is_project(folder: Path) -> bool:
    return _has_marker(folder) or _is_dg_project(folder)


def _is_dg_project(folder: Path) -> bool:
    if (folder / "dg.toml").is_file():
        return True
    try:
        tools = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("tool", {})
    except (OSError, ValueError):  # none, or one that its own tools complain about
        return False
    return tools.get("dg", {}).get("directory_type") == "project"


class _Reader:
    """Reads one variable at a time and says in an error which one it was."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, name: str, parse: Callable[[str], T], default: T) -> T:
        text = self._environ.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            # A URL with a password in it must not end up in a log.
            shown = "a URL with credentials" if "@" in text else repr(text)
            raise ConfigurationError(f"{name} is {shown}: {error}. Correct or unset it.") from error


def _located(root: Path, place: str) -> str:
    if "://" in place:
        return place
    return str(root / Path(place).expanduser())


def _tables(root: Path, place: str) -> str:
    """MotherDuck (`md:…`) and DuckLake (`ducklake:…`) are names that DuckDB knows, no paths."""
    return place if place.startswith(("md:", "motherduck:", "ducklake:")) else _located(root, place)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("it must be a day written as YYYY-MM-DD, such as 2026-03-02") from None


def a_time_zone(text: str) -> str:
    """The name of a time zone, as it is. Raises ValueError."""
    try:
        return ZoneInfo(text).key
    except (OSError, ValueError, LookupError):
        raise ValueError("it must be a time zone of the IANA list, such as Europe/Berlin or UTC") from None


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError("it must be an amount of US dollars of zero or more, such as 2.50")
    return amount


def _names(text: str) -> tuple[str, ...]:
    names = _without_blanks(text.split(","))
    if not names:
        raise ValueError("it must be names of models separated by commas, tried in this order")
    return names


def _without_blanks(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip() for part in parts if part.strip())


def _redis_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must be empty or the URL of a Redis server, such as redis://localhost:6379/0")
    return text
