"""Writers take turns, first come, first served; readers wait for nobody and hold up nobody."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from warehouse_processes import (
    COUNTS,
    ask_again_and_again,
    hold_connected,
    hold_open,
    hold_turn,
    wait_for_turns,
    write_counts,
    write_on_a_full_disk,
    writer_days,
)
from warehouse_samples import DAYS, recording_row

from llm_assets.errors import WarehouseError, WarehouseLocked, WarehouseMissing
from llm_assets.orchestration.connect import connect
from llm_assets.warehouse import snapshots
from llm_assets.warehouse.query import query, relations
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition, require_fit
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS
from llm_assets.warehouse.turns import turn

PARTITIONS = 5
NAMES = "select file_name from recordings order by 1"


def write(path: str, lock_timeout_seconds: float = 0.0, name: str = "03020") -> None:
    frame = pd.DataFrame([recording_row(DAYS[0], name)])
    replace_partition(path, RECORDINGS, DAYS[:1], frame, lock_timeout_seconds=lock_timeout_seconds)


def names(path: str) -> list[tuple[str]]:
    with query(path, NAMES) as result:
        return list(result.rows)


def folders(path: str) -> list[str]:
    """The numbers of the snapshots that are kept."""
    return sorted(found.name for found in (Path(path).with_suffix(".tables") / "_snapshots").iterdir())


def rows_kept(path: str) -> int:
    return len(list((Path(path).with_suffix(".tables") / "recordings").rglob("*.parquet")))


def test_processes_lose_nothing_and_readers_see_no_error(path: str, start: Callable[..., Any]) -> None:
    """Processes that write one table at once get every partition in, and a reader among them no error."""
    replace_partition(path, COUNTS, list(writer_days(11, 1)), pd.DataFrame())
    pipes = [start(write_counts, path, writer, PARTITIONS)[1] for writer in range(3)]
    assert [pipe.recv() for pipe in pipes] == ["ready"] * 3
    _, reader = start(ask_again_and_again, path)
    assert reader.recv() == "ready"
    for pipe in pipes:
        pipe.send("go")
    assert [pipe.recv() for pipe in pipes] == ["done"] * 3
    reader.send("stop")
    _, errors = reader.recv()
    assert errors == []
    for writer in range(3):
        days = list(writer_days(writer, PARTITIONS))
        assert read_partition(path, COUNTS, days)["writer"].tolist() == [writer] * PARTITIONS


def test_nobody_is_overtaken_for_long(path: str, start: Callable[..., Any]) -> None:
    """While a process waits for its turn, each of the others gets at most about one."""
    Path(path).parent.mkdir(parents=True)
    others, turns = 5, 8
    pipes = [start(wait_for_turns, path, turns)[1] for _ in range(others + 1)]
    assert [pipe.recv() for pipe in pipes] == ["ready"] * (others + 1)
    for pipe in pipes:
        pipe.send("go")
    overtaken = [count for pipe in pipes for count in pipe.recv()]
    # One more than the others in line: the clock that orders tickets is read before a ticket is there.
    assert max(overtaken) <= 2 * others


def test_a_dead_process_in_line_holds_up_nobody(path: str, start: Callable[..., Any]) -> None:
    """A process killed while it has its turn, or stands in line, leaves the way free."""
    Path(path).parent.mkdir(parents=True)
    first, pipe = start(hold_turn, path)
    assert pipe.recv() == "mine"
    second, _ = start(hold_turn, path)
    first.kill()
    first.join()
    second.kill()
    second.join()
    write(path, 10.0)
    assert os.listdir(f"{path}.lock.d") == [] or all(
        name.startswith(".") for name in os.listdir(f"{path}.lock.d")
    )


def test_whoever_comes_while_a_run_writes_stands_in_line(path: str) -> None:
    """While another run has its turn, a writer waits for it, then says so; a reader does not even notice."""
    write(path)
    with turn(path, 1.0):
        with pytest.raises(WarehouseLocked, match="written by other runs"):
            write(path)
        assert names(path) == [("03020.ogg",)]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_program_that_has_the_file_open_holds_up_nobody(
    path: str, start: Callable[..., Any], read_only: bool
) -> None:
    """A BI tool or a DuckDB shell keeps what it opened, whole, while days are written under it."""
    write(path, name="old")
    process, pipe = start(hold_open, path, read_only)
    assert pipe.recv() == "open"
    for number in range(3):
        write(path, name=f"new{number}")
    pipe.send(NAMES)
    assert pipe.recv() == [("old.ogg",)]
    pipe.send("let go")
    process.join()
    assert names(path) == [("new2.ogg",)]


def test_a_connection_keeps_what_it_saw(path: str, start: Callable[..., Any]) -> None:
    """`connect` gives today's rows; it still has them while they are replaced, and a new one the new."""
    write(path, name="old")
    _, pipe = start(hold_connected, path)
    assert pipe.recv() == "open"
    with connect(path) as here:
        write(path, name="new")
        pipe.send(NAMES)
        assert pipe.recv() == here.execute(NAMES).fetchall() == [("old.ogg",)]
    assert connect(path).execute(NAMES).fetchall() == [("new.ogg",)]


