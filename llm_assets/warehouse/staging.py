"""Rows, plain or in a data frame, as those of their tables: checked by name, converted, children unpacked.

Everything that can be wrong with the rows is found here, before the database file is opened. Columns are
matched by name, never by position.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.columnar import Texts, column_texts
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.plain import Rows
from llm_assets.warehouse.tables import Child, Column, Table
from llm_assets.warehouse.unpacked import unpacked
from llm_assets.warehouse.values import DoesNotFit, is_document, is_missing, text_of, type_of

if TYPE_CHECKING:
    import pandas as pd

    from llm_assets.warehouse.arrays import Array

_Values: TypeAlias = "list[Any] | pd.Series[Any]"


@dataclass(frozen=True, slots=True)
class StagedRows:
    """Rows that are ready for one table: of every column the text to cast, None for NULL, or an array of
    numbers or times that DuckDB takes as they are.

    `asset` is set when only this asset's rows of the partition are to be replaced.
    """

    table: Table
    columns: Mapping[str, Texts | Array]
    asset: str | None = None
    is_child: bool = False

    @property
    def days(self) -> set[str]:
        """The days that have rows."""
        return {str(day) for day in {*self.columns["partition_date"]}}

    @property
    def arrays(self) -> dict[str, Array]:
        """The columns as DuckDB can scan them."""
        import numpy as np

        return {
            name: np.array(values, dtype=object) if isinstance(values, list) else values
            for name, values in self.columns.items()
        }

    def __len__(self) -> int:
        return len(self.columns[self.table.columns[0].name])


def cast_sql(column: Column) -> str:
    """The expression that makes a column's value of its staged text."""
    sql_type = type_of(column.sql_type)
    text = identifier(column.name)
    if is_document(sql_type):
        text = f"CAST({text} AS JSON)"
    return f"CAST({text} AS {sql_type})"


def stage(table: Table, partition_dates: Sequence[date], rows: pd.DataFrame | Rows) -> tuple[StagedRows, ...]:
    """The rows for the table and for each of its child tables, in that order.

    Raises TableMismatch that names the table, the column and the value or what is missing.
    """
    given = rows.columns if isinstance(rows, Rows) else _columns(table, rows)
    _check_columns(table, given, len(rows))
    values = {column.name: given.get(column.name, [None] * len(rows)) for column in table.columns}
    parent = StagedRows(table, _converted(table, values))
    _check_dates(parent, partition_dates)
    return parent, *(_stage_child(child, parent, given.get(child.column)) for child in table.children)


def _columns(table: Table, frame: pd.DataFrame) -> Mapping[str, _Values]:
    names = [str(name) for name in frame.columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise TableMismatch(f'the rows for table "{table.name}" have the column {twice[0]!r} twice')
    return {name: frame.iloc[:, position] for position, name in enumerate(names)}


def _check_columns(table: Table, names: Collection[str], count: int) -> None:
    known = {column.name for column in table.columns} | {child.column for child in table.children}
    if unknown := [name for name in names if name not in known]:
        raise TableMismatch(
            f'table "{table.name}" has no column {", ".join(map(repr, unknown))}; its columns are '
            f"{', '.join(column.name for column in table.columns)}"
        )
    needed = [column.name for column in table.columns if not column.optional]
    needed += [child.column for child in table.children if not child.optional]
    missing = [name for name in needed if name not in names]
    if missing and count:
        raise TableMismatch(
            f'the rows for table "{table.name}" lack the column {", ".join(map(repr, missing))}; '
            f"they have {', '.join(names)}"
        )


def _converted(table: Table, values: Mapping[str, _Values]) -> dict[str, Texts | Array]:
    return {column.name: _column(table, column, values) for column in table.columns}


def _column(table: Table, column: Column, values: Mapping[str, _Values]) -> Texts | Array:
    given = values[column.name]
    quick = None if isinstance(given, list) else _array(column, given)
    if quick is None:
        given = given if isinstance(given, list) else given.tolist()
        quick = column_texts(column.sql_type, given)
    if quick is not None and not (column.required and _lacks_some(quick)):
        return quick
    convert = text_of(column.sql_type, column.rounded)
    texts: Texts = []
    for row, value in enumerate(given):
        try:
            text = None if is_missing(value) else convert(value)
        except DoesNotFit as error:
            raise TableMismatch(_where(table, column, values, row) + str(error)) from error
        if text is None and column.required:
            raise TableMismatch(_where(table, column, values, row) + "the value is missing")
        texts.append(text)
    return texts


def _array(column: Column, series: pd.Series[Any]) -> Array | None:
    from llm_assets.warehouse.arrays import column_array

    return column_array(column.sql_type, series)


def _lacks_some(values: Texts | Array) -> bool:
    if isinstance(values, list):
        return None in values
    from llm_assets.warehouse.arrays import lacks_some

    return lacks_some(values)


def _where(table: Table, column: Column, values: Mapping[str, _Values], row: int) -> str:
    recording = list(values["recording_id"])[row]
    return f'table "{table.name}", column "{column.name}", row {row + 1} (recording {recording}): '


def _check_dates(rows: StagedRows, partition_dates: Sequence[date]) -> None:
    expected = {day.isoformat() for day in partition_dates}
    for row, day in enumerate(rows.columns["partition_date"]):
        if day not in expected:
            raise TableMismatch(
                f'table "{rows.table.name}", row {row + 1}: partition_date is {day}, which is outside the '
                f"partitions being replaced ({min(expected)} to {max(expected)})"
            )


def _stage_child(child: Child, parent: StagedRows, given: _Values | None) -> StagedRows:
    keys = list(zip(parent.columns["partition_date"], parent.columns["recording_id"], strict=True))
    cells = [None] * len(keys) if given is None else list(given)
    values = unpacked(child, parent.table, keys, cells)
    asset = parent.table.name if child.shared else None
    return StagedRows(child.table, _converted(child.table, values), asset, is_child=True)
