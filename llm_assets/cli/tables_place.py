"""Where the tables are that a command asks about, and what it says when there are none."""

from __future__ import annotations

import click

from llm_assets.errors import WarehouseMissing


class NothingThere(click.ClickException):
    """Nothing has been written to the place yet."""

    exit_code = 3

    @classmethod
    def of(cls, error: WarehouseMissing) -> NothingThere:
        """With how to name the place, which may be another than somebody meant."""
        return cls(f"{error}; --database names another place")


def configured_database() -> str:
    """What `LLM_ASSETS_DUCKDB` says, else the project's own."""
    # Imported here because Dagster comes with it, and a place on the command line needs none of that.
    from llm_assets.orchestration.settings import Settings

    return Settings.from_env().duckdb_path
