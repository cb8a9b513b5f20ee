"""A question reads the tables and can do nothing else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.query import query, relations
from llm_assets.warehouse.stores import tables_at

FORBIDDEN = [
    "create table x (a int)",
    "insert into recordings select * from recordings",
    "delete from recordings",
    "drop table recordings",
    "alter table recordings add column x int",
    "comment on table recordings is 'x'",
    "create view x as select 1",
    "attach '{folder}/other.duckdb'",
    "copy recordings to '{folder}/out.csv'",
    "copy (select 1) to '{folder}/out.parquet'",
    "copy recordings from '{folder}/secret.csv'",
    "export database '{folder}/out'",
    "import database '{folder}'",
    "select * from read_csv('{folder}/secret.csv')",
    "select * from read_text('{folder}/secret.csv')",
    "select * from '{folder}/secret.csv'",
    "select * from glob('{folder}/*')",
    "select * from 's3://bucket/key.parquet'",
    "install httpfs",
    "load httpfs",
    "create secret (type s3)",
    "set enable_external_access = true",
    "set global lock_configuration = false",
    "reset enable_external_access",
    "select 1; drop table recordings",
    "drop view recordings",
    "copy (select 1) to '{tables}/recordings/x.parquet'",
    "explain analyze copy (select 1) to '{tables}/recordings/x.parquet'",
    "explain (analyze, format json) copy (select 1) to '{tables}/recordings/x.parquet'",
    "explain analyze explain analyze copy (select 1) to '{tables}/recordings/x.parquet'",
    "attach '{tables}/x.duckdb'",
    "select * from read_text('{tables}/../../pytest-of-nobody')",
    "prepare x as copy (select 1) to '{tables}/recordings/x.parquet'",
]


@pytest.mark.parametrize(
    "sql",
    [
        "update insights set intent = 'refund'",
        "insert into insights from insights",
        "delete from insights where status = 'failed'",
    ],
)
def test_who_would_change_rows_by_hand_is_told_how_they_are(sample: str, sql: str) -> None:
    """The refusal says how a row is put right."""
    with (
        pytest.raises(WarehouseError, match=r"materialize their day again.*Correcting a row"),
        query(sample, sql),
    ):
        pass


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_a_question_cannot_do_anything_else(sample: str, tmp_path: Path, sql: str) -> None:
    """Writing, attaching, copying, reading files, extensions and unlocking are refused."""
    (tmp_path / "secret.csv").write_text("secret\n")
    tables = Path(sample).with_suffix(".tables")
    before = sorted(tables.rglob("*.parquet"))
    question = sql.format(folder=tmp_path, tables=tables)
    with pytest.raises(WarehouseError), query(sample, question) as result:
        list(result.rows)
    assert [found.name for found in tmp_path.iterdir()] == ["secret.csv"]
    assert sorted(tables.rglob("*.parquet")) == before
    assert not (tables / "x.duckdb").exists()


def test_a_question_cannot_reach_the_callers_variables(sample: str) -> None:
    """A data frame in the code that asks is not a table."""
    secret = pd.DataFrame({"a": [1]})
    with (
        pytest.raises(WarehouseError, match="secret does not exist"),
        tables_at(sample).reading() as connection,
    ):
        connection.execute("select * from secret")
    assert len(secret) == 1


def test_an_answer_has_names_types_and_rows(sample: str) -> None:
    """Columns come with their DuckDB types; rows can be taken one at a time; values can be parameters."""
    sql = "select file_name, duration_seconds from recordings where file_name = ? order by 1"
    with query(sample, sql, ["03020.ogg"]) as result:
        assert result.columns == ("file_name", "duration_seconds")
        assert result.types == ("VARCHAR", "DOUBLE")
        assert next(result.rows) == ("03020.ogg", 61.5)
        assert list(result.rows) == []


def test_a_large_answer_is_not_held_in_memory(sample: str) -> None:
    """Rows are fetched as they are asked for: the first of a hundred billion is there at once."""
    with query(sample, "select range from range(100_000_000_000)") as result:
        assert next(result.rows) == (0,)


@pytest.mark.parametrize("sql", ["select nope from recordings", "selec 1"])
def test_a_wrong_question_shows_the_place(sample: str, sql: str) -> None:
    """DuckDB's own message comes through, with the line and a mark under the place."""
    with pytest.raises(WarehouseError, match=r"LINE 1: [^\n]*\n +\^"), query(sample, sql):
        pass


def test_an_error_while_rows_come_is_said(sample: str) -> None:
    """A value that fails only when its row is computed is the same kind of error."""
    sql = "select error('row ' || range) from range(5000) where range = 4000"
    with pytest.raises(WarehouseError, match="row 4000"), query(sample, sql) as result:
        list(result.rows)


def test_times_are_utc_wherever_the_machine_is(sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's zone is UTC, so a timestamp's text does not depend on the machine."""
    monkeypatch.setenv("TZ", "America/New_York")
    sql = "select transcribed_at::varchar from transcripts where status = 'ok' limit 1"
    with query(sample, sql) as first, query(sample, sql) as second:
        assert next(first.rows) == ("2026-03-02 23:30:00+00",)
        assert next(second.rows) == ("2026-03-02 23:30:00+00",)


def test_relations_lists_what_can_be_asked(sample: str) -> None:
    """Tables, then views, each with its rows counted and described."""
    found = relations(sample)
    assert [(relation.name, relation.kind) for relation in found] == [
        ("insights", "table"),
        ("llm_calls", "table"),
        ("recordings", "table"),
        ("segments", "table"),
        ("transcripts", "table"),
        ("conversation", "view"),
        ("daily_cost", "view"),
        ("fallback_rate", "view"),
        ("model_quality", "view"),
    ]
    assert {relation.name: relation.row_count for relation in found}["segments"] == 18
    assert all(relation.description for relation in found)
