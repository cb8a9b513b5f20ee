"""The note beside a table's rows that says which asset writes the table; see `owners`."""

from __future__ import annotations

import os
from pathlib import Path

from llm_assets.warehouse.names import folder_name

_NOTE = "_asset"


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
