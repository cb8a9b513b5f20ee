from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from warehouse_processes import write_words
from warehouse_samples import words, write_sample

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
    context.set_forkserver_preload(["warehouse_processes", "s3fs"])
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


@pytest.fixture
def killed_at_random_moments(start: Callable[..., Started]) -> Callable[..., None]:
    """Start a writer of ever new words and kill it, thirty times; each time one whole partition is there."""

    def run(path: str, seconds: float) -> None:
        moments = random.Random(0)
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        for _ in range(30):
            process, pipe = start(write_words, path, environment)
            assert pipe.recv() == "begun"
            time.sleep(moments.uniform(0.0, seconds))
            process.kill()
            process.join()
            found = words(path)
            assert found == [found[0]] * 6 + ["3"]

    return run
