"""Which asset writes a table: two that would replace each other's days in one place are refused.

A table is called by the last part of its asset's key, so two instances that were pointed at one place would
share their tables. The first asset that writes a table is noted beside the table's rows.
"""

from __future__ import annotations

from llm_assets.errors import ConfigurationError
from llm_assets.warehouse.stores import tables_at


def require_own_table(place: str, table: str, asset: str, *, note: bool = True) -> None:
    """Note that this asset writes the table. Raises ConfigurationError when another one does.

    Without `note` it only looks. Tables in a database are not looked after.
    """
    owner, written = tables_at(place).owner(table, asset if note else None)
    if owner not in (None, asset):
        raise ConfigurationError(
            f"Table {table!r} in {place} is written by the asset {owner!r}, so {asset!r} would replace its "
            "rows. Give each instance a place of its own, a DuckDB file or a URL; or, if the asset was "
            f"renamed, delete {written}"
        )
