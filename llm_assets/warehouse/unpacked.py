"""Rows of child tables, out of the column of JSON text in which they travel in their parent's frame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, cast

from pydantic_core import from_json

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.tables import Child, Table
from llm_assets.warehouse.values import is_missing

Key = tuple[str | None, str | None]
"""The day and the recording of a row."""

_Row = Mapping[str, Any]


def unpacked(child: Child, parent: Table, keys: Sequence[Key], cells: Sequence[Any]) -> dict[str, list[Any]]:
    """The values of the child's columns, of all rows in the cells. What the parent knows is filled in.

    Raises TableMismatch for a cell that is no list of rows, or rows that do not fit the table.
    """
    rows, owners = _rows(child, parent, keys, cells)
    fixed: dict[str, list[Any]] = {
        "partition_date": [day for day, _ in owners],
        "recording_id": [recording for _, recording in owners],
    }
    if child.shared:
        fixed["asset"] = [parent.name] * len(rows)
    shapes = {*map(tuple, rows)}
    _check_names(child.table, rows, {*chain.from_iterable(shapes)}, fixed)
    return _columns(child.table, rows, shapes) | fixed


def _rows(
    child: Child, parent: Table, keys: Sequence[Key], cells: Sequence[Any]
) -> tuple[list[_Row], list[Key]]:
    rows: list[_Row] = []
    owners: list[Key] = []
    known: dict[Key, list[_Row]] = {}
    for cell, key in zip(cells, keys, strict=True):
        found = _unpack(child, parent, cell)
        # The same content can be there twice in a day: two rows, but one recording and one set of rows
        # that belong to it.
        if child.read_back and known.setdefault(key, found) is not found:
            if known[key] != found:
                raise TableMismatch(
                    f'table "{parent.name}" has recording {key[1]} twice on {key[0]}, with '
                    f"different {child.column!r}"
                )
            continue
        rows += found
        owners += [key] * len(found)
    return rows, owners


def _unpack(child: Child, parent: Table, cell: Any) -> list[_Row]:
    if isinstance(cell, str):
        try:
            cell = _parsed(cell)
        except ValueError as error:
            raise TableMismatch(
                f'table "{parent.name}", column "{child.column}": not JSON: {error}'
            ) from error
    elif not isinstance(cell, list) and is_missing(cell):
        return []
    if not isinstance(cell, list) or not all(isinstance(row, dict) for row in cast("list[Any]", cell)):
        raise TableMismatch(f'table "{parent.name}", column "{child.column}" is not a list of objects')
    return cast("list[_Row]", cell)


def _parsed(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)  # slower, and reads what the first is too strict for: half a surrogate pair


def _check_names(table: Table, rows: Sequence[_Row], names: set[str], fixed: Mapping[str, list[Any]]) -> None:
    if unknown := names - {column.name for column in table.columns}:
        raise TableMismatch(f'table "{table.name}" has no column {min(unknown)!r}')
    for name in sorted(names & fixed.keys()):
        for row, value in zip(rows, fixed[name], strict=True):
            if row.get(name) not in (None, value):
                raise TableMismatch(
                    f'table "{table.name}", column "{name}": {row[name]!r} stands in the row of {value!r}'
                )


def _columns(table: Table, rows: Sequence[_Row], shapes: set[tuple[str, ...]]) -> dict[str, list[Any]]:
    """The values under each name. Most tables' rows have the same names: then without asking each row."""
    if len(shapes) == 1:
        (names,) = shapes
        columns: dict[str, list[Any]] = {column.name: [None] * len(rows) for column in table.columns}
        return columns | {name: [*map(itemgetter(name), rows)] for name in names}
    return {column.name: [row.get(column.name) for row in rows] for column in table.columns}
