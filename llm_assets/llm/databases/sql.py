"""The state in Postgres, for many machines. SQLAlchemy carries the statements; the server's clock counts."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from llm_assets.errors import ConfigurationError, MissingExtra, StateUnavailable
from llm_assets.llm.state import Rows

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, TextClause

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS quota (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS answers ("
    "id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key BYTEA NOT NULL, subject TEXT, "
    "endpoint TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, run_id TEXT NOT NULL, "
    "cost_usd DOUBLE PRECISION, entry TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, "
    "hits BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS answers_key ON answers (key)",
    "CREATE INDEX IF NOT EXISTS answers_subject ON answers (subject, created_at) WHERE subject IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS intents ("
    "key BYTEA NOT NULL, owner TEXT NOT NULL, endpoint TEXT NOT NULL, provider TEXT NOT NULL, "
    "model TEXT NOT NULL, run_id TEXT NOT NULL, started_at DOUBLE PRECISION NOT NULL, "
    "PRIMARY KEY (key, owner))",
    "CREATE TABLE IF NOT EXISTS commits ("
    "client TEXT PRIMARY KEY, number BIGINT NOT NULL, at DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE IF NOT EXISTS clients (owner TEXT PRIMARY KEY, alive_until DOUBLE PRECISION NOT NULL)",
)
# Any number will do; everybody who shares the state has to use the same one.
_LOCK = 0x6C6C6D61
# Every transaction leaves its number, so that a client that hears nothing of a commit finds out.
_SIGN = (
    "INSERT INTO commits (client, number, at) VALUES (:client, :number, :at) "
    "ON CONFLICT (client) DO UPDATE SET number = excluded.number, at = excluded.at"
)
_SIGNED = "SELECT number FROM commits WHERE client = :client"
_FORGET_SIGNS = "DELETE FROM commits WHERE at < :before"
_KEEP_SIGNS_SECONDS = 7 * 86_400
_NOTHING: Mapping[str, Any] = {}


class SqlDatabase:
    """A Postgres server by its URL (`postgresql://…`). The password is shown nowhere."""

    def __init__(self, url: str) -> None:
        """Raises MissingExtra without a driver, ConfigurationError when the URL is none for Postgres."""
        try:
            from sqlalchemy import create_engine, make_url
            from sqlalchemy.exc import ArgumentError, SQLAlchemyError
        except ImportError:
            raise MissingExtra("State in a database server", "postgres") from None
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigurationError(
                "the state is no URL of a database, such as postgresql://host/name"
            ) from None
        if (kind := parsed.get_backend_name()) != "postgresql":
            raise ConfigurationError(
                f"the state can be the path of a SQLite file or a postgresql:// URL, and not {kind}"
            )
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        try:
            self._engine: Engine = create_engine(parsed, pool_size=1, max_overflow=0, pool_pre_ping=True)
        except ImportError:
            raise MissingExtra("State in Postgres", "postgres") from None
        self.name = f"the state in {parsed.render_as_string(hide_password=True)}"
        self.errors: tuple[type[Exception], ...] = (SQLAlchemyError,)
        self._connection: Connection | None = None
        self._id = uuid.uuid4().hex
        self._number = 0

    def is_passing(self, error: Exception) -> bool:
        from sqlalchemy.exc import InterfaceError, OperationalError

        return isinstance(error, OperationalError | InterfaceError)

    def is_committed(self) -> bool:
        with self._engine.begin() as connection:
            row = connection.execute(_text(_SIGNED), {"client": self._id}).fetchone()
        return row is not None and row[0] == self._number

    def open(self) -> None:
        """Raises StateUnavailable when the server cannot be reached or used."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.transaction(durable=True):
                for statement in _SCHEMA:
                    self.execute(statement)
                self.execute(_FORGET_SIGNS, {"before": self.now() - _KEEP_SIGNS_SECONDS})
        except SQLAlchemyError as error:
            reason = str(error).strip().splitlines()[0]
            raise StateUnavailable(f"{self.name} cannot be opened: {reason}") from None

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, durable: bool) -> Generator[SqlDatabase]:
        """One at a time among all who share the state: what is read inside is still so when it is written."""
        self._number += 1
        with self._engine.begin() as connection:
            self._connection = connection
            try:
                self.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                if not durable:
                    self.execute("SET LOCAL synchronous_commit = off")
                yield self
                sign = {"client": self._id, "number": self._number, "at": self.now()}
                self.execute(_SIGN, sign)
            finally:
                self._connection = None

    def execute(self, statement: str, parameters: Mapping[str, Any] = _NOTHING) -> Rows:
        assert self._connection is not None
        return cast("Rows", self._connection.execute(_text(statement), parameters))

    def show_alive(self, client: str) -> None:
        """The lease alone tells: a connection comes and goes without its client."""

    def is_gone(self, client: str) -> bool:
        return False

    def now(self) -> float:
        return float(self.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0])


@cache
def _text(statement: str) -> TextClause:
    from sqlalchemy import text

    return text(statement)
