"""Asks about the rows of one period, on a connection that somebody else opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from llm_assets.warehouse import report_sql as sql
from llm_assets.warehouse.answers_once import each_answer_once
from llm_assets.warehouse.found import FoundTables
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.report_rows import Totals
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.tables import LLM_CALLS, RECORDINGS, TRANSCRIPTS, Table

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date


class PeriodReader:
    """Asks about the rows of one period."""

    def __init__(self, connection: Connection, catalog: FoundTables, period: Period) -> None:
        self.connection, self.catalog, self.period = connection, catalog, period
        found = catalog.tables_with(sql.INSIGHTS)
        self.insights = [name for name in found if self._any_row(identifier(name))]
        self._ended = sql.ENDED.format(
            recordings=self._fixed(RECORDINGS),
            transcripts=self._fixed(TRANSCRIPTS),
            insights=self._all_insights(),
        )
        self._expected = {
            "assets": len(self.insights),
            "transcripts": self._any_row(self._fixed(TRANSCRIPTS)),
        }
        self._calls = sql.CALLS.format(calls=each_answer_once(self._fixed(LLM_CALLS)))

    def ask(
        self, question: str, row: Callable[..., Row], parameters: Mapping[str, object] | None = None
    ) -> tuple[Row, ...]:
        fetched = self.connection.execute(question, dict(parameters or {})).fetchall()
        return tuple(row(*values) for values in fetched)

    def recordings(self, select: str, row: Callable[..., Row]) -> tuple[Row, ...]:
        return self.ask(f"WITH {self._ended} {select}", row, self._expected)

    def calls(self, select: str, row: Callable[..., Row]) -> tuple[Row, ...]:
        return self.ask(f"WITH {self._calls} {select}", row)

    def totals(self) -> Totals:
        (recorded,) = self.recordings(sql.RECORDING_TOTALS, values)
        (called,) = self.calls(sql.CALL_TOTALS, values)
        return Totals(*recorded, *called)

    def rows_of(self, table: str, period: Period | None = None) -> str:
        """The rows of a table in a period, as a source in SQL."""
        return f"(SELECT * FROM {identifier(table)} WHERE {_within(period or self.period)})"  # noqa: S608 - names are quoted, days are dates

    def _fixed(self, table: Table) -> str:
        there = self.catalog.columns(table)
        columns = ", ".join(
            identifier(column.name)
            if column.name in there
            else f"CAST(NULL AS {column.sql_type}) AS {identifier(column.name)}"
            for column in table.columns
        )
        source = f"FROM {identifier(table.name)} WHERE {_within(self.period)}" if there else "WHERE false"
        return f"(SELECT {columns} {source})"

    def _all_insights(self) -> str:
        columns = ("recording_id", "status", "error", "asset")
        texts = ", ".join(f"''::VARCHAR AS {name}" for name in columns)
        shape = f"SELECT NULL::DATE AS partition_date, {texts} WHERE false"
        selects = (
            f"SELECT partition_date, recording_id, status, error, {literal(name)} FROM {self.rows_of(name)}"  # noqa: S608 - names are quoted
            for name in self.insights
        )
        return " UNION ALL ".join([shape, *selects])

    def _any_row(self, source: str) -> bool:
        question = f"SELECT 1 FROM {source} WHERE {_within(self.period)} LIMIT 1"  # noqa: S608 - names are quoted, days are dates
        return self.connection.execute(question).fetchone() is not None


def values(*values: Any) -> tuple[Any, ...]:
    """A row as it came, for a question whose columns need no names."""
    return values


def _within(period: Period) -> str:
    return f"partition_date BETWEEN DATE '{period.first.isoformat()}' AND DATE '{period.last.isoformat()}'"
