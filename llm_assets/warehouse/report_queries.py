"""The questions behind a monthly report, all asked on one connection, so that the answers agree.

Tables and columns that are not there (yet) count as empty: a report can be made of recordings alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from llm_assets.warehouse import report_sql as sql
from llm_assets.warehouse.found import FoundTables
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.report_columns import AnswerColumns, TopicsColumn, answer_columns
from llm_assets.warehouse.report_rows import (
    Answers,
    Choice,
    DayLabel,
    DayOutcome,
    DayScore,
    ModelDay,
    ModelMinute,
    ModelUse,
    MonthRows,
    Reason,
    Topic,
    TopicDay,
    Totals,
)
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import LLM_CALLS, RECORDINGS, TRANSCRIPTS, Table

MOST_TOPICS = 10
MOST_CHOICES = 6
MOST_CHOICE_VALUES = 12
MOST_CHOICE_CHARACTERS = 32

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date


def months_with_rows(path: str) -> tuple[date, ...]:
    """The first days of all months that any table has rows of. Raises as `query.query` does."""
    with tables_at(path).reading() as connection:
        catalog = FoundTables(connection)
        fixed = [table.name for table in (RECORDINGS, TRANSCRIPTS, LLM_CALLS) if catalog.columns(table)]
        names = {*fixed, *catalog.tables_with(sql.INSIGHTS)}
        rows = " UNION ALL ".join(f"SELECT partition_date FROM {identifier(name)}" for name in sorted(names))  # noqa: S608 - names are quoted
        found = connection.execute(sql.MONTHS.format(rows=rows)).fetchall() if names else []
        return tuple(day for (day,) in found)


def read_month(path: str, month: Period, before: Period) -> MonthRows:
    """Everything a report of `month` shows, compared with the month `before`, which ends where it begins.

    Raises as `query.query` does, and TableMismatch when a table has columns of other types.
    """
    with tables_at(path).reading() as connection:
        catalog = FoundTables(connection)
        now, then = _Reader(connection, catalog, month), _Reader(connection, catalog, before)
        return MonthRows(
            totals=now.totals(),
            before=then.totals(),
            outcomes=now.recordings(sql.OUTCOMES, DayOutcome),
            reasons=now.recordings(sql.REASONS, Reason),
            models=now.calls(sql.MODELS, ModelUse),
            model_days=now.calls(sql.MODEL_DAYS, ModelDay),
            busiest=now.calls(sql.BUSIEST, ModelMinute),
            answers=tuple(_AnswersReader(now, before, table).answers() for table in now.insights),
        )


class _Reader:
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
        self._calls = sql.CALLS.format(calls=self._fixed(LLM_CALLS))

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
        (recorded,) = self.recordings(sql.RECORDING_TOTALS, _values)
        (called,) = self.calls(sql.CALL_TOTALS, _values)
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


class _AnswersReader:
    """Asks one insights table about its rows with an answer."""

    def __init__(self, reader: _Reader, before: Period, table: str) -> None:
        self._reader, self._table = reader, table
        self._rows = self._good(reader.period)
        self._before = self._good(before)
        self._both = self._good(Period(before.first, reader.period.last))

    def _good(self, period: Period) -> str:
        return f"(SELECT * FROM {self._reader.rows_of(self._table, period)} WHERE status = 'ok')"  # noqa: S608 - names are quoted

    def answers(self) -> Answers:
        columns = answer_columns(self._reader.catalog.types(self._table))
        ((ok,),) = self._reader.ask(f"SELECT count(*) FROM {self._rows}", _values)  # noqa: S608 - names are quoted
        topics = self._topics(columns.topics, columns.score) if columns.topics else ()
        shown = topics[:MOST_TOPICS]
        return Answers(
            table=self._table,
            ok=ok,
            labels=self._ask(sql.LABELS, DayLabel, label=columns.label) if columns.label else (),
            scores=self._ask(sql.SCORES, DayScore, score=columns.score) if columns.score else (),
            score=self._mean(columns.score, self._rows),
            score_before=self._mean(columns.score, self._before),
            topics=shown,
            topic_count=len(topics),
            topic_days=self._topic_days(columns.topics, {topic.name for topic in shown})
            if columns.topics
            else (),
            choices=tuple(self._choices(columns)),
        )

    def _ask(self, question: str, row: Callable[..., Row], **parts: str | None) -> tuple[Row, ...]:
        return self._reader.ask(question.format(rows=self._rows, **parts), row)

    def _mean(self, score: str | None, rows: str) -> float | None:
        if score is None:
            return None
        ((mean,),) = self._reader.ask(sql.MEAN.format(score=score, rows=rows), _values)
        return mean

    def _topics(self, topics: TopicsColumn, score: str | None) -> tuple[Topic, ...]:
        named = sql.NAMED.format(
            elements=topics.elements, name=topics.name, score=score or "NULL::DOUBLE", rows=self._both
        )
        return self._reader.ask(f"WITH {named} {sql.TOPICS}", Topic, {"first": self._reader.period.first})

    def _topic_days(self, topics: TopicsColumn, shown: set[str]) -> tuple[TopicDay, ...]:
        named = sql.NAMED.format(
            elements=topics.elements, name=topics.name, score="NULL::DOUBLE", rows=self._rows
        )
        found = self._reader.ask(f"WITH {named} {sql.TOPIC_DAYS}", TopicDay)
        return tuple(row for row in found if row.name in shown)

    def _choices(self, columns: AnswerColumns) -> list[Choice]:
        found: list[Choice] = []
        for name in columns.choices:
            ((distinct, characters),) = self._ask(sql.CHOICE_SIZE, _values, column=identifier(name))
            if 1 <= distinct <= MOST_CHOICE_VALUES and characters <= MOST_CHOICE_CHARACTERS:
                found.append(Choice(name, self._ask(sql.CHOICE, _values, column=identifier(name))))
        return found[:MOST_CHOICES]


def _values(*values: Any) -> tuple[Any, ...]:
    return values


def _within(period: Period) -> str:
    return f"partition_date BETWEEN DATE '{period.first.isoformat()}' AND DATE '{period.last.isoformat()}'"
