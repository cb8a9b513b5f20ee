"""Tables as partitioned Parquet below a URL (`s3://…`), for several machines at once and for other engines.

What a reader would get wrong: an object store has no rename, and no lock, so the newest version counts; see
`versions`. The table's own file is written last: one upload replaces a partition with all of its children.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import duckdb
from fsspec.core import url_to_fs

from llm_assets.errors import ConfigurationError, MissingExtra, WarehouseError, WarehouseMissing
from llm_assets.warehouse.layout import Layout, evolved, require_fit, without_column
from llm_assets.warehouse.names import folder_name, identifier
from llm_assets.warehouse.notes import note_of
from llm_assets.warehouse.parquet import write_parquet
from llm_assets.warehouse.rows_sql import table_sql
from llm_assets.warehouse.sessions import Connection, RowsMoved, in_memory, lock_down
from llm_assets.warehouse.shown import comments_sql, show_summaries
from llm_assets.warehouse.staging import StagedRows
from llm_assets.warehouse.store import Partitions
from llm_assets.warehouse.tables import Table
from llm_assets.warehouse.versions import StoredFile, current, file_name, stored_files, version_after

_LAYOUTS = "_tables"
# Where a finished upload appears at once and whole. Anywhere else it is uploaded aside and renamed.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}
_MOVED = re.compile(r"FileNotFound|No such file|NoSuchKey|does not exist|\b404\b", re.IGNORECASE)


class RemoteTables:
    """The tables below a URL of any file system that fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        try:
            self._files, base = url_to_fs(self._url)
        except ImportError as error:
            extra = "s3" if self._url.startswith("s3") else "whatever fsspec names: " + str(error)
            raise MissingExtra(f"reading {self._url.split('://')[0]}:// URLs", extra) from error
        except ValueError as error:
            raise ConfigurationError(f"no file system is known for {self._url.split('://')[0]}://") from error
        self._base = str(base).rstrip("/")
        protocol = self._files.protocol
        self._protocols = {protocol} if isinstance(protocol, str) else set(protocol)

    def replace(self, staged: Sequence[StagedRows], days: Sequence[date], timeout_seconds: float) -> None:
        """See `replace.replace_partition`. Each day is replaced by itself; nobody waits."""
        owner = staged[0].table.name
        with self._translated(), tempfile.TemporaryDirectory() as scratch:
            shapes = [self._shape(rows.table) for rows in staged]
            written = [self._write(rows, Path(scratch), days) for rows in staged]
            there = self._listed(owner, days)
            for day in days:
                version = version_after([one.version for one in there if one.day == day])
                # The children first: the file of the table itself makes them count.
                for rows, shape, files in reversed(list(zip(staged, shapes, written, strict=True))):
                    if day in files:
                        target = f"{self._place_of(rows.table.name, day)}/{file_name(version, shape, owner)}"
                        self._put(str(files[day]), target)
                self._remove_older(owner, [rows.table.name for rows in staged], day)

    def _write(self, rows: StagedRows, scratch: Path, days: Sequence[date]) -> dict[date, Path]:
        return write_parquet(rows, scratch / folder_name(rows.table.name), "rows.parquet", days)

    def _place_of(self, table: str, day: date) -> str:
        return f"{self._base}/{folder_name(table)}/partition_date={day}"

    def _shape(self, table: Table) -> str:
        """The name of this table's shape, once the stored layout knows it."""
        place = f"{self._base}/{_LAYOUTS}/{folder_name(table.name)}.json"
        before = self._layout(place)
        layout, shape = evolved(before, table).shape_of(table)
        if layout != before:
            self._put_bytes(layout.to_json().encode(), place)
        return shape

    def _layout(self, place: str) -> Layout | None:
        found = self._found(place)
        return None if found is None else Layout.from_json(found)

    def _put_bytes(self, content: bytes, target: str) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self._put(file.name, target)

    def _put(self, source: str, target: str) -> None:
        if self._protocols & _OBJECT_STORES:
            self._files.put_file(source, target)
            return
        aside = f"{self._base}/_uploads/{uuid4().hex}"
        for folder in (f"{self._base}/_uploads", target.rsplit("/", 1)[0]):
            self._files.makedirs(folder, exist_ok=True)
        self._files.put_file(source, aside)
        self._files.mv(aside, target)

    def _remove_older(self, owner: str, tables: Sequence[str], day: date) -> None:
        """What earlier writers left of this partition, and this writer too if it was not the newest."""
        own = [one for table in tables for one in self._listed(table, [day]) if one.owner == owner]
        newest = max(one.version for one in own if one.table == owner)
        for one in own:
            if one.version < newest:
                try:
                    self._files.rm_file(one.path)
                except FileNotFoundError:
                    continue  # another writer did it

    def _listed(self, table: str, days: Sequence[date]) -> list[StoredFile]:
        paths: list[str] = []
        for day in days:
            folder = self._place_of(table, day)
            self._files.invalidate_cache(folder)
            paths += self._files.find(folder)
        return stored_files(self._base, paths)

    def require_fit(self, tables: Sequence[Table]) -> None:
        """See `stores.Tables`."""
        require_fit(self.layouts(), tables)

    def owner(self, table: str, asset: str | None) -> tuple[str | None, str]:
        """See `stores.Tables`. Of those that begin at once the last one counts: there are no locks here."""
        note = note_of(self._base, table)
        with self._translated():
            found = self._found(note)
            if found is None and asset is not None:
                self._put_bytes(asset.encode(), note)
                found = self._found(note)
        return None if found is None else found.decode(), self._place(note)

    def _found(self, place: str) -> bytes | None:
        try:
            return self._files.cat_file(place)
        except FileNotFoundError:
            return None

    def partitions(self, connection: Connection, table: str, days: Sequence[date]) -> Partitions | None:
        """See `stores.Tables`."""
        with self._translated():
            layout = self._layout(f"{self._base}/{_LAYOUTS}/{folder_name(table)}.json")
            if layout is None:
                return None
            objects = self._listed(table, days)
            for owner in sorted({one.owner for one in objects} - {table}):
                objects += self._listed(owner, days)
            rows = [one for one in current(objects) if one.table == table]
            rows.sort(key=lambda one: (one.day, one.owner))
            selects = [
                self._sql(connection, layout, list(alike))
                for _, alike in groupby(rows, lambda one: one.shape)
            ]
            return Partitions(layout, selects)

    def layouts(self) -> dict[str, Layout]:
        """See `stores.Tables`."""
        with self._translated():
            self._files.invalidate_cache()
            found: dict[str, Layout] = {}
            for path in sorted(map(str, self._files.find(f"{self._base}/{_LAYOUTS}"))):
                layout = self._layout(path) if path.endswith(".json") else None
                if layout:
                    found[layout.table.name] = layout
            return found

    def drop_columns(self, dropped: Sequence[tuple[str, str]], timeout_seconds: float) -> None:
        """See `stores.Tables`. Tables change one after the other."""
        known = self.layouts()
        for table, column in dropped:
            known[table] = without_column(known[table], column)
        with self._translated():
            for table in sorted({table for table, _ in dropped}):
                place = f"{self._base}/{_LAYOUTS}/{folder_name(table)}.json"
                self._put_bytes(known[table].to_json().encode(), place)

    @contextmanager
    def reading(self, with_views: bool = True) -> Generator[Connection]:
        """See `stores.Tables`."""
        connection = self._session(with_views)
        try:
            lock_down(connection, [f"{self._place(self._base)}/", f"{self._url}/"])
            with self._translated():
                yield connection
        finally:
            connection.close()

    def connect(self) -> Connection:
        """See `stores.Tables`. Its rows are those of now; for later ones connect again."""
        return self._session(with_views=True)

    def _session(self, with_views: bool) -> Connection:
        connection = in_memory()
        if not self._protocols & {"file", "local"}:
            connection.register_filesystem(self._files)
        if with_views:
            with self._translated():
                self._create_views(connection)
        return connection

    def _create_views(self, connection: Connection) -> None:
        layouts = self.layouts()
        if not layouts:
            raise WarehouseMissing(
                f"nothing has been written to {self._url} yet: materialize a partition first"
            )
        objects = current(stored_files(self._base, self._files.find(self._base)))
        for name, layout in layouts.items():
            rows = [one for one in objects if one.table == name]
            connection.execute(f"CREATE VIEW {identifier(name)} AS {self._sql(connection, layout, rows)}")
            connection.execute(comments_sql(layout.table))
        show_summaries(connection, layouts.values())

    def _sql(self, connection: Connection, layout: Layout, objects: Sequence[StoredFile]) -> str:
        by_shape: dict[str, list[str]] = defaultdict(list)
        for one in sorted(objects, key=lambda one: (one.day, one.owner)):
            by_shape[one.shape].append(self._place(one.path))
        for shape, places in by_shape.items():
            if shape not in layout.shapes:  # two machines wrote new shapes in the same instant
                layout = layout.with_shape(shape, _described(connection, places[0]))
        return table_sql(layout, by_shape)

    def _place(self, path: str) -> str:
        return str(self._files.unstrip_protocol(path))

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            kind = RowsMoved if _MOVED.search(f"{type(error).__name__} {error}") else WarehouseError
            raise kind(f"{self._url}: {error}") from error


def _described(connection: Connection, place: str) -> dict[str, str]:
    rows = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [place]).fetchall()
    return {row[0]: row[1] for row in rows}
