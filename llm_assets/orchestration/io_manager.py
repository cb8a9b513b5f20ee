"""Rows between assets, kept as typed DuckDB tables; a partition, or a range of them, is written whole.

They are pandas data frames, in and out, except between assets of this package: these hand over plain rows.

An asset's table is the last part of its key. The tables of the package are known by their names; any
other asset says its own columns in its definition metadata, under `dagster/column_schema`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from llm_assets.errors import ConfigurationError, WarehouseMissing
from llm_assets.orchestration.errors import as_failures
from llm_assets.orchestration.event_log import OpenFiles
from llm_assets.orchestration.partitions import partition_dates
from llm_assets.warehouse.names import without_secrets
from llm_assets.warehouse.tables import FIXED_TABLES, Column, Table, insights_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from llm_assets.warehouse.plain import Rows

COLUMN_SCHEMA = "dagster/column_schema"

# On an input: it takes plain rows as well as a data frame, which would have pandas loaded.
PLAIN_ROWS = {"llm_assets/plain_rows": True}


class DuckDBFrameIOManager(dg.ConfigurableIOManager):
    """Stores pandas DataFrames of daily-partitioned assets as typed tables, each partition atomically."""

    path: str = Field(
        description="The DuckDB file, as an absolute path, created when it is not there; or a URL such as "
        "s3://bucket/calls, for Parquet tables that several machines write; or the name of a database "
        "that DuckDB knows, such as md:calls."
    )
    lock_timeout_seconds: float = Field(
        default=120.0, gt=0, description="How long to wait for its turn while other runs write the file."
    )

    _event_log: OpenFiles = PrivateAttr(default_factory=OpenFiles)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Called by Dagster when a run's process begins."""
        if context.instance and context.run:
            self._event_log.open(context.instance, context.run.run_id)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Called by Dagster when a run's process ends."""
        self._event_log.close()

    def handle_output(self, context: dg.OutputContext, obj: DataFrame | Rows) -> None:
        from llm_assets.warehouse.owners import require_own_table
        from llm_assets.warehouse.replace import replace_partition

        with as_failures():
            table = _table_of(context.asset_key, context.definition_metadata)
            require_own_table(self.path, table.name, context.asset_key.to_user_string())
            days = partition_dates(context.asset_partition_keys)
            replace_partition(self.path, table, days, obj, lock_timeout_seconds=self.lock_timeout_seconds)
        metadata = self._table_metadata(table, context.definition_metadata)
        context.add_output_metadata(metadata | _row_count(len(obj), len(days)))

    def require_fit(self, key: dg.AssetKey, metadata: Mapping[str, Any]) -> None:
        """Raises what `handle_output` would raise for any rows of this asset: before they are paid for."""
        from llm_assets.warehouse.owners import require_own_table
        from llm_assets.warehouse.replace import require_fit

        table = _table_of(key, metadata)
        require_own_table(self.path, table.name, key.to_user_string(), note=False)
        require_fit(self.path, table)

    def stored(self, key: dg.AssetKey, metadata: Mapping[str, Any], days: Sequence[date]) -> Rows:
        """The rows of an asset's days as they are stored, for who is no run. Raises WarehouseMissing."""
        from llm_assets.warehouse.read import read_rows

        return read_rows(self.path, _table_of(key, metadata), days)

    def load_input(self, context: dg.InputContext) -> DataFrame | Rows:
        from llm_assets.warehouse.read import read_partition, read_rows

        metadata = context.upstream_output.definition_metadata if context.upstream_output else {}
        with as_failures():
            table = _table_of(context.asset_key, metadata)
            days = partition_dates(context.asset_partition_keys)
            if PLAIN_ROWS.items() <= (context.definition_metadata or {}).items():
                rows = read_rows(self.path, table, days)
                _require_materialized(context, rows.columns["partition_date"])
                return rows
            frame = read_partition(self.path, table, days)
            _require_materialized(context, frame["partition_date"])
            return frame

    def _table_metadata(self, table: Table, of_the_asset: Mapping[str, Any]) -> dict[str, Any]:
        """Columns only where the asset does not say them: they would be half of each partition's event."""
        metadata: dict[str, Any] = {
            "dagster/table_name": f"{Path(without_secrets(self.path)).stem}.main.{table.name}",
            "dagster/storage_kind": "parquet" if "://" in self.path else "duckdb",
        }
        return metadata if COLUMN_SCHEMA in of_the_asset else metadata | {COLUMN_SCHEMA: column_schema(table)}


def takes_rows(context: dg.AssetExecutionContext, io_manager_key: str) -> bool:
    """Whether the IO manager of this run does. One made of ours may do something with the frame."""
    return type(getattr(context.resources, io_manager_key, None)) is DuckDBFrameIOManager


def _require_materialized(context: dg.InputContext, found: Iterable[object]) -> None:
    """A day without rows is empty if it was materialized; otherwise nobody has looked at it yet."""
    present = {str(day)[:10] for day in found}
    empty = [key for key in context.asset_partition_keys if key not in present]
    if not empty:
        return
    missing = sorted(set(empty) - context.instance.get_materialized_partitions(context.asset_key))
    if missing:
        name = context.asset_key.to_user_string()
        raise WarehouseMissing(f"{name} of {missing[0]} was never materialized; materialize {name} first")


def require_fit(context: dg.AssetExecutionContext, io_manager_key: str) -> None:
    """Before anything is asked: refuse rows that our own I/O manager could not keep."""
    keeper = getattr(context.resources, io_manager_key)
    if isinstance(keeper, DuckDBFrameIOManager):
        keeper.require_fit(context.asset_key, context.assets_def.metadata_by_key[context.asset_key])


def column_schema(table: Table) -> dg.TableSchema:
    """The columns of a table as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.sql_type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=not column.required),
            )
            for column in table.columns
        ]
    )


def _row_count(rows: int, partitions: int) -> dict[str, Any]:
    """Dagster copies this to every partition of a range, so of a range only its asset can say the counts."""
    return {"dagster/partition_row_count": rows} if partitions == 1 else {}


def _table_of(key: dg.AssetKey, metadata: Mapping[str, Any]) -> Table:
    name = key.path[-1]
    fixed = next((table for table in FIXED_TABLES if table.name == name), None)
    return fixed or insights_table(name, _own_columns(name, metadata))


def _own_columns(name: str, metadata: Mapping[str, Any]) -> Sequence[Column]:
    schema = metadata.get(COLUMN_SCHEMA)
    schema = schema.value if isinstance(schema, dg.TableSchemaMetadataValue) else schema
    if not isinstance(schema, dg.TableSchema):
        raise ConfigurationError(
            f"Asset {name!r} has no columns: give its definition the metadata {COLUMN_SCHEMA!r}."
        )
    shared = {column.name for column in insights_table("any", ()).columns}
    return [
        Column(column.name, column.type, column.description or "", required=not column.constraints.nullable)
        for column in schema.columns
        if column.name not in shared
    ]