def test_what_nobody_reads_is_removed(
    path: str, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old snapshots and their rows go once no connection, in any process, is left that reads them."""
    monkeypatch.setattr(snapshots, "_GRACE_SECONDS", 0.0)
    write(path, name="0")
    _, connected = start(hold_connected, path)
    assert connected.recv() == "open"
    write(path, name="1")
    _, shell = start(hold_open, path, True)
    assert shell.recv() == "open"
    here = connect(path)
    for number in range(2, 5):
        write(path, name=str(number))
    assert folders(path) == ["00000001", "00000002", "00000004", "00000005"]
    for pipe, expected in [(connected, "0.ogg"), (shell, "1.ogg")]:
        pipe.send(NAMES)
        assert pipe.recv() == [(expected,)]
        pipe.send("let go")
        with pytest.raises(EOFError):
            pipe.recv()
    assert here.execute(NAMES).fetchall() == [("1.ogg",)]
    here.close()
    del here
    for number in range(5, 8):
        write(path, name=str(number))
    assert len(folders(path)) == 2
    assert rows_kept(path) <= 3


def test_a_connection_only_reads(path: str) -> None:
    """What `connect` gives cannot change the tables, and has the caller's data frames at hand."""
    write(path)
    mine = pd.DataFrame({"file_name": ["03020.ogg"], "seen": [True]}, dtype="object")
    with connect(path) as connection:
        joined = connection.execute("select seen from recordings join mine using (file_name)").df()
        assert joined["seen"].tolist() == [True]
        assert len(mine) == 1
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("drop view recordings")


def interrupted_writer(path: str) -> None:
    with tables_at(path).changing(1.0) as (connection, _):
        connection.execute("DROP VIEW recordings")
        raise KeyboardInterrupt


def test_an_exception_lets_the_file_go(path: str) -> None:
    """A writer or reader that fails changes nothing, closes the file and gives up its turn."""
    write(path)
    with pytest.raises(KeyboardInterrupt):
        interrupted_writer(path)
    with pytest.raises(KeyboardInterrupt), tables_at(path).reading():
        raise KeyboardInterrupt
    assert len(read_partition(path, RECORDINGS, DAYS[:1])) == 1
    write(path)


def test_nothing_written_yet_is_said(path: str) -> None:
    """Reading before anything was written says so and how to begin, and creates nothing."""
    for ask in (lambda: read_partition(path, RECORDINGS, DAYS), lambda: connect(path)):
        with pytest.raises(WarehouseMissing, match="llm-assets demo"):
            ask()
    assert not Path(path).parent.exists()
    write(path)
    with pytest.raises(WarehouseMissing, match='no table "counts" yet'):
        read_partition(path, COUNTS, DAYS)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    """Another file at the database's path is an error, and stays as it is."""
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database" * 500)
    with pytest.raises(WarehouseError, match=r"notes\.duckdb.*not a valid DuckDB"):
        write(str(path))
    with pytest.raises(WarehouseError, match=r"notes\.duckdb"):
        relations(str(path))
    assert path.read_text().startswith("not a database")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A path below something that is no folder is an error that names the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match="cannot be written"):
        write(str(tmp_path / "file" / "x.duckdb"))


