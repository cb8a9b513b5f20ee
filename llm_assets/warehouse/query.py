"""Questions in SQL, read-only: the answer's rows as they come, and what there is to ask about.

The connection cannot write, attach, copy to or read any file, load an extension or reach the network,
and its settings are locked; see `sessions.lock_down`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import VIEW_NAMES

_FETCHED_AT_ONCE = 1_000

_RELATIONS = """
    SELECT table_name, coalesce(comment, '') FROM duckdb_tables()
    WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal
    UNION ALL
    SELECT view_name, coalesce(comment, '') FROM duckdb_views()
    WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal
"""

_ASKING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.PRAGMA,
    duckdb.StatementType.MULTI,  # PIVOT is several statements to DuckDB
}
_CHANGING = {duckdb.StatementType.INSERT, duckdb.StatementType.UPDATE, duckdb.StatementType.DELETE}
_CORRECTING = (
    ". Rows are not changed by hand: materialize their day again, or keep corrections in a table of your own "
    'beside them (docs/sql.md, "Correcting a row")'
)
_EXPLAIN = re.compile(r"^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)


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
def query(path: str, sql: str, parameters: Sequence[object] = ()) -> Generator[QueryResult]:
    """Run one question on what is published now. The rows are fetched while the block runs.

    It waits for no writer and holds up none. Raises WarehouseError with DuckDB's own message, the place
    in the SQL marked, when the question is wrong or wants more than reading; WarehouseMissing when
    nothing has been written yet.
    """
    with tables_at(path).reading() as connection:
        try:
            _refuse_other_statements(connection, sql)
            cursor = connection.execute(sql, list(parameters))
        except duckdb.Error as error:
            raise WarehouseError(str(error)) from error
        described = cursor.description or []
        names, types = [column[0] for column in described], [str(column[1]) for column in described]
        yield QueryResult(tuple(names), tuple(types), _rows(cursor) if described else iter(()))


def _refuse_other_statements(connection: Connection, sql: str) -> None:
    """The session may read the folder of the tables, and whoever may read there could also write there."""
    for statement in connection.extract_statements(sql):
        text = _EXPLAIN.sub("", statement.query) if statement.type == duckdb.StatementType.EXPLAIN else None
        if text is not None and text != statement.query:
            _refuse_other_statements(connection, text)
        elif statement.query and statement.type not in _ASKING:  # before 2.0, a PIVOT has parts without text
            advice = _CORRECTING if statement.type in _CHANGING else ""
            raise WarehouseError(
                f"this is read-only: a question can be asked, and {statement.type.name} does more{advice}"
            )


def _rows(cursor: Connection) -> Iterator[tuple[Any, ...]]:
    try:
        while rows := cursor.fetchmany(_FETCHED_AT_ONCE):
            yield from rows
    except duckdb.Error as error:
        raise WarehouseError(str(error)) from error


def relations(path: str) -> list[Relation]:
    """All tables, then all views, by name, with their row counts. Raises as `query` does."""
    with tables_at(path).reading() as connection:
        found = [
            Relation(name, "view" if name in VIEW_NAMES else "table", _row_count(connection, name), comment)
            for name, comment in connection.execute(_RELATIONS).fetchall()
        ]
    return sorted(found, key=lambda relation: (relation.kind, relation.name))


def _row_count(connection: Connection, name: str) -> int:
    sql = f"SELECT count(*) FROM {identifier(name)}"  # noqa: S608 - the name is quoted
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
