"""The same tables as Parquet on an object store: a real S3 endpoint over HTTP, and any other file system."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer
from warehouse_samples import DAYS, INSIGHTS, insight_row, recording_row, transcript_row, write_sample

from llm_assets.errors import ConfigurationError, TableMismatch, WarehouseError, WarehouseMissing
from llm_assets.orchestration.connect import connect
from llm_assets.warehouse import remote, versions
from llm_assets.warehouse.owners import require_own_table
from llm_assets.warehouse.query import query, relations
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Column, Table

DAY = DAYS[0]


@pytest.fixture(scope="module")
def _endpoint() -> Iterator[None]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("calls")
        yield
    server.stop()


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for tables, on S3 and in a folder by its URL."""
    if request.param == "file":
        return f"file://{tmp_path}/tables"
    request.getfixturevalue("_endpoint")
    return f"s3://calls/{tmp_path.name}"


def objects(url: str, below: str = "") -> list[str]:
    files, base = fsspec.core.url_to_fs(url)
    files.invalidate_cache()
    return sorted(str(path) for path in files.find(f"{base}/{below}") if str(path).endswith(".parquet"))


def transcripts(word: str, day: date = DAY, rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame([transcript_row(day, f"0302{number}", word) for number in range(rows)])


def words(url: str) -> set[str]:
    with query(url, "select text from transcripts union all select text from segments") as found:
        return {text.split()[0] for (text,) in found.rows if text and not text.startswith("I ")}


def test_the_tables_are_the_same(url: str) -> None:
    """What is written comes back by days and in SQL, views included."""
    write_sample(url)
    read = read_partition(url, TRANSCRIPTS, DAYS[:2])
    assert len(read) == 8
    assert read["segments"][0].startswith('[{"segment_index": 0')
    counted = {relation.name: relation.row_count for relation in relations(url)}
    assert (counted["recordings"], counted["llm_calls"], counted["conversation"]) == (12, 19, 18)
    with query(url, "select sum(calls) from daily_cost where partition_date = '2026-03-03'") as found:
        assert list(found.rows) == [(6,)]
    assert connect(url).execute("select count(*) from insights").fetchone() == (12,)


def test_a_partition_is_replaced_with_its_children(url: str) -> None:
    """Afterwards only the new files of that day are there, also for engines that just list them."""
    for word in ("old", "new"):
        for day in DAYS[:2]:
            replace_partition(url, TRANSCRIPTS, [day], transcripts(word, day))
    replace_partition(url, INSIGHTS, [DAY], pd.DataFrame([insight_row(DAY, "03020")]))
    assert words(url) == {"new"}
    assert len(objects(url, "transcripts")) == len(objects(url, "segments")) == 2
    assert len(objects(url, "llm_calls")) == 3
    assert f"/transcripts/partition_date={DAY}/" in objects(url, "transcripts")[0]
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("none", rows=0))
    assert len(read_partition(url, TRANSCRIPTS, [DAY])) == 0
    assert len(objects(url, "segments")) == 1


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_killed_at_random_moments_leaves_old_or_new(
    url: str, killed_at_random_moments: Callable[..., None]
) -> None:
    """A process that does nothing but replace a partition, killed again and again, leaves no mixture."""
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("0", rows=4))
    killed_at_random_moments(url, seconds=0.3)


@pytest.mark.parametrize("uploads", range(3))
def test_killed_between_uploads_leaves_the_old_rows(
    url: str, uploads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the table's own file is there, which is the last one, nothing has changed for readers."""
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("old"))
    put = remote.RemoteTables._put
    done: list[str] = []

    def put_some(self: remote.RemoteTables, source: str, target: str) -> None:
        if len(done) == uploads:
            raise KeyboardInterrupt
        done.append(target)
        put(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(remote.RemoteTables, "_put", put_some)
        with pytest.raises(KeyboardInterrupt):
            replace_partition(url, TRANSCRIPTS, [DAY], transcripts("new"))
    assert words(url) == {"old"}
    assert read_partition(url, TRANSCRIPTS, [DAY])["text"].str.startswith("old").all()
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("new"))
    assert words(url) == {"new"}
    assert len(objects(url)) == 3  # what the killed one left is gone too


