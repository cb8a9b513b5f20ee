"""The file is taken in turn, for a bounded time, and whoever cannot have it is told who does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from filelock import FileLock
from warehouse_processes import COUNTS, hold_open, write_counts, write_transcripts, writer_days
from warehouse_samples import DAYS, recording_row

from llm_assets.errors import WarehouseError, WarehouseLocked, WarehouseMissing
from llm_assets.warehouse.connection import reading, writing
from llm_assets.warehouse.query import query, relations
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS

PARTITIONS = 5


def write(path: str, lock_timeout_seconds: float = 0.0) -> None:
    frame = pd.DataFrame([recording_row(DAYS[0], "03020")])
    replace_partition(path, RECORDINGS, DAYS[:1], frame, lock_timeout_seconds=lock_timeout_seconds)


def interrupted_writer(path: str) -> None:
    with writing(path) as connection:
        connection.execute("DELETE FROM recordings")
        raise KeyboardInterrupt


def test_two_processes_lose_nothing(path: str, start: Callable[..., Any]) -> None:
    """Two processes that write many partitions of one table at once both get all of them in."""
    pipes = [start(write_counts, path, writer, PARTITIONS)[1] for writer in range(2)]
    assert [pipe.recv() for pipe in pipes] == ["ready", "ready"]
    for pipe in pipes:
        pipe.send("go")
    assert [pipe.recv() for pipe in pipes] == ["done", "done"]
    for writer in range(2):
        days = list(writer_days(writer, PARTITIONS))
        assert read_partition(path, COUNTS, days)["writer"].tolist() == [writer] * PARTITIONS


@pytest.mark.parametrize("read_only", [True, False])
def test_a_writer_is_told_who_holds_the_file(path: str, start: Callable[..., Any], read_only: bool) -> None:
    """A file held open by another program is an error with that process's id and what to do."""
    write(path)
    process, pipe = start(hold_open, path, read_only)
    assert pipe.recv() == "open"
    with pytest.raises(WarehouseLocked, match=rf"process {process.pid} .*close its connection"):
        write(path)
    pipe.send("let go")
    process.join()
    write(path)


def test_a_writer_waits_until_the_file_is_free(path: str, start: Callable[..., Any]) -> None:
    """A writer that found the file held by another program writes as soon as it is let go."""
    write(path)
    _, holder = start(hold_open, path, False)
    assert holder.recv() == "open"
    _, writer = start(write_transcripts, path, "new", "isinstance(error, duckdb.Error)", False)
    assert writer.recv() == "reached"  # its first attempt to open the file has failed
    holder.send("let go")
    assert isinstance(writer.recv(), int)
    assert len(read_partition(path, TRANSCRIPTS, DAYS[:1])) == 4


def test_a_reader_is_told_who_holds_the_file(path: str, start: Callable[..., Any]) -> None:
    """A reader too waits only for the time allowed, then says who has the file."""
    write(path)
    process, pipe = start(hold_open, path, False)
    assert pipe.recv() == "open"
    with pytest.raises(WarehouseLocked, match=f"process {process.pid}"), reading(path, 0.0):
        pass


def test_readers_share_the_file(path: str, start: Callable[..., Any]) -> None:
    """Readers of several processes, and several in one, are in nobody's way."""
    write(path)
    _, pipe = start(hold_open, path, True)
    assert pipe.recv() == "open"
    with query(path, "select 1", lock_timeout_seconds=0), reading(path, 0.0) as connection:
        assert connection.execute("select count(*) from recordings").fetchone() == (1,)


def test_whoever_comes_while_a_run_writes_stands_in_line(path: str) -> None:
    """While another run has its turn, writers and readers wait for it, then say so."""
    write(path)
    with FileLock(f"{path}.lock"):
        with pytest.raises(WarehouseLocked, match="written by other runs"):
            write(path)
        with pytest.raises(WarehouseLocked, match="written by other runs"), reading(path, 0.0):
            pass


def test_a_connection_of_the_same_program_counts_too(path: str) -> None:
    """A reader left open in this very process is found, not written under."""
    write(path)
    with reading(path), pytest.raises(WarehouseLocked, match="another connection of this program"):
        write(path)
    write(path)


def test_an_exception_lets_the_file_go(path: str) -> None:
    """A writer or reader that fails rolls back, closes the file and gives up its turn."""
    write(path)
    with pytest.raises(KeyboardInterrupt):
        interrupted_writer(path)
    with pytest.raises(KeyboardInterrupt), reading(path):
        raise KeyboardInterrupt
    assert len(read_partition(path, RECORDINGS, DAYS[:1])) == 1
    write(path)


def test_nothing_written_yet_is_said(path: str) -> None:
    """Reading before anything was written says so and how to begin, and creates nothing."""
    with pytest.raises(WarehouseMissing, match="llm-assets demo"):
        read_partition(path, RECORDINGS, DAYS)
    assert not Path(path).parent.exists()
    write(path)
    with pytest.raises(WarehouseMissing, match='no table "counts" yet'):
        read_partition(path, COUNTS, DAYS)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    """Another file at the database's path is an error, and stays as it is."""
    path = tmp_path / "notes.duckdb"
    path.write_text("not a database" * 500)
    with pytest.raises(WarehouseError, match=r"notes\.duckdb cannot be opened.*not a valid DuckDB"):
        write(str(path))
    with pytest.raises(WarehouseError, match="cannot be opened"):
        relations(str(path))
    assert path.read_text().startswith("not a database")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A path below something that is no folder is an error that names the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match="cannot be written"):
        write(str(tmp_path / "file" / "x.duckdb"))


def test_a_folder_of_somebody_else_can_be_read(path: str) -> None:
    """A reader needs no right to write, not even for the lock file."""
    write(path)
    Path(f"{path}.lock").unlink(missing_ok=True)
    Path(path).parent.chmod(0o500)
    if os.access(Path(path).parent, os.W_OK):
        pytest.skip("this user may write anywhere")
    try:
        assert len(read_partition(path, RECORDINGS, DAYS)) == 1
    finally:
        Path(path).parent.chmod(0o700)


def test_rows_of_a_killed_writer_are_read(path: str) -> None:
    """What is committed but still in DuckDB's log is there for readers."""
    write(path)
    other = duckdb.connect(path)
    other.execute("SET checkpoint_threshold = '1GB'")
    other.execute("PRAGMA disable_checkpoint_on_shutdown")
    other.execute("UPDATE recordings SET file_name = 'logged'")
    other.close()
    assert Path(f"{path}.wal").exists()
    assert read_partition(path, RECORDINGS, DAYS)["file_name"].tolist() == ["logged"]
