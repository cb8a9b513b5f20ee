"""Questions in SQL, read-only: the answer's rows as they come, and what there is to ask about.

The connection cannot write, attach, copy to or read any file, load an extension or reach the network,
and its settings are locked; see `connection.reading`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.connection import LOCK_TIMEOUT_SECONDS, Connection, reading
from llm_assets.warehouse.names import identifier

_FETCHED_AT_ONCE = 1_000

_RELATIONS = """
    SELECT table_name, 'table', comment FROM duckdb_tables()
    WHERE database_name = current_database() AND NOT internal
    UNION ALL
    SELECT view_name, 'view', comment FROM duckdb_views()
    WHERE database_name = current_database() AND NOT internal
    ORDER BY 2, 1
"""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """An answer: column names, their DuckDB types, and the rows, which can be gone through once."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view and how many rows it has."""

    name: str
    kind: str
    row_count: int
    description: str


@contextmanager
def query(
    path: str,
    sql: str,
    parameters: Sequence[object] = (),
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Generator[QueryResult]:
    """Run one question. The rows are fetched while the block runs, and the file is held until it ends.

    Raises WarehouseError with DuckDB's own message, the place in the SQL marked, when the question is
    wrong or wants more than reading; WarehouseMissing and WarehouseLocked as `connection.reading` does.
    """
    with reading(path, lock_timeout_seconds) as connection:
        try:
            cursor = connection.execute(sql, list(parameters))
        except duckdb.Error as error:
            raise WarehouseError(str(error)) from error
        described = cursor.description or []
        names, types = [column[0] for column in described], [str(column[1]) for column in described]
        yield QueryResult(tuple(names), tuple(types), _rows(cursor) if described else iter(()))


def _rows(cursor: Connection) -> Iterator[tuple[Any, ...]]:
    try:
        while rows := cursor.fetchmany(_FETCHED_AT_ONCE):
            yield from rows
    except duckdb.Error as error:
        raise WarehouseError(str(error)) from error


def relations(path: str, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> list[Relation]:
    """All tables, then all views, by name, with their row counts. Raises as `query` does."""
    with reading(path, lock_timeout_seconds) as connection:
        found = connection.execute(_RELATIONS).fetchall()
        return [
            Relation(name, kind, _row_count(connection, name), comment or "") for name, kind, comment in found
        ]


def _row_count(connection: Connection, name: str) -> int:
    sql = f"SELECT count(*) FROM {identifier(name)}"  # noqa: S608 - the name is quoted
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
