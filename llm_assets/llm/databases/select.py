"""Which database a state is: a file's path, or the URL of a server."""

from __future__ import annotations

from llm_assets.llm.databases.base import Database
from llm_assets.llm.databases.sql import ANSWER_SECONDS, SqlDatabase
from llm_assets.llm.databases.sqlite import SqliteDatabase


def make_database(state: str | None, *, answer_seconds: float = ANSWER_SECONDS) -> Database:
    """Not opened yet. None is a state that ends with the process.

    A server that takes longer than `answer_seconds` over one transaction is hung up on.
    Raises ConfigurationError for a URL that is none, MissingExtra without its driver.
    """
    if state is None:
        return SqliteDatabase(":memory:")
    return SqlDatabase(state, answer_seconds=answer_seconds) if "://" in state else SqliteDatabase(state)
