"""Tables in a folder beside a DuckDB file: rows as Parquet, the file as the catalogue people open.

What a reader would get wrong: the rows are on disk before the turn to write is taken. What counts is which
files the published catalogue names, so a writer killed anywhere leaves files that nobody sees, and the
lock is held only to publish the next catalogue.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb

from llm_assets.errors import WarehouseMissing
from llm_assets.warehouse import catalogue, scratch, shown
from llm_assets.warehouse.catalogue import DataFile
from llm_assets.warehouse.layout import Layout, evolved, require_fit, without_column
from llm_assets.warehouse.names import folder_name
from llm_assets.warehouse.owners import note_of, noted
from llm_assets.warehouse.parquet import write_parquet
from llm_assets.warehouse.rows_sql import table_sql
from llm_assets.warehouse.sessions import Connection, attached, lock_down, transaction, translated
from llm_assets.warehouse.snapshots import Snapshots
from llm_assets.warehouse.staging import StagedRows
from llm_assets.warehouse.store import Partitions
from llm_assets.warehouse.tables import Table
from llm_assets.warehouse.turns import turn

# Files that no catalogue names: a writer was killed before it published them, or has not got that far.
_LEFT_BEHIND_SECONDS = 6 * 3600.0


class LocalTables:
    """The tables of the DuckDB file at `path`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        self.folder = self.path.with_name(f"{self.path.name.removesuffix('.duckdb')}.tables")
        self._snapshots = Snapshots(self.path, self.folder / "_snapshots")

    def replace(self, staged: Sequence[StagedRows], days: Sequence[date], timeout_seconds: float) -> None:
        """See `replace.replace_partition`."""
        written: list[Path] = []
        try:
            for rows in staged:
                written += self._write(rows, days)
            with self.changing(timeout_seconds) as (connection, snapshot):
                self._record(connection, staged, days, written, snapshot)
        except BaseException:
            _remove(written)
            raise
        self._tidy(days, [rows.table.name for rows in staged])

    def _write(self, rows: StagedRows, days: Sequence[date]) -> list[Path]:
        owner = folder_name(rows.asset or rows.table.name)
        name = f"{owner}-{time.time_ns():020d}-{uuid4().hex[:8]}.parquet"
        return write_parquet(rows, {day: self._place(rows, day) / name for day in days})

    def _place(self, rows: StagedRows, day: date) -> Path:
        return self.folder / folder_name(rows.table.name) / f"partition_date={day}"

    def _record(
        self,
        connection: Connection,
        staged: Sequence[StagedRows],
        days: Sequence[date],
        written: Sequence[Path],
        snapshot: int,
    ) -> None:
        """Name the new files in the catalogue, and renew what shows them."""
        known = {name.lower(): layout for name, layout in catalogue.layouts(connection).items()}
        now: dict[str, Layout] = {}
        new: list[DataFile] = []
        for rows in staged:
            name = rows.table.name.lower()
            now[name], shape = evolved(known.get(name), rows.table).shape_of(rows.table)
            if now[name] != known.get(name):
                catalogue.keep_layout(connection, now[name])
            new += self._files(rows, days, written, shape)
        owners = [(rows.table.name, rows.asset) for rows in staged]
        changed = catalogue.replace_files(connection, owners, days, new, snapshot)
        for name, layout in now.items():
            if layout != known.get(name):
                shown.show(connection, self.folder, layout)
            elif name in changed:
                shown.show(connection, self.folder, layout, days)
        if not now.keys() <= known.keys():
            shown.show_summaries(connection, (known | now).values())

    def _files(
        self, rows: StagedRows, days: Sequence[date], written: Sequence[Path], shape: str
    ) -> list[DataFile]:
        """Those that were written of these rows, as the catalogue names them."""
        name, folders = rows.table.name, {self._place(rows, day): day for day in days}
        return [
            DataFile(name, rows.asset, folders[file.parent], str(file.relative_to(self.folder)), shape)
            for file in written
            if file.parent in folders
        ]

    def owner(self, table: str, asset: str | None) -> tuple[str | None, str]:
        """See `stores.Tables`."""
        note = note_of(str(self.folder), table)
        return noted(Path(note), asset), note

    def partitions(self, connection: Connection, table: str, days: Sequence[date]) -> Partitions | None:
        """See `stores.Tables`."""
        layout = catalogue.layout(connection, table)
        if layout is None:
            return None
        files = catalogue.files(connection, table, days)
        folder = catalogue.folder_of(connection) or self.folder
        selects = [table_sql(layout, {file.shape: [str(folder / file.path)]}) for file in files]
        return Partitions(layout, selects)

    def require_fit(self, tables: Sequence[Table]) -> None:
        """See `stores.Tables`."""
        if self.path.exists():
            with self.reading() as connection:
                known = catalogue.layouts(connection)
                require_fit(known, tables)
                for table in tables:
                    if table.name not in known:
                        shown.refuse_other_table(connection, table)

    def layouts(self) -> dict[str, Layout]:
        """See `stores.Tables`."""
        if not self.path.exists():
            return {}
        with self.reading() as connection:
            return catalogue.layouts(connection)

    def drop_columns(self, dropped: Sequence[tuple[str, str]], timeout_seconds: float) -> None:
        """See `stores.Tables`."""
        with self.changing(timeout_seconds) as (connection, _):
            known = catalogue.layouts(connection)
            for table, column in dropped:
                known[table] = without_column(known[table], column)
                catalogue.keep_layout(connection, known[table])
                shown.show(connection, self.folder, known[table])
            shown.show_summaries(connection, known.values())

    @contextmanager
    def changing(self, timeout_seconds: float) -> Generator[tuple[Connection, int]]:
        """The next catalogue and its number, for one writer. Leaving normally publishes it.

        Raises WarehouseLocked when others write for longer than `timeout_seconds`, WarehouseError when
        the file is no database or cannot be written.
        """
        with turn(str(self.path), timeout_seconds), translated(str(self.path)):
            oldest = self._snapshots.clean()
            with (
                self._snapshots.draft() as draft,
                scratch.opened(draft.file) as connection,
                transaction(connection),
            ):
                shown.prepare(connection, self.folder)
                unseen = catalogue.forget_retired(connection, oldest) if oldest else []
                yield connection, draft.number
            _remove(self.folder / path for path in unseen)

    def _tidy(self, days: Sequence[date], tables: Iterable[str]) -> None:
        """Remove what writers that were killed left in these partitions."""
        places = [
            self.folder / folder_name(table) / f"partition_date={day}" for table in tables for day in days
        ]
        old = [
            file
            for place in places
            if place.is_dir()
            for file in place.iterdir()
            if time.time() - file.stat().st_mtime > _LEFT_BEHIND_SECONDS
        ]
        if old:
            with self.reading() as connection:
                sql = (
                    "SELECT path FROM llm_assets_state.files UNION SELECT path FROM llm_assets_state.retired"
                )
                known = {self.folder / path for (path,) in connection.execute(sql).fetchall()}
            _remove(file for file in old if file not in known)

    @contextmanager
    def reading(self, with_views: bool = True) -> Generator[Connection]:
        """The current snapshot, to ask and nothing else. Raises WarehouseMissing when there is none."""
        file, lease = self._lease()
        try:
            with translated(str(self.path)):
                connection = attached(str(file), self.path.stem)
                try:
                    folder = self._here(connection)
                    lock_down(connection, [f"{folder}{os.sep}"])
                    yield connection
                finally:
                    connection.close()
        finally:
            if lease is not None:
                os.close(lease)

    def connect(self) -> Connection:
        """An open read-only connection to the current snapshot, which stays until it is closed."""
        file, lease = self._lease()
        with translated(str(self.path)):
            connection = duckdb.connect(str(file), read_only=True)
            if catalogue.folder_of(connection) not in (None, self.folder) and self.folder.is_dir():
                connection.close()
                connection = attached(str(file), self.path.stem)
                self._here(connection)
            connection.execute("SET TimeZone = 'UTC'")
        if lease is not None:
            weakref.finalize(connection, os.close, lease)
        return connection

    def _here(self, connection: Connection) -> Path:
        """The folder the session's views read: after a move of file and folder, views made anew in memory."""
        folder = catalogue.folder_of(connection)
        if folder in (None, self.folder) or not self.folder.is_dir():
            return folder or self.folder
        catalogue.copy_state(connection, self.path.stem)
        shown.prepare(connection, self.folder)
        shown.show_summaries(connection, catalogue.layouts(connection).values())
        return self.folder

    def _lease(self) -> tuple[Path, int | None]:
        if not self.path.exists():
            raise WarehouseMissing(
                f"nothing has been written to {self.path} yet: run `llm-assets demo` or materialize "
                "a partition"
            )
        leased = self._snapshots.lease()
        return (leased[0].file, leased[1]) if leased else (self.path, None)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink()