def test_many_write_at_once(url: str) -> None:
    """Writers of different days, and of the same day, lose nothing and leave one whole partition."""
    failures: list[BaseException] = []

    def write(word: str, day: date) -> None:
        try:
            replace_partition(url, TRANSCRIPTS, [day], transcripts(word, day))
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(word, day)) for word in ("one", "two", "three") for day in DAYS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for day in DAYS:
        texts = read_partition(url, TRANSCRIPTS, [day])["text"].str.split().str[0]
        assert len(texts) == 3
        assert texts.nunique() == 1
    assert len(objects(url, "transcripts")) == 3


def test_a_clock_that_is_behind_does_not_lose_a_write(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The later write counts, also from a machine whose clock says it is earlier."""
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("old"))
    monkeypatch.setattr(versions.time, "time_ns", lambda: 1_000)
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("new"))
    assert words(url) == {"new"}


def test_tables_grow_and_refuse(url: str) -> None:
    """A field added inside a struct is there for old rows as NULL; another type is refused."""
    keys = (Column("partition_date", "DATE", "Day.", True), Column("recording_id", "VARCHAR", "Id.", True))

    def write(day: date, sql_type: str, mood: Any) -> None:
        table = Table("things", (*keys, Column("mood", sql_type, "Mood.")))
        rows = pd.DataFrame([{"partition_date": day, "recording_id": "a", "mood": mood}])
        replace_partition(url, table, [day], rows)

    write(DAYS[0], 'STRUCT("label" VARCHAR)', {"label": "calm"})
    write(DAYS[1], 'STRUCT("label" VARCHAR, score DOUBLE)', {"label": "sad", "score": 0.5})
    with query(url, "select mood from things order by partition_date") as found:
        assert [mood for (mood,) in found.rows] == [
            {"label": "calm", "score": None},
            {"label": "sad", "score": 0.5},
        ]
    with pytest.raises(TableMismatch, match=r"--drop-column things\.mood"):
        write(DAYS[2], "VARCHAR", "x")
    tables_at(url).drop_columns([("things", "mood")], 1.0)
    write(DAYS[2], "VARCHAR", "x")
    with query(url, "select mood from things order by partition_date") as found:
        assert [mood for (mood,) in found.rows] == [None, None, "x"]


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{url}/recordings/x.parquet'",
        "drop view recordings",
        "select * from read_text('/etc/hosts')",
        "select * from 's3://other/x.parquet'",
    ],
)
def test_a_question_only_reads_the_tables(url: str, sql: str) -> None:
    """Asking can neither write there nor read anything else."""
    replace_partition(url, RECORDINGS, [DAY], pd.DataFrame([recording_row(DAY, "03020")]))
    with pytest.raises(WarehouseError), query(url, sql.format(url=url)) as found:
        list(found.rows)


def test_a_table_is_written_by_one_asset(url: str) -> None:
    """The first one that writes it is noted; another one is refused, and to look notes nothing."""
    require_own_table(url, "insights", "sales/insights", note=False)
    require_own_table(url, "insights", "insights")
    require_own_table(url, "insights", "insights")
    for note in (True, False):
        with pytest.raises(
            ConfigurationError, match=r"written by the asset 'insights'.*delete .*insights/_asset"
        ):
            require_own_table(url, "insights", "sales/insights", note=note)
    require_own_table(url, "transcripts", "transcripts")
    replace_partition(url, TRANSCRIPTS, [DAY], transcripts("mine"))
    assert words(url) == {"mine"}


def test_nothing_written_yet_is_said(url: str) -> None:
    """Reading before anything was written says so."""
    with pytest.raises(WarehouseMissing, match="nothing has been written"):
        relations(url)
    with pytest.raises(WarehouseMissing, match='no table "recordings" yet'):
        read_partition(url, RECORDINGS, [DAY])
