"""`llm-assets demo`: the whole pipeline on sample calls, against the emulator, as runs that the UI shows.

It never asks a paid API, whatever is set in the shell, and keeps the emulator's answers in a state file of
their own (`data/demo_state.sqlite`), apart from answers that were paid for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from llm_assets.cli.demo_result import DemoResult, read_result, require_own_days, show_result
from llm_assets.cli.demo_screen import Screen
from llm_assets.cli.emulator_process import running_emulator
from llm_assets.cli.project import SAMPLE_DAYS, Layout, plan_layout
from llm_assets.errors import MissingExtra

STATE = "data/demo_state.sqlite"

_UNLIMITED = {"requests_per_minute": 1_000_000, "tokens_per_minute": 1_000_000_000}

StartEmulator = Callable[[], AbstractContextManager[str]]


@click.command(name="demo")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")
def demo_command(as_json: bool) -> None:
    """Run the pipeline on the sample calls, without an API key and without a network.

    Starts the emulator, materializes three days of recordings, transcripts and insights through Dagster,
    and shows what came out. In a folder without a project it lays out a small one first; files that exist
    are left as they are.
    """
    require_recognition()
    root = demo_root()
    with Screen(quiet=as_json) as screen:
        lay_out(plan_layout(root), screen)
        result = run_demo(root, screen)
    show_result(result, as_json=as_json)


def require_recognition() -> None:
    """Raise MissingExtra when the emulator could not understand speech here."""
    if find_spec("pocketsphinx") is None:
        raise MissingExtra("The demo's speech recognition", "local")


def demo_root() -> Path:
    """The project around the working directory, else the working directory itself."""
    from llm_assets.orchestration.settings import nearest_with_marker

    return nearest_with_marker(Path.cwd()) or Path.cwd()


def lay_out(layout: Layout, screen: Screen) -> None:
    """Write what a project lacks, after saying what that is."""
    if layout.missing:
        screen.say(f"Laying out a project in {layout.root}:")
        for path in layout.missing:
            screen.say(f"  {path}")
        layout.write()


def run_demo(root: Path, screen: Screen, emulator: StartEmulator = running_emulator) -> DemoResult:
    """Materialize the sample days and read what came out."""
    started = time.monotonic()
    screen.say_what_is_ignored(os.environ)
    screen.say("Starting the emulator …")
    with emulator() as base_url, demo_environment(root, base_url):
        require_own_days()
        _materialize(screen)
        return read_result(root, time.monotonic() - started)


def _materialize(screen: Screen) -> None:
    # Imported once the environment is the demo's: the definitions read it.
    import dagster as dg

    from llm_assets.definitions import build_definitions, build_resource
    from llm_assets.orchestration.jobs import JOB_NAME
    from llm_assets.orchestration.local_run import materialize_days
    from llm_assets.orchestration.progress import watching
    from llm_assets.orchestration.settings import Settings

    settings = Settings.from_env()
    # The emulator has no limits, so there are none to learn: the first call need not go alone.
    limits = dict.fromkeys((*settings.chat_chain, *settings.transcription_chain), _UNLIMITED)
    # Somebody watches: what fails is said at once.
    defs = build_definitions(settings, build_resource(settings, limits=limits), retry_policy=None)
    job = defs.resolve_job_def(JOB_NAME)
    with dg.DagsterInstance.get() as instance, watching(screen.show):
        # One run over all days, as a backfill makes it: the recognizer never waits for a day to end.
        materialize_days(job, instance, SAMPLE_DAYS[0], SAMPLE_DAYS[-1])


@contextmanager
def demo_environment(root: Path, base_url: str) -> Generator[None]:
    """The demo's own environment: this project, the emulator, and defaults for everything else."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("LLM_ASSETS_", "OPENAI_", "ANTHROPIC_"))]:
        del os.environ[name]
    os.environ |= {
        "DAGSTER_HOME": str(root),
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "emulator",
        "LLM_ASSETS_STATE": STATE,
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
