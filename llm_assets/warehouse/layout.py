"""How a table is stored: its columns now, and the shapes in which its rows were written over time.

Only what loses nothing happens by itself: a new column, a new field inside a STRUCT. A column that is no
longer defined stays, with its old values. A changed type is refused, and so is giving up a column that
every row had. Plain values; nothing here touches a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

from duckdb.sqltypes import DuckDBPyType

from llm_assets.errors import TableMismatch
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.values import is_json, type_of

Shape = Mapping[str, str]
"""The columns of some written rows: name to type. A column that was dropped since is not in it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A stored table. `shapes` are kept under short names that rows refer to."""

    table: Table
    shapes: Mapping[str, Shape] = field(default_factory=dict[str, Shape])

    def shape_of(self, table: Table) -> tuple[Layout, str]:
        """The name of the shape that this table's rows have, and the layout that knows it."""
        shape = {column.name: str(type_of(column.sql_type)) for column in table.columns}
        for name, known in self.shapes.items():
            if known == shape:
                return self, name
        text = json.dumps([len(self.shapes), *shape.items()])
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self.with_shape(name, shape), name

    def with_shape(self, name: str, shape: Shape) -> Layout:
        return replace(self, shapes={**self.shapes, name: shape})

    def to_json(self) -> str:
        columns = [asdict(column) for column in self.table.columns]
        about = {"name": self.table.name, "description": self.table.description}
        return json.dumps(about | {"columns": columns, "shapes": self.shapes})

    @classmethod
    def from_json(cls, text: str | bytes) -> Layout:
        read = cast("dict[str, Any]", json.loads(text))
        columns = tuple(Column(**column) for column in read["columns"])
        return cls(Table(read["name"], columns, description=read["description"]), read["shapes"])


def evolved(stored: Layout | None, table: Table) -> Layout:
    """The layout once rows of `table` are in it. Raises TableMismatch when that would lose something."""
    if stored is None:
        return Layout(replace(table, children=()))
    defined = {column.name.lower(): column for column in table.columns}
    columns = [
        _kept(table, column, defined.pop(column.name.lower(), None)) for column in stored.table.columns
    ]
    # Not required, even when it is defined so: the rows that are there have no value for it.
    columns += [replace(column, required=False) for column in defined.values()]
    return replace(stored, table=Table(table.name, tuple(columns), description=table.description))


def require_fit(known: Mapping[str, Layout], tables: Iterable[Table]) -> None:
    """Raises TableMismatch when rows of one of these tables could not go into those that there are."""
    by_name = {name.lower(): layout for name, layout in known.items()}
    for table in tables:
        evolved(by_name.get(table.name.lower()), table)


def without_column(stored: Layout, name: str) -> Layout:
    """The layout without this column: rows that were written with it no longer show it."""
    gone = name.lower()
    columns = tuple(column for column in stored.table.columns if column.name.lower() != gone)
    shapes = {
        key: {column: kind for column, kind in shape.items() if column.lower() != gone}
        for key, shape in stored.shapes.items()
    }
    return Layout(replace(stored.table, columns=columns), shapes)


def _kept(table: Table, there: Column, now: Column | None) -> Column:
    if now is None:
        if there.required:
            raise TableMismatch(_required_gone(table, there))
        return there
    merged = merged_type(type_of(there.sql_type), type_of(now.sql_type))
    if merged is None:
        raise TableMismatch(type_changed(table, now, there.sql_type))
    return replace(now, name=there.name, sql_type=merged, required=now.required and there.required)


def merged_type(old: DuckDBPyType, new: DuckDBPyType) -> str | None:
    """The type that holds both without loss: STRUCTs have the fields of both. None when there is none."""
    if str(old) == str(new):
        return str(old)
    if is_json(old) or is_json(new) or old.id != new.id:
        return None
    if old.id == "list":
        item = merged_type(_item(old), _item(new))
        return f"{item}[]" if item else None
    return _merged_struct(old, new) if old.id == "struct" else None


def _item(sql_type: DuckDBPyType) -> DuckDBPyType:
    return cast(DuckDBPyType, sql_type.children[0][1])


def _merged_struct(old: DuckDBPyType, new: DuckDBPyType) -> str | None:
    fields = {name: str(kind) for name, kind in old.children}
    before = {name.lower(): (name, cast(DuckDBPyType, kind)) for name, kind in old.children}
    for name, kind in new.children:
        there = before.get(name.lower())
        merged = merged_type(there[1], cast(DuckDBPyType, kind)) if there else str(kind)
        if merged is None:
            return None
        fields[there[0] if there else name] = merged
    return f"STRUCT({', '.join(f'{identifier(name)} {kind}' for name, kind in fields.items())})"


def type_changed(table: Table, column: Column, there: str) -> str:
    """What to say of a column whose type is another one now."""
    return (
        f'table "{table.name}" has the column "{column.name}" as {there}, and the rows bring it '
        f"as {type_of(column.sql_type)}. Nothing was changed. {_ways_out(table, column)}"
    )


def _required_gone(table: Table, column: Column) -> str:
    return (
        f'table "{table.name}" has a value in "{column.name}" in every row, and the rows come without '
        f"it. Nothing was changed. {_ways_out(table, column)}"
    )


def _ways_out(table: Table, column: Column) -> str:
    return (
        "Keep the old table and give the new shape another name, or give up the old values with "
        f"`llm-assets migrate --drop-column {table.name}.{column.name}`, then materialize again"
    )
