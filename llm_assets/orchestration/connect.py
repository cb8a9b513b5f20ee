"""`llm_assets.connect()`: one line of Python from a notebook or a script to the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_assets.orchestration.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def connect(place: str | None = None) -> DuckDBPyConnection:
    """A read-only DuckDB connection to what is published now, for SQL, pandas and notebooks.

    It waits for no run and holds up none, and keeps its rows for as long as it is open, also when days
    are replaced meanwhile; connect again for newer ones. `place` is a DuckDB file, a URL of Parquet
    tables or the name of a database; without it, what `LLM_ASSETS_DUCKDB` says.

    Rows are not changed by hand, so DuckDB refuses an UPDATE, an INSERT or a DELETE: materialize the day
    again, or keep corrections in a table of your own, as docs/sql.md shows.

    Raises WarehouseMissing when nothing has been written there yet, WarehouseError when it cannot be
    opened, MissingExtra when a URL needs a package that is not installed.
    """
    from llm_assets.warehouse.stores import tables_at

    return tables_at(place or Settings.from_env().duckdb_path).connect()
