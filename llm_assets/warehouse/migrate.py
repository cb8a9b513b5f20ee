"""The change of a table that a write never makes by itself: giving up a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.stores import tables_at

_NEEDED = ("partition_date", "recording_id", "status", "asset", "segment_index")


@dataclass(frozen=True, slots=True)
class DroppedColumn:
    """A column to give up, and what it holds: its type and how many rows have a value."""

    table: str
    column: str
    sql_type: str
    values: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration would do."""

    place: str
    dropped: tuple[DroppedColumn, ...] = ()


def plan(place: str, drop: Sequence[tuple[str, str]] = ()) -> Plan:
    """Look, and change nothing.

    Raises WarehouseMissing when nothing has been written there, TableMismatch for a table or column that
    is not there or that every table needs.
    """
    tables = tables_at(place)
    with tables.reading() as connection:
        known = tables.layouts()
        dropped: list[DroppedColumn] = []
        for table, column in drop:
            layout = known.get(table)
            if layout is None:
                raise TableMismatch(f'there is no table "{table}"; there are {", ".join(known) or "none"}')
            found = next((c for c in layout.table.columns if c.name.lower() == column.lower()), None)
            if found is None:
                names = ", ".join(c.name for c in layout.table.columns)
                raise TableMismatch(f'table "{table}" has no column "{column}"; it has {names}')
            if found.name in _NEEDED:
                raise TableMismatch(f'"{found.name}" cannot be dropped: tables are joined or summed up by it')
            sql = f"SELECT count({identifier(found.name)}) FROM {identifier(table)}"  # noqa: S608 - quoted
            counted = connection.execute(sql).fetchone()
            dropped.append(
                DroppedColumn(table, found.name, found.sql_type, int(counted[0]) if counted else 0)
            )
        return Plan(place, tuple(dropped))


def carry_out(planned: Plan, timeout_seconds: float = 60.0) -> None:
    """Do what was planned, for a file all at once: a migration that is killed has done nothing.

    Raises WarehouseLocked when others write for longer than `timeout_seconds`.
    """
    dropped = [(one.table, one.column) for one in planned.dropped]
    if dropped:
        tables_at(planned.place).drop_columns(dropped, timeout_seconds)
