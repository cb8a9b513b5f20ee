"""The state in Postgres, for many machines. SQLAlchemy carries the statements; the server's clock counts."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from llm_assets.errors import ConfigurationError, MissingExtra, StateUnavailable
from llm_assets.llm.databases.base import PARAMETER, OutOfReach, Rows

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, TextClause

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
ANSWER_SECONDS = 10.0
_CONNECT_SECONDS = 5
_LOOK_EVERY_SECONDS = 0.5
# Another machine that vanished keeps its lock until the server notices: these are the server's orders.
_TIME_OUTS = (
    "SET LOCAL statement_timeout = {milliseconds}; "
    "SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; "
)
# How a network that drops packets is told from a server that thinks; ignored on Unix sockets.
_KEEP_ALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
# What no second attempt mends.
_WRONG = ("authentication failed", "does not exist", "no pg_hba.conf entry", "could not translate host name")
_NOTHING: Mapping[str, Any] = {}


class SqlDatabase:
    """A Postgres server by its URL (`postgresql://…`). The password is shown nowhere.

    A server, or a network, that does not answer within `answer_seconds` is hung up on: a call into the
    driver would wait for it without end.
    """

    def __init__(self, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Raises MissingExtra without a driver, ConfigurationError when the URL is none for Postgres."""
        try:
            from sqlalchemy import create_engine, event, make_url
            from sqlalchemy.exc import ArgumentError, SQLAlchemyError
        except ImportError:
            raise MissingExtra("State in a database server", "postgres") from None
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # ValueError: a port that is no number
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
            self._engine: Engine = create_engine(
                parsed, pool_size=1, max_overflow=0, connect_args=_connect_arguments(parsed, answer_seconds)
            )
        except ImportError:
            raise MissingExtra("State in Postgres", "postgres") from None
        self.name = f"the state in {parsed.render_as_string(hide_password=True)}"
        self.errors: tuple[type[Exception], ...] = (SQLAlchemyError,)
        self._connection: Connection | None = None
        self._id = uuid.uuid4().hex
        self._number = 0
        self._answer_seconds = answer_seconds
        self._wire: Any = None
        self._asked_at: float | None = None
        self._watched = False
        self._closed = threading.Event()
        event.listen(self._engine, "do_connect", self._connect)

    def is_passing(self, error: Exception) -> bool:
        from sqlalchemy.exc import InterfaceError, OperationalError

        return isinstance(error, OperationalError | InterfaceError)

    def is_committed(self) -> bool:
        with self._begin() as connection:
            row = connection.execute(_text(_SIGNED), {"client": self._id}).fetchone()
        return row is not None and row[0] == self._number

    def open(self) -> None:
        """Raises OutOfReach when the server cannot be reached, StateUnavailable when it cannot be used."""
        from sqlalchemy.exc import SQLAlchemyError

        if not self._watched:
            self._watched = True
            threading.Thread(target=self._watch, name="llm-assets-watch", daemon=True).start()
        try:
            with self.transaction(durable=True):
                for statement in _SCHEMA:
                    self.execute(statement)
                self.execute(_FORGET_SIGNS, {"before": self.now() - _KEEP_SIGNS_SECONDS})
        except SQLAlchemyError as error:
            reason = str(error).strip().splitlines()[0]
            is_passing = self.is_passing(error) and not any(words in str(error) for words in _WRONG)
            kind = OutOfReach if is_passing else StateUnavailable
            raise kind(f"{self.name} cannot be opened: {reason}") from None

    def close(self) -> None:
        self._closed.set()
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, durable: bool) -> Generator[SqlDatabase]:
        """One at a time among all who share the state: what is read inside is still so when it is written."""
        self._number += 1
        with self._begin() as connection:
            self._connection = connection
            try:
                begin = _TIME_OUTS.format(milliseconds=int(self._answer_seconds * 1000))
                commit = "" if durable else "SET LOCAL synchronous_commit = off; "
                connection.exec_driver_sql(f"{begin}{commit}SELECT pg_advisory_xact_lock({_LOCK})")
                yield self
                sign = {"client": self._id, "number": self._number, "at": self.now()}
                self.execute(_SIGN, sign)
            finally:
                self._connection = None

    def execute(self, statement: str, parameters: Mapping[str, Any] = _NOTHING) -> Rows:
        assert self._connection is not None
        return cast("Rows", self._connection.execute(_text(statement), parameters))

    def execute_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        assert self._connection is not None
        names = _names(statement)
        self._connection.execute(_text(statement), [dict(zip(names, row, strict=True)) for row in rows])

    @contextmanager
    def _begin(self) -> Generator[Connection]:
        """A transaction that ends, one way or the other: see `_watch`."""
        self._asked_at = time.monotonic()
        try:
            with self._engine.begin() as connection:
                yield connection
        finally:
            self._asked_at = None

    def _connect(self, dialect: Any, record: Any, arguments: Any, parameters: Any) -> Any:
        self._wire = dialect.connect(*arguments, **parameters)
        return self._wire

    def _watch(self) -> None:
        """Hang up on a server that has been silent for too long, so that the thread that waits goes on.

        Neither TCP's own time-outs nor the server's are enough: whatever stands between may keep the
        connection open and pass nothing on.
        """
        while not self._closed.wait(_LOOK_EVERY_SECONDS):
            asked_at = self._asked_at
            if asked_at is None or time.monotonic() - asked_at < self._answer_seconds:
                continue
            self._asked_at = time.monotonic()
            with suppress(Exception):  # it may just have been closed, or not have been made yet
                wire = socket.socket(fileno=self._wire.fileno())
                try:
                    wire.shutdown(socket.SHUT_RDWR)
                finally:
                    wire.detach()

    def show_alive(self, client: str) -> None:
        """The lease alone tells: a connection comes and goes without its client."""

    def is_gone(self, client: str) -> bool:
        return False

    def now(self) -> float:
        return float(self.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0])


def _connect_arguments(url: URL, answer_seconds: float) -> dict[str, Any]:
    """What the URL does not say itself."""
    arguments = {
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": int(answer_seconds * 1000),
        **_KEEP_ALIVE,
    }
    return {name: value for name, value in arguments.items() if name not in url.query}


@cache
def _names(statement: str) -> list[str]:
    return PARAMETER.findall(statement)


@cache
def _text(statement: str) -> TextClause:
    from sqlalchemy import text

    return text(statement)
