from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from warehouse_samples import write_sample

Started = tuple[ForkServerProcess, Connection]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a warehouse will be; the folder does not exist yet."""
    return str(tmp_path / "data" / "llm_assets.duckdb")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A warehouse with three days of calls, only to be read."""
    path = str(tmp_path_factory.mktemp("sample") / "sample.duckdb")
    write_sample(path)
    return path


@pytest.fixture(scope="session")
def _fork_server_path() -> Iterator[None]:
    """The fork server imports `warehouse_processes` once for all, and so has to find it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture
def start(_fork_server_path: None) -> Iterator[Callable[..., Started]]:
    """Start a function in another process; its first argument is a pipe to the test."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warehouse_processes"])
    started: list[ForkServerProcess] = []

    def run(target: Callable[..., None], *arguments: Any) -> Started:
        ours, theirs = context.Pipe()
        process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        process.start()
        theirs.close()
        started.append(process)
        return process, ours

    yield run
    for process in started:
        with suppress(ValueError):
            process.kill()
            process.join()
