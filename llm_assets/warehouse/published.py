"""What is published of a DuckDB file at a moment: asked by people, read by stages, open for tools.

The snapshot that was the current one stays for as long as it is read; see `snapshots`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from llm_assets.errors import WarehouseMissing
from llm_assets.warehouse import catalogue, scratch, shown
from llm_assets.warehouse.sessions import Connection, attached, lock_down, translated
from llm_assets.warehouse.snapshots import Snapshots


class Published:
    """The current snapshot of the file at `path`, whose rows are in `folder`.

    Raises WarehouseMissing, whatever is asked of it, when there is none.
    """

    def __init__(self, path: Path, folder: Path, snapshots: Snapshots) -> None:
        self._path, self._folder, self._snapshots = path, folder, snapshots

    @contextmanager
    def asked(self) -> Generator[Connection]:
        """A session for anybody's questions, with views, that can do nothing but read."""
        with self._leased() as file, translated(str(self._path)):
            connection = attached(str(file), self._path.stem)
            try:
                folder = self._shown_here(connection)
                lock_down(connection, [f"{folder}{os.sep}"])
                yield connection
            finally:
                connection.close()

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A session for SQL of our own, in the process's DuckDB."""
        with self._leased() as file, translated(str(self._path)), scratch.looked_into(file) as connection:
            yield connection

    def connect(self) -> Connection:
        """An open read-only connection, whose snapshot stays until it is closed."""
        file, lease = self._lease()
        with translated(str(self._path)):
            connection = duckdb.connect(str(file), read_only=True)
            if self._moved(catalogue.folder_of(connection)):
                connection.close()
                connection = attached(str(file), self._path.stem)
                self._shown_here(connection)
            connection.execute("SET TimeZone = 'UTC'")
        if lease is not None:
            weakref.finalize(connection, os.close, lease)
        return connection

    def folder_of(self, connection: Connection) -> Path:
        """Where the rows of a session's catalogue are: beside the file, unless only the file was moved."""
        written = catalogue.folder_of(connection)
        return self._folder if written is None or self._moved(written) else written

    def _moved(self, written: Path | None) -> bool:
        return written not in (None, self._folder) and self._folder.is_dir()

    def _shown_here(self, connection: Connection) -> Path:
        """The folder the session's views read: after a move of file and folder, views made anew in memory."""
        if self._moved(catalogue.folder_of(connection)):
            catalogue.copy_state(connection, self._path.stem)
            shown.prepare(connection, self._folder)
            shown.show_summaries(connection, catalogue.layouts(connection).values())
        return self.folder_of(connection)

    @contextmanager
    def _leased(self) -> Generator[Path]:
        file, lease = self._lease()
        try:
            yield file
        finally:
            if lease is not None:
                os.close(lease)

    def _lease(self) -> tuple[Path, int | None]:
        if not self._path.exists():
            raise WarehouseMissing(
                f"nothing has been written to {self._path} yet: run `llm-assets demo` or materialize "
                "a partition"
            )
        leased = self._snapshots.lease()
        return (leased[0].file, leased[1]) if leased else (self._path, None)
