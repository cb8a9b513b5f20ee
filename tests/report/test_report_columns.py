"""Sentiment, topics and choices are found in anybody's output model, by name and type."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from report_samples import write_custom

from llm_assets.report.months import Month
from llm_assets.report.write import make_report
from llm_assets.warehouse.report_columns import answer_columns
from llm_assets.warehouse.tables import Column, insights_table

DAY = date(2026, 5, 4)


@pytest.mark.parametrize(
    ("types", "label", "score"),
    [
        (
            {"sentiment": 'STRUCT("label" VARCHAR, "score" DOUBLE)'},
            '"sentiment"."label"',
            '"sentiment"."score"',
        ),
        ({"sentiment": "VARCHAR", "sentiment_score": "BIGINT"}, '"sentiment"', '"sentiment_score"'),
        ({"customer_mood": "VARCHAR"}, '"customer_mood"', None),
        ({"satisfaction": "DECIMAL(4,2)"}, None, '"satisfaction"'),
        (
            {"sentiment": 'STRUCT("why" VARCHAR, "rating" BIGINT)'},
            '"sentiment"."why"',
            '"sentiment"."rating"',
        ),
        ({"sentiment": "JSON"}, None, None),
        ({"summary": "VARCHAR", "status": "VARCHAR"}, None, None),
    ],
)
def test_sentiment(types: dict[str, str], label: str | None, score: str | None) -> None:
    """A word, a number, both apart or both in a struct; what cannot be read is left alone."""
    found = answer_columns(types)
    assert (found.label, found.score) == (label, score)


@pytest.mark.parametrize(
    ("sql_type", "value"),
    [
        ("VARCHAR[]", ["Delivery ", "delivery", ""]),
        ("VARCHAR", "delivery"),
        ('STRUCT("name" VARCHAR, "weight" DOUBLE)[]', [{"name": "delivery", "weight": 1.0}]),
    ],
)
def test_topics(tmp_path: Path, sql_type: str, value: Any) -> None:
    """Texts, one text or structs with a name; spelling in capitals and twice in a row count once."""
    path = str(tmp_path / "topics.duckdb")
    table = insights_table("tickets", [Column("topics", sql_type, "")])
    rows = [{"partition_date": DAY, "recording_id": str(n), "topics": value} for n in range(3)]
    write_custom(path, table, [DAY], rows)
    (answers,) = make_report(path, Month.of(DAY)).rows.answers
    assert [(topic.name, topic.rows) for topic in answers.topics] == [("delivery", 3)]
    assert [(row.day, row.rows) for row in answers.topic_days] == [(DAY, 3)]


def test_names_with_quotes_are_names(tmp_path: Path) -> None:
    """Whatever a field or a table is called, it is a name in SQL and text in the page."""
    path = str(tmp_path / "quotes.duckdb")
    name = """a 'mood"; <b>"""
    table = insights_table("odd \"table' <i>", [Column(name, "VARCHAR", ""), Column("kind", "VARCHAR", "")])
    rows = [{"partition_date": DAY, "recording_id": "1", name: "<u>fine</u>", "kind": None}]
    write_custom(path, table, [DAY], rows)
    report = make_report(path, Month.of(DAY))
    (answers,) = report.rows.answers
    assert [(row.label, row.rows) for row in answers.labels] == [("<u>fine</u>", 1)]
    assert "<u>" not in report.html
    assert "<i>" not in report.html


def test_a_model_without_any_of_these_has_no_such_section(tmp_path: Path) -> None:
    """What is not there is not shown; recordings, cost, quota and failures always are."""
    path = str(tmp_path / "plain.duckdb")
    rows = [{"partition_date": DAY, "recording_id": str(n), "story": "once " * (20 + n)} for n in range(3)]
    write_custom(path, insights_table("stories", [Column("story", "VARCHAR", "")]), [DAY], rows)
    page = make_report(path, Month.of(DAY)).html
    for title in ("Sentiment", "Topics", "Answers"):
        assert f">{title}</h2>" not in page
    for title in ("Recordings", "Cost", "Quota use", "Failures"):
        assert f">{title}</h2>" in page


def test_two_extractors_have_sections_of_their_own(tmp_path: Path) -> None:
    """With several tables the headings say whose numbers they are."""
    path = str(tmp_path / "two.duckdb")
    for name in ("sales", "support"):
        table = insights_table(name, [Column("mood", "VARCHAR", ""), Column("stars", "BIGINT", "")])
        write_custom(
            path, table, [DAY], [{"partition_date": DAY, "recording_id": "1", "mood": name, "stars": 4}]
        )
    page = make_report(path, Month.of(DAY)).html
    for name in ("sales", "support"):
        assert f">Sentiment of {name}</h2>" in page
        assert f">Answers of {name}</h2>" in page
