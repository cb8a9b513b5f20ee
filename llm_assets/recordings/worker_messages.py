"""What a worker process and its parent say to each other: 8 bytes of length, then the pickle of a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

LENGTH_BYTES = 8


class Job(Protocol):
    """Something to do in a worker process. It pickles, and so do its results."""

    def run(self) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True)
class Order:
    """A job and how long each of its results may take."""

    job: Job
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """One of a job's results."""

    value: Any


@dataclass(frozen=True, slots=True)
class End:
    """No more results, with an error when the job raised one. Also the greeting of a process."""

    error: Exception | None = None
