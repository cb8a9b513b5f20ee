"""Where tables can be: a DuckDB file, a folder of any file system by URL, or a database by its name."""

from __future__ import annotations

from llm_assets.warehouse.store import Tables

# Names that DuckDB itself knows how to connect to; what is behind them keeps tables of its own.
_DATABASES = ("md:", "motherduck:", "ducklake:")


def is_database(place: str) -> bool:
    """True for the name of a database (`md:calls`, `ducklake:postgres:…`), which is no path."""
    return place.startswith(_DATABASES)


def tables_at(place: str) -> Tables:
    """The tables at a path, at a URL or in a database."""
    if is_database(place):
        from llm_assets.warehouse.database import DatabaseTables

        return DatabaseTables(place)
    if "://" in place:
        from llm_assets.warehouse.remote import RemoteTables

        return RemoteTables(place)
    from llm_assets.warehouse.local import LocalTables

    return LocalTables(place)
