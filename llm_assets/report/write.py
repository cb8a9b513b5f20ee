"""From the database to a page on disk, all or nothing: a page that is there is whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from llm_assets.errors import LLMAssetsError
from llm_assets.report.months import Month
from llm_assets.report.page import contents_of, render
from llm_assets.warehouse.report_queries import months_with_rows, read_month
from llm_assets.warehouse.report_reader import Period
from llm_assets.warehouse.report_rows import MonthRows


@dataclass(frozen=True, slots=True)
class Report:
    """A month's numbers and the page that shows them."""

    month: Month
    rows: MonthRows
    html: str


def latest_month(database: str) -> Month | None:
    """The last month that any table has rows of. Raises as `make_report` does."""
    months = months_with_rows(database)
    return Month.of(months[-1]) if months else None


def make_report(database: str, month: Month) -> Report:
    """Read a month and lay out its page. A month without rows makes a page that says so.

    Raises WarehouseMissing when there is no database, and WarehouseError when it cannot be read.
    """
    before = month.before
    rows = read_month(
        database,
        Period(month.first, month.last),
        Period(before.first, before.last),
    )
    return Report(month, rows, render(contents_of(month, rows), Path(database).name, datetime.now(UTC)))


def report_folder(database: str) -> Path:
    """Where pages go unless told otherwise: `reports`, beside the database."""
    return Path(database).parent / "reports"


def file_name(month: Month) -> str:
    return f"report-{month}.html"


def write_page(html: str, path: Path) -> None:
    """Put the page at `path`, in place of an older one, in one step. Raises LLMAssetsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(html)
            os.chmod(draft, 0o644)  # a page is there to be read by others; drafts are private
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
    except OSError as error:
        raise LLMAssetsError(f"the report cannot be written to {path}: {error}") from error
