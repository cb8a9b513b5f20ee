"""Which asset writes a table: two that would replace each other's days in one file are refused.

A table is called by the last part of its asset's key, so two instances that were pointed at one file would
share their tables. The first asset that writes a table is noted beside the table's rows.
"""

from __future__ import annotations

import os
from pathlib import Path

from llm_assets.errors import ConfigurationError
from llm_assets.warehouse.local import LocalTables
from llm_assets.warehouse.names import folder_name
from llm_assets.warehouse.stores import is_database

_NOTE = "_asset"


def require_own_table(place: str, table: str, asset: str) -> None:
    """Note that this asset writes the table. Raises ConfigurationError when another one does.

    For DuckDB files: tables at a URL or in a database are not looked after.
    """
    if "://" in place or is_database(place):
        return
    note = LocalTables(place).folder / folder_name(table) / _NOTE
    owner = _noted(note, asset)
    if owner != asset:
        raise ConfigurationError(
            f"Table {table!r} in {place} is written by the asset {owner!r}, so {asset!r} would replace its "
            "rows. Give each instance a DuckDB file of its own; or, if the asset was renamed, delete "
            f"{note}"
        )


def _noted(note: Path, asset: str) -> str:
    """The asset that is noted, this one if none is. Written aside first: whoever sees it sees all of it."""
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        aside = note.with_name(f"{_NOTE}.{os.getpid()}")
        aside.write_text(asset, encoding="utf-8")
        try:
            os.link(aside, note)
        except FileExistsError:
            pass
        except OSError:  # no links here: then the last of those that begin at once counts
            aside.replace(note)
        aside.unlink(missing_ok=True)
    return note.read_text(encoding="utf-8")
