"""A data frame as the rows of its tables: checked by name, converted by type, children unpacked.

Everything that can be wrong with the rows is found here, before the database file is opened. Columns are
matched by name, never by position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.columnar import Array, Texts, column_array, column_texts
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.tables import Child, Column, Table
from llm_assets.warehouse.unpacked import unpacked
from llm_assets.warehouse.values import DoesNotFit, is_document, is_missing, text_of, type_of

_Values = Sequence[Any] | pd.Series


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
        return {
            name: values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
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


def stage(table: Table, partition_dates: Sequence[date], frame: pd.DataFrame) -> tuple[StagedRows, ...]:
    """The frame's rows for its table and for each child table, in that order.

    Raises TableMismatch that names the table, the column and the value or what is missing.
    """
    _check_columns(table, frame)
    values = {
        column.name: frame[column.name] if column.name in frame.columns else [None] * len(frame)
        for column in table.columns
    }
    parent = StagedRows(table, _converted(table, values))
    _check_dates(parent, partition_dates)
    return parent, *(_stage_child(child, parent, frame) for child in table.children)


def _check_columns(table: Table, frame: pd.DataFrame) -> None:
    names = [str(name) for name in frame.columns]
    known = {column.name for column in table.columns} | {child.column for child in table.children}
    if unknown := [name for name in names if name not in known]:
        raise TableMismatch(
            f'table "{table.name}" has no column {", ".join(map(repr, unknown))}; its columns are '
            f"{', '.join(column.name for column in table.columns)}"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise TableMismatch(f'the rows for table "{table.name}" have the column {twice[0]!r} twice')
    needed = [column.name for column in table.columns if not column.optional]
    needed += [child.column for child in table.children if not child.optional]
    missing = [name for name in needed if name not in names]
    if missing and len(frame):
        raise TableMismatch(
            f'the rows for table "{table.name}" lack the column {", ".join(map(repr, missing))}; '
            f"they have {', '.join(names)}"
        )


def _converted(table: Table, values: Mapping[str, _Values]) -> dict[str, Texts | Array]:
    return {column.name: _column(table, column, values) for column in table.columns}


def _column(table: Table, column: Column, values: Mapping[str, _Values]) -> Texts | Array:
    given = values[column.name]
    quick = column_array(column.sql_type, given) if isinstance(given, pd.Series) else None
    if quick is None:
        given = given.tolist() if isinstance(given, pd.Series) else given
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


def _lacks_some(values: Texts | Array) -> bool:
    return bool(pd.isna(values).any()) if isinstance(values, np.ndarray) else None in values


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


def _stage_child(child: Child, parent: StagedRows, frame: pd.DataFrame) -> StagedRows:
    keys = list(zip(parent.columns["partition_date"], parent.columns["recording_id"], strict=True))
    cells = frame[child.column].tolist() if child.column in frame.columns else [None] * len(keys)
    values = unpacked(child, parent.table, keys, cells)
    asset = parent.table.name if child.shared else None
    return StagedRows(child.table, _converted(child.table, values), asset, is_child=True)
