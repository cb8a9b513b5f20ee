"""What the state needs of a database: a file or a server behind the same few words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from llm_assets.errors import StateUnavailable

PARAMETER = re.compile(r":(\w+)")
"""How a statement names a parameter."""


class Rows(Protocol):
    """What a statement gave back; the part of it that SQLite's and SQLAlchemy's cursors have in common."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...


class Transaction(Protocol):
    """An open transaction. Statements name their parameters `:like_this` and run on every database."""

    def execute(self, statement: str, parameters: Mapping[str, Any] = ...) -> Rows: ...
    def execute_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement that gives nothing back once for each of `rows`, of which there is at least one.

        A row has the values in the order in which the statement names them.
        """
        ...

    def now(self) -> float:
        """Seconds since the epoch, by the clock that all who share the state have in common."""
        ...

    def is_gone(self, client: str) -> bool:
        """Whether a client is known to be dead before its lease is over. False where that cannot be known."""
        ...


class Database(Protocol):
    """A database that holds the state, used by one thread."""

    name: str

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What it raises, as against what an operation raises."""
        ...

    def is_passing(self, error: Exception) -> bool:
        """Whether it is worth trying again: the database is held by another process, or was out of reach."""
        ...

    def is_committed(self) -> bool:
        """Whether the last transaction was committed although it failed: its answer was lost on the way."""
        ...

    def open(self) -> None:
        """Raises OutOfReach when it is worth trying again, StateUnavailable when it is not."""
        ...

    def transaction(self, *, durable: bool) -> AbstractContextManager[Transaction]: ...
    def show_alive(self, client: str) -> None:
        """Let others know, without a lease, as long as this process lives, where that can be done."""
        ...

    def close(self) -> None: ...


class OutOfReach(StateUnavailable):
    """For every operation, whatever it is, and perhaps only for now."""
