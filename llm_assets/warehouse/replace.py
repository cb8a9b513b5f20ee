"""Replace partitions of a table whole: afterwards the new rows are there, or else all the old ones.

What a reader would get wrong: no row at all is not "nothing to do". It says that the partition has no
rows, so the old ones go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from llm_assets.warehouse.plain import Rows
from llm_assets.warehouse.staging import stage
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import Table

if TYPE_CHECKING:
    import pandas as pd

LOCK_TIMEOUT_SECONDS = 60.0


def replace_partition(
    path: str,
    table: Table,
    partition_dates: Sequence[date],
    rows: pd.DataFrame | Rows,
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> None:
    """Make the rows, plain or in a frame, the whole content of these days, child tables included.

    `path` is a DuckDB file, a URL or a database's name. The rows are checked, converted and, for a file,
    on disk before the turn to write is taken. `llm_calls` and other shared children are replaced for this
    table only.

    Raises TableMismatch when rows and table do not fit together, WarehouseLocked when it was not this
    writer's turn within `lock_timeout_seconds`, WarehouseError when nothing can be written. Then nothing
    has changed.
    """
    days = _days(partition_dates)
    tables_at(path).replace(stage(table, days, rows), days, lock_timeout_seconds)


def require_fit(path: str, table: Table) -> None:
    """Before there are rows: raises what `replace_partition` would raise for any rows of this table, children
    included."""
    tables_at(path).require_fit([table, *(child.table for child in table.children)])


def _days(partition_dates: Sequence[date]) -> list[date]:
    days = sorted({day.date() if isinstance(day, datetime) else day for day in partition_dates})
    if not days:
        raise ValueError("no partition to replace: partition_dates is empty")
    return days
