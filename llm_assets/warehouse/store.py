"""What a store of tables can do, whichever place it is in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from llm_assets.warehouse.layout import Layout
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.staging import StagedRows
from llm_assets.warehouse.tables import Table


@dataclass(frozen=True, slots=True)
class Partitions:
    """What a store has of a table for some days: its layout, and SELECTs whose rows follow each other."""

    layout: Layout
    selects: Sequence[str]


class Tables(Protocol):
    """Tables in one place."""

    def replace(self, staged: Sequence[StagedRows], days: Sequence[date], timeout_seconds: float) -> None: ...

    def require_fit(self, tables: Sequence[Table]) -> None:
        """Raises TableMismatch, or WarehouseError, when `replace` would refuse rows of these tables."""
        ...

    def owner(self, table: str, asset: str | None) -> tuple[str | None, str]:
        """The asset that is noted as the table's writer, and where. With an `asset` that one, if none is."""
        ...

    def partitions(self, connection: Connection, table: str, days: Sequence[date]) -> Partitions | None:
        """The rows of these days, None when the table was never written."""
        ...

    def layouts(self) -> dict[str, Layout]:
        """All tables, by name; none when nothing has been written."""
        ...

    def drop_columns(self, dropped: Sequence[tuple[str, str]], timeout_seconds: float) -> None:
        """Give up columns, named by table and column, all or none."""
        ...

    def reading(self, with_views: bool = True) -> AbstractContextManager[Connection]:
        """A session that can ask and do nothing else. Without views it is for `partitions` alone."""
        ...

    def connect(self) -> Connection:
        """An open connection for people and tools."""
        ...