@pytest.mark.parametrize("full_for", ["the rows", "the catalogue"])
def test_a_full_disk_costs_one_write(path: str, start: Callable[..., Any], full_for: str) -> None:
    """What cannot be written or published is an error that says where and what to do. The old rows are there,
    nothing is left on the disk, and later the process writes as before."""
    write(path)
    before = sorted(Path(path).with_suffix(".tables").rglob("*.parquet"))
    largest_bytes = 100 if full_for == "the rows" else os.path.getsize(path)
    process, pipe = start(write_on_a_full_disk, path, largest_bytes)
    (problem,) = pipe.recv()
    process.join()
    place = 'rows of table "transcripts" cannot be written to' if full_for == "the rows" else path
    assert problem.startswith(f"WarehouseError: {place}")
    assert "Make room there" in problem
    assert len(read_partition(path, TRANSCRIPTS, DAYS[:2])) == 2
    assert names(path) == [("03020.ogg",)]
    written = sorted(Path(path).with_suffix(".tables").rglob("*.parquet"))
    assert len(written) - len(before) == 6  # two days of transcripts, segments and calls


def test_a_folder_of_somebody_else_can_be_read(path: str) -> None:
    """A reader needs no right to write."""
    write(path)
    Path(path).parent.chmod(0o500)
    if os.access(Path(path).parent, os.W_OK):
        pytest.skip("this user may write anywhere")
    try:
        assert len(read_partition(path, RECORDINGS, DAYS)) == 1
    finally:
        Path(path).parent.chmod(0o700)


def test_a_table_in_the_way_can_be_kept(path: str) -> None:
    """A file that has the name as a table of its own is not written; once that is renamed, both are there."""
    Path(path).parent.mkdir()
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE recordings AS SELECT 'mine' AS file_name")
    with pytest.raises(WarehouseError, match="ALTER TABLE"):
        require_fit(path, RECORDINGS)
    with pytest.raises(WarehouseError, match="ALTER TABLE"):
        write(path)
    assert names(path) == [("mine",)]
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE recordings RENAME TO mine")
    write(path)
    assert names(path) == [("03020.ogg",)]
    with query(path, "from mine") as found:
        assert list(found.rows) == [("mine",)]


def test_older_programs_can_open_the_file(path: str) -> None:
    """The file has the storage format that every DuckDB since 0.10 reads, whichever one wrote it."""
    write(path)
    write(path)
    header = Path(path).read_bytes()[8:20]
    assert (header[:4], int.from_bytes(header[4:], "little")) == (b"DUCK", 64)


def test_what_people_add_to_the_file_stays(path: str) -> None:
    """A view that somebody made in the DuckDB file is still there after the next write."""
    write(path)
    with duckdb.connect(path) as shell:
        shell.execute("create view mine as select count(*) as n from recordings")
    write(path)
    with query(path, "from mine") as result:
        assert list(result.rows) == [(1,)]


@pytest.mark.parametrize("way", ["file", "both"])
def test_a_copy_can_be_read(path: str, tmp_path: Path, way: str) -> None:
    """The file works from another place; so do file and folder together where the old place is gone."""
    write(path, name="old")
    there = tmp_path / "there"
    there.mkdir()
    copy = str(shutil.copy(path, there / "llm_assets.duckdb"))
    if way == "both":
        shutil.move(Path(path).with_suffix(".tables"), there / "llm_assets.tables")
        Path(path).unlink()
    assert names(copy) == [("old.ogg",)]
    assert read_partition(copy, RECORDINGS, DAYS[:1])["file_name"].tolist() == ["old.ogg"]
    assert connect(copy).execute("select count(*) from conversation").fetchone() == (0,)
    assert connect(copy).execute(NAMES).fetchall() == [("old.ogg",)]
    if way == "file":
        with pytest.raises(WarehouseError, match=r"rows are still in .*copy that folder"):
            write(copy, 1.0, "new")
    else:
        replace_partition(copy, RECORDINGS, DAYS[1:2], pd.DataFrame([recording_row(DAYS[1], "new")]))
        assert names(copy) == [("new.ogg",), ("old.ogg",)]
        with duckdb.connect(copy, read_only=True) as shell:
            assert shell.execute(NAMES).fetchall() == [("new.ogg",), ("old.ogg",)]
