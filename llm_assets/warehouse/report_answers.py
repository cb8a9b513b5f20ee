"""Asks one extractor's table about its rows with an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from llm_assets.warehouse import report_sql as sql
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.report_columns import AnswerColumns, TopicsColumn, answer_columns
from llm_assets.warehouse.report_reader import Period, PeriodReader, values
from llm_assets.warehouse.report_rows import Answers, Choice, DayLabel, DayScore, Topic, TopicDay

MOST_TOPICS = 10
MOST_CHOICES = 6
MOST_CHOICE_VALUES = 12
MOST_CHOICE_CHARACTERS = 32

Row = TypeVar("Row")


class AnswersReader:
    """Asks one insights table about its rows with an answer."""

    def __init__(self, reader: PeriodReader, before: Period, table: str) -> None:
        self._reader, self._table = reader, table
        self._rows = self._good(reader.period)
        self._before = self._good(before)
        self._both = self._good(Period(before.first, reader.period.last))

    def _good(self, period: Period) -> str:
        return f"(SELECT * FROM {self._reader.rows_of(self._table, period)} WHERE status = 'ok')"  # noqa: S608 - names are quoted

    def answers(self) -> Answers:
        columns = answer_columns(self._reader.catalog.types(self._table))
        ((ok,),) = self._reader.ask(f"SELECT count(*) FROM {self._rows}", values)  # noqa: S608 - names are quoted
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
        ((mean,),) = self._reader.ask(sql.MEAN.format(score=score, rows=rows), values)
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
            ((distinct, characters),) = self._ask(sql.CHOICE_SIZE, values, column=identifier(name))
            if 1 <= distinct <= MOST_CHOICE_VALUES and characters <= MOST_CHOICE_CHARACTERS:
                found.append(Choice(name, self._ask(sql.CHOICE, values, column=identifier(name))))
        return found[:MOST_CHOICES]
