"""Tables in a folder beside a DuckDB file: rows as Parquet, the file as the catalogue people open.

What a reader would get wrong: the rows are on disk before the turn to write is taken. What counts is which
files the published catalogue names, so a writer killed anywhere leaves files that nobody sees, and the
lock is held only to publish the next catalogue.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from itertools import groupby
from pathlib import Path
from uuid import uuid4

from llm_assets.warehouse import catalogue, scratch, shown
from llm_assets.warehouse.catalogue import DataFile
from llm_assets.warehouse.layout import Layout, evolved, require_fit, without_column
from llm_assets.warehouse.names import folder_name
from llm_assets.warehouse.notes import note_of, noted
from llm_assets.warehouse.parquet import remove, synced, write_parquet
from llm_assets.warehouse.published import Published
from llm_assets.warehouse.rows_sql import table_sql
from llm_assets.warehouse.sessions import Connection, transaction, translated
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
        self._published = Published(self.path, self.folder, self._snapshots)

    def replace(self, staged: Sequence[StagedRows], days: Sequence[date], timeout_seconds: float) -> None:
        """See `replace.replace_partition`."""
        written: list[dict[date, Path]] = []
        try:
            for rows in staged:
                written.append(self._write(rows, days))
            with translated(str(self.folder)):
                synced([file for files in written for file in files.values()])
            with self.changing(timeout_seconds) as (connection, snapshot):
                self._record(connection, staged, days, written, snapshot)
        except BaseException:
            remove(file for files in written for file in files.values())
            raise
        self._tidy(days, [rows.table.name for rows in staged])

    def _write(self, rows: StagedRows, days: Sequence[date]) -> dict[date, Path]:
        owner = folder_name(rows.asset or rows.table.name)
        name = f"{owner}-{time.time_ns():020d}-{uuid4().hex[:8]}.parquet"
        return write_parquet(rows, self._folder_of(rows.table.name), name, days)

    def _folder_of(self, table: str) -> Path:
        return self.folder / folder_name(table)

    def _record(
        self,
        connection: Connection,
        staged: Sequence[StagedRows],
        days: Sequence[date],
        written: Sequence[dict[date, Path]],
        snapshot: int,
    ) -> None:
        """Name the new files in the catalogue, and renew what shows them."""
        known = {name.lower(): layout for name, layout in catalogue.layouts(connection).items()}
        now: dict[str, Layout] = {}
        new: list[DataFile] = []
        for rows, files in zip(staged, written, strict=True):
            name = rows.table.name.lower()
            now[name], shape = evolved(known.get(name), rows.table).shape_of(rows.table)
            if now[name] != known.get(name):
                catalogue.keep_layout(connection, now[name])
            new += [
                DataFile(rows.table.name, rows.asset, day, str(file.relative_to(self.folder)), shape)
                for day, file in files.items()
            ]
        owners = [(rows.table.name, rows.asset) for rows in staged]
        changed = catalogue.replace_files(connection, owners, days, new, snapshot)
        evolving = [layout for name, layout in now.items() if layout != known.get(name)]
        shown.show(connection, self.folder, evolving)
        others = [now[name] for name in changed & now.keys() if now[name] not in evolving]
        shown.show(connection, self.folder, others, days)
        if not now.keys() <= known.keys():
            shown.show_summaries(connection, (known | now).values())

    def owner(self, table: str, asset: str | None) -> tuple[str | None, str]:
        """See `stores.Tables`."""
        note = note_of(str(self.folder), table)
        return noted(Path(note), asset), note

    def partitions(self, connection: Connection, table: str, days: Sequence[date]) -> Partitions | None:
        """See `stores.Tables`."""
        layout = catalogue.layout(connection, table)
        if layout is None:
            return None
        files = catalogue.files(connection, [table], days)
        folder = self._published.folder_of(connection)
        selects = [
            table_sql(layout, {shape: [file.below(folder) for file in alike]})
            for shape, alike in groupby(files, lambda file: file.shape)
        ]
        return Partitions(layout, selects)

    def require_fit(self, tables: Sequence[Table]) -> None:
        """See `stores.Tables`."""
        if self.path.exists():
            with self.reading(with_views=False) as connection:
                known = catalogue.layouts(connection)
                require_fit(known, tables)
                for table in tables:
                    if table.name not in known:
                        shown.refuse_other_table(connection, table)

    def layouts(self) -> dict[str, Layout]:
        """See `stores.Tables`."""
        if not self.path.exists():
            return {}
        with self.reading(with_views=False) as connection:
            return catalogue.layouts(connection)

    def drop_columns(self, dropped: Sequence[tuple[str, str]], timeout_seconds: float) -> None:
        """See `stores.Tables`."""
        with self.changing(timeout_seconds) as (connection, _):
            known = catalogue.layouts(connection)
            for table, column in dropped:
                known[table] = without_column(known[table], column)
                catalogue.keep_layout(connection, known[table])
            shown.show(connection, self.folder, [known[table] for table in {table for table, _ in dropped}])
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
            remove(self.folder / path for path in unseen)

    def _tidy(self, days: Sequence[date], tables: Iterable[str]) -> None:
        """Remove what writers that were killed left in these partitions."""
        places = [self._folder_of(table) / f"partition_date={day}" for table in tables for day in days]
        old = [
            file
            for place in places
            if place.is_dir()
            for file in place.iterdir()
            if time.time() - file.stat().st_mtime > _LEFT_BEHIND_SECONDS
        ]
        if old:
            with self.reading(with_views=False) as connection:
                sql = (
                    "SELECT path FROM llm_assets_state.files UNION SELECT path FROM llm_assets_state.retired"
                )
                known = {self.folder / path for (path,) in connection.execute(sql).fetchall()}
            remove(file for file in old if file not in known)

    def reading(self, with_views: bool = True) -> AbstractContextManager[Connection]:
        """See `stores.Tables`."""
        return self._published.asked() if with_views else self._published.read()

    def connect(self) -> Connection:
        """See `stores.Tables`. Its rows are those of the current snapshot."""
        return self._published.connect()
