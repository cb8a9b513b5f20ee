"""The questions behind a monthly report, all asked on one connection, so that the answers agree.

Tables and columns that are not there (yet) count as empty: a report can be made of recordings alone.
"""

from __future__ import annotations

from datetime import date

from llm_assets.warehouse import report_sql as sql
from llm_assets.warehouse.found import FoundTables
from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.report_answers import AnswersReader
from llm_assets.warehouse.report_reader import Period, PeriodReader
from llm_assets.warehouse.report_rows import DayOutcome, ModelDay, ModelMinute, ModelUse, MonthRows, Reason
from llm_assets.warehouse.stores import tables_at
from llm_assets.warehouse.tables import LLM_CALLS, RECORDINGS, TRANSCRIPTS


def months_with_rows(path: str) -> tuple[date, ...]:
    """The first days of all months that any table has rows of. Raises as `query.query` does."""
    with tables_at(path).reading() as connection:
        catalog = FoundTables(connection)
        fixed = [table.name for table in (RECORDINGS, TRANSCRIPTS, LLM_CALLS) if catalog.columns(table)]
        names = {*fixed, *catalog.tables_with(sql.INSIGHTS)}
        rows = " UNION ALL ".join(f"SELECT partition_date FROM {identifier(name)}" for name in sorted(names))  # noqa: S608 - names are quoted
        found = connection.execute(sql.MONTHS.format(rows=rows)).fetchall() if names else []
        return tuple(day for (day,) in found)


def read_month(path: str, month: Period, before: Period) -> MonthRows:
    """Everything a report of `month` shows, compared with the month `before`, which ends where it begins.

    Raises as `query.query` does, and TableMismatch when a table has columns of other types.
    """
    with tables_at(path).reading() as connection:
        catalog = FoundTables(connection)
        now, then = PeriodReader(connection, catalog, month), PeriodReader(connection, catalog, before)
        return MonthRows(
            totals=now.totals(),
            before=then.totals(),
            outcomes=now.recordings(sql.OUTCOMES, DayOutcome),
            reasons=now.recordings(sql.REASONS, Reason),
            models=now.calls(sql.MODELS, ModelUse),
            model_days=now.calls(sql.MODEL_DAYS, ModelDay),
            busiest=now.calls(sql.BUSIEST, ModelMinute),
            answers=tuple(AnswersReader(now, before, table).answers() for table in now.insights),
        )
