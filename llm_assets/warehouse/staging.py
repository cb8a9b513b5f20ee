"""A data frame as the rows of its tables: checked by name, converted by type, children unpacked.

Everything that can be wrong with the rows is found here, before the database file is opened. Columns are
matched by name, never by position.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.columnar import column_texts
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.tables import Child, Column, Table
from llm_assets.warehouse.values import DoesNotFit, is_document, is_missing, text_of, type_of

Texts = dict[str, list[str | None]]
_Values = Sequence[Any] | pd.Series


@dataclass(frozen=True, slots=True)
class StagedRows:
    """Rows that are ready for one table: for every column the text to cast, None for NULL.

    `asset` is set when only this asset's rows of the partition are to be replaced.
    """

    table: Table
    texts: Texts
    asset: str | None = None
    is_child: bool = False

    @property
    def days(self) -> set[str]:
        """The days that have rows."""
        return {day for day in self.texts["partition_date"] if day is not None}

    @property
    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The texts as columns that DuckDB can scan."""
        return {name: np.array(texts, dtype=object) for name, texts in self.texts.items()}

    def __len__(self) -> int:
        return len(self.texts[self.table.columns[0].name])


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
        column.name: _values(frame[column.name]) if column.name in frame.columns else [None] * len(frame)
        for column in table.columns
    }
    parent = StagedRows(table, _texts(table, values))
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


def _values(series: pd.Series[Any]) -> _Values:
    """Python values; but times with a zone as they are, since most columns of them are done at once."""
    return series if isinstance(series.dtype, pd.DatetimeTZDtype) else series.tolist()


def _texts(table: Table, values: Mapping[str, _Values]) -> Texts:
    return {column.name: _column_texts(table, column, values) for column in table.columns}


def _column_texts(table: Table, column: Column, values: Mapping[str, _Values]) -> list[str | None]:
    quick = column_texts(column.sql_type, values[column.name])
    if quick is not None and not (column.required and None in quick):
        return quick
    convert = text_of(column.sql_type, column.rounded)
    texts: list[str | None] = []
    for row, value in enumerate(values[column.name]):
        try:
            text = None if is_missing(value) else convert(value)
        except DoesNotFit as error:
            raise TableMismatch(_where(table, column, values, row) + str(error)) from error
        if text is None and column.required:
            raise TableMismatch(_where(table, column, values, row) + "the value is missing")
        texts.append(text)
    return texts


def _where(table: Table, column: Column, values: Mapping[str, _Values], row: int) -> str:
    recording = list(values["recording_id"])[row]
    return f'table "{table.name}", column "{column.name}", row {row + 1} (recording {recording}): '


def _check_dates(rows: StagedRows, partition_dates: Sequence[date]) -> None:
    expected = {day.isoformat() for day in partition_dates}
    for row, day in enumerate(rows.texts["partition_date"]):
        if day not in expected:
            raise TableMismatch(
                f'table "{rows.table.name}", row {row + 1}: partition_date is {day}, which is outside the '
                f"partitions being replaced ({min(expected)} to {max(expected)})"
            )


def _stage_child(child: Child, parent: StagedRows, frame: pd.DataFrame) -> StagedRows:
    cells = frame[child.column].tolist() if child.column in frame.columns else []
    rows = _child_rows(child, parent, cells)
    values = {column.name: [row.get(column.name) for row in rows] for column in child.table.columns}
    asset = parent.table.name if child.shared else None
    return StagedRows(child.table, _texts(child.table, values), asset, is_child=True)


def _child_rows(child: Child, parent: StagedRows, cells: list[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    known: dict[tuple[str | None, str | None], list[dict[str, Any]]] = {}
    keys = zip(parent.texts["partition_date"], parent.texts["recording_id"], strict=True)
    for cell, key in zip(cells, keys, strict=False):
        unpacked = _unpack(child, parent.table, cell)
        # The same content can be there twice in a day: two rows, but one recording and one set of rows
        # that belong to it.
        if child.read_back and known.setdefault(key, unpacked) is not unpacked:
            if known[key] != unpacked:
                raise TableMismatch(
                    f'table "{parent.table.name}" has recording {key[1]} twice on {key[0]}, with '
                    f"different {child.column!r}"
                )
            continue
        rows.extend(_completed(child, parent.table, row, key) for row in unpacked)
    return rows


def _unpack(child: Child, parent: Table, cell: Any) -> list[dict[str, Any]]:
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise TableMismatch(
                f'table "{parent.name}", column "{child.column}": not JSON: {error}'
            ) from error
    elif not isinstance(cell, list) and is_missing(cell):
        return []
    if not isinstance(cell, list) or not all(isinstance(row, dict) for row in cast("list[Any]", cell)):
        raise TableMismatch(f'table "{parent.name}", column "{child.column}" is not a list of objects')
    return cast("list[dict[str, Any]]", cell)


def _completed(
    child: Child, parent: Table, row: dict[str, Any], key: tuple[str | None, str | None]
) -> dict[str, Any]:
    fixed: dict[str, Any] = {"partition_date": key[0], "recording_id": key[1]}
    if child.shared:
        fixed["asset"] = parent.name
    known = {column.name for column in child.table.columns}
    for name, value in row.items():
        if name not in known:
            raise TableMismatch(f'table "{child.table.name}" has no column {name!r}')
        if name in fixed and value is not None and value != fixed[name]:
            raise TableMismatch(
                f'table "{child.table.name}", column "{name}": {value!r} stands in the row of {fixed[name]!r}'
            )
    return row | fixed
