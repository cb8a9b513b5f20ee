"""Tables inside a database that DuckDB connects to by name; a plain file stands for MotherDuck here."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from warehouse_samples import DAYS, INSIGHTS, insight_row, transcript_row

from llm_assets.errors import TableMismatch
from llm_assets.warehouse import database, stores
from llm_assets.warehouse.query import query, relations
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import TRANSCRIPTS, VIEW_NAMES, Column, Table

KEYS = (
    Column("partition_date", "DATE", "Day.", required=True),
    Column("recording_id", "VARCHAR", "Recording.", required=True),
)


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place that counts as a database's name."""
    monkeypatch.setattr(stores, "_DATABASES", (str(tmp_path),))
    return str(tmp_path / "calls.db")


def things(mood: str, *more: Column) -> Table:
    return Table("things", (*KEYS, Column("mood", mood, "Mood."), *more), description="Things.")


def thing(day: int, **values: object) -> pd.DataFrame:
    return pd.DataFrame([{"partition_date": DAYS[day], "recording_id": "a", **values}])


def test_a_partition_is_written_replaced_and_read(name: str) -> None:
    """Rows, children and views are the same as in a DuckDB file."""
    for word in ("old", "new"):
        rows = [transcript_row(DAYS[0], f"0302{number}", word) for number in range(4)]
        replace_partition(name, TRANSCRIPTS, DAYS[:1], pd.DataFrame(rows))
    replace_partition(name, INSIGHTS, DAYS[:1], pd.DataFrame([insight_row(DAYS[0], "03020")]))
    read = read_partition(name, TRANSCRIPTS, DAYS[:1])
    assert read["text"].dropna().str.startswith("new").all()
    assert read["segments"][0].startswith('[{"segment_index": 0')
    counted = {relation.name: relation.row_count for relation in relations(name)}
    assert counted["llm_calls"] == 4
    assert counted["conversation"] == 6
    assert set(VIEW_NAMES) <= counted.keys()


def test_questions_change_nothing(name: str) -> None:
    """Asking cannot write there either."""
    replace_partition(name, TRANSCRIPTS, DAYS[:1], pd.DataFrame([transcript_row(DAYS[0], "03020")]))
    with pytest.raises(Exception, match="read-only"), query(name, "drop table segments"):
        pass


def test_tables_grow_and_refuse(name: str) -> None:
    """A new column, and a new field inside a struct, are added; another type is refused."""
    replace_partition(name, things('STRUCT("label" VARCHAR)'), DAYS[:1], thing(0, mood={"label": "calm"}))
    grown = things('STRUCT("label" VARCHAR, score DOUBLE)', Column("why", "VARCHAR", "Why."))
    replace_partition(name, grown, DAYS[1:2], thing(1, mood={"label": "sad", "score": 0.5}, why="rain"))
    with query(name, "select mood, why from things order by partition_date") as found:
        assert list(found.rows) == [
            ({"label": "calm", "score": None}, None),
            ({"label": "sad", "score": 0.5}, "rain"),
        ]
    with pytest.raises(TableMismatch, match="mood"):
        replace_partition(name, things("VARCHAR"), DAYS[:1], thing(0, mood="x"))
    stores.tables_at(name).drop_columns([("things", "mood")], 1.0)
    replace_partition(name, things("VARCHAR"), DAYS[:1], thing(0, mood="x"))


def test_names_of_databases_are_no_paths() -> None:
    """MotherDuck's and DuckLake's names go to DuckDB as they are."""
    for place in ("md:calls", "motherduck:calls", "ducklake:postgres:dbname=calls"):
        assert isinstance(stores.tables_at(place), database.DatabaseTables)
