"""Tables inside a database that DuckDB connects to by name: DuckLake, where DuckDB's extensions for it are
installed, and a plain file in the place of MotherDuck."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pandas as pd
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from warehouse_processes import write_days
from warehouse_samples import DAYS, INSIGHTS, insight_row, transcript_row

from llm_assets.errors import TableMismatch, WarehouseError
from llm_assets.orchestration.connect import connect
from llm_assets.warehouse import database, stores
from llm_assets.warehouse.query import query, relations
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import TRANSCRIPTS, VIEW_NAMES, Column, Table

KEYS = (
    Column("partition_date", "DATE", "Day.", required=True),
    Column("recording_id", "VARCHAR", "Recording.", required=True),
)


# What a DuckLake needs of DuckDB, from packages: `pip install duckdb-extension-ducklake`, and so on.
_EXTENSIONS = ("postgres_scanner", "ducklake")


@pytest.fixture
def lake(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty DuckLake: its catalogue in a real Postgres, its files in a folder."""
    packages = [pytest.importorskip(f"duckdb_extension_{extension}") for extension in _EXTENSIONS]
    monkeypatch.setenv("HOME", str(tmp_path))  # there DuckDB keeps its extensions
    catalogue = f"calls_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(catalogue)))
        name = f"ducklake:postgres:host={server.info.host} user={server.info.user} dbname={catalogue}"
    with duckdb.connect() as connection:
        for extension, package in zip(_EXTENSIONS, packages, strict=True):
            inside = f"extensions/v{duckdb.__version__}/{extension}.duckdb_extension"
            file = resources.files(package) / inside
            if not file.is_file():
                pytest.skip(f"duckdb-extension-{extension} is not for DuckDB {duckdb.__version__}")
            connection.execute(f"INSTALL '{file}'")
        connection.execute(f"ATTACH '{name}' AS lake (DATA_PATH '{tmp_path}/files')")
    return name


@pytest.fixture(params=["file", "ducklake"])
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place that counts as a database's name."""
    if request.param == "ducklake":
        return str(request.getfixturevalue("lake"))
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


def test_a_table_that_is_there_is_not_defined_again(name: str) -> None:
    """Two writers that only add rows are not in each other's way."""
    replace_partition(name, TRANSCRIPTS, DAYS[:1], pd.DataFrame([transcript_row(DAYS[0], "a")]))
    with connect(name) as shell:
        shell.execute("CREATE OR REPLACE VIEW conversation AS SELECT 1 AS mine")
    replace_partition(name, TRANSCRIPTS, DAYS[:1], pd.DataFrame([transcript_row(DAYS[0], "b")]))
    with query(name, "select mine from conversation") as found:
        assert list(found.rows) == [(1,)]


def test_processes_that_write_at_once_lose_nothing(lake: str, start: Callable[..., Any]) -> None:
    """Days written by several processes at the same time are all there, with their children."""
    days = [DAYS[0] + timedelta(days=number) for number in range(7)]
    replace_partition(lake, TRANSCRIPTS, days[:1], pd.DataFrame([transcript_row(days[0], "a", "new")]))
    writers = [start(write_days, lake, days[at::3], os.environ["HOME"]) for at in range(1, 4)]
    assert [pipe.recv() for _, pipe in writers] == ["written"] * 3
    for table in ("transcripts", "segments", "llm_calls"):
        with query(lake, f"select partition_date, count(*) from {table} group by 1 order by 1") as found:
            assert [day for day, _ in found.rows] == days, table


def test_what_cannot_be_opened_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension that is not there and cannot be fetched is named; a password in the name is not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    place = "ducklake:postgres:dbname=calls password=hush host=/nowhere"
    with pytest.raises(WarehouseError, match=r"password=… .*ducklake") as error:
        relations(place)
    assert "hush" not in "".join(traceback.format_exception(error.value))


def test_a_lake_that_is_not_there_is_told_how_to_be_made(lake: str) -> None:
    """Where its rows go is said once, to DuckDB."""
    with pytest.raises(WarehouseError, match=r"create it once.*DATA_PATH"):
        relations(lake.replace("dbname=calls_", "dbname=postgres application_name="))
