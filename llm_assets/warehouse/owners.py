"""Which asset writes a table: two that would replace each other's days in one place are refused.

A table is called by the last part of its asset's key, so two instances that were pointed at one place would
share their tables. The first asset that writes a table is noted beside the table's rows.
"""

from __future__ import annotations

import os
from pathlib import Path

from llm_assets.errors import ConfigurationError
from llm_assets.warehouse.names import folder_name
from llm_assets.warehouse.stores import tables_at

_NOTE = "_asset"


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


def note_of(folder: str, table: str) -> str:
    """Where the owner of a table is noted, below the folder of all tables."""
    return f"{folder}/{folder_name(table)}/{_NOTE}"


def noted(note: Path, asset: str | None) -> str | None:
    """The asset that is noted in this file, this one if none is. Written aside first: whoever sees the note
    sees all of it."""
    if not note.exists():
        if asset is None:
            return None
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
