"""SQL that shows stored rows as their table: every shape brought to the columns the table has now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llm_assets.warehouse.layout import Layout, Shape
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.tables import Column
from llm_assets.warehouse.values import type_of


def table_sql(layout: Layout, places_by_shape: Mapping[str, Sequence[str]]) -> str:
    """A SELECT over Parquet files, given as paths or URLs under the shape their rows have."""
    parts = [
        _part(layout, layout.shapes[shape], places) for shape, places in places_by_shape.items() if places
    ]
    return " UNION ALL ".join(parts) if parts else _nothing(layout)


def _part(layout: Layout, shape: Shape, places: Sequence[str]) -> str:
    lower = {name.lower(): (name, kind) for name, kind in shape.items()}
    columns = ", ".join(_column(column, lower.get(column.name.lower())) for column in layout.table.columns)
    files = ", ".join(map(literal, places))
    # The day stands in the path too, so that a question about some days opens only their files.
    options = "hive_partitioning = true, hive_types = {'partition_date': DATE}"
    return f"SELECT {columns} FROM read_parquet([{files}], {options})"  # noqa: S608 - everything is quoted


def _column(column: Column, written: tuple[str, str] | None) -> str:
    name, sql_type = identifier(column.name), str(type_of(column.sql_type))
    if written is None:
        return f"CAST(NULL AS {sql_type}) AS {name}"
    source = identifier(written[0])
    # DuckDB casts a STRUCT by the names of its fields; those it lacks are NULL.
    return f"{source} AS {name}" if written[1] == sql_type else f"CAST({source} AS {sql_type}) AS {name}"


def _nothing(layout: Layout) -> str:
    columns = (
        f"CAST(NULL AS {type_of(column.sql_type)}) AS {identifier(column.name)}"
        for column in layout.table.columns
    )
    return f"SELECT {', '.join(columns)} WHERE false"
