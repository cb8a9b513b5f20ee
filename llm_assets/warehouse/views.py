"""The views `daily_cost`, `model_quality` and `fallback_rate`, over whichever tables there are.

Extractors add tables, so the views over answers are written anew from the tables found. Tables are
known by their columns, not by their names.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.warehouse.catalog import Catalog
from llm_assets.warehouse.connection import Connection
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.tables import LLM_CALLS, TRANSCRIPTS

_ANSWER_COLUMNS = ["partition_date", "recording_id", "status", "provider", "model", "fallback_reason"]

# Unknown is not zero: `new_cost_usd` is 0 when nothing was paid for, and NULL when nothing that was paid
# for has a price. A sum over some unknown prices is too low by `calls_without_price` calls.
_DAILY_COST = """
    SELECT partition_date, asset, provider, model,
           count(*) AS calls,
           count(*) FILTER (WHERE from_journal) AS journal_hits,
           sum(audio_seconds) AS audio_seconds,
           sum(input_tokens)::BIGINT AS input_tokens,
           sum(cached_tokens)::BIGINT AS cached_tokens,
           sum(output_tokens)::BIGINT AS output_tokens,
           sum(cost_usd) AS cost_usd,
           CASE WHEN count(*) FILTER (WHERE is_new) = 0 THEN 0
                ELSE sum(cost_usd) FILTER (WHERE is_new) END AS new_cost_usd,
           count(*) FILTER (WHERE cost_usd IS NULL AND status <> 'failed') AS calls_without_price
    FROM (SELECT *, status <> 'failed' AND from_journal IS NOT TRUE AS is_new FROM llm_calls)
    GROUP BY ALL
    ORDER BY ALL
"""

# A recording that was too short or unreadable was never shown to a model: it says nothing about one.
_MODEL_QUALITY = """
    SELECT asset, provider, model,
           count(*) AS rows,
           count(*) FILTER (WHERE status = 'ok') AS ok,
           count(*) FILTER (WHERE status = 'refused') AS refused,
           count(*) FILTER (WHERE status = 'invalid_output') AS invalid_output,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE fallback_reason IS NOT NULL) AS from_fallback,
           count(*) FILTER (WHERE status = 'ok') / count(*) AS ok_share
    FROM ({answers})
    WHERE status IN ('ok', 'refused', 'invalid_output', 'failed')
    GROUP BY ALL
    ORDER BY ALL
"""

_FALLBACK_RATE = """
    SELECT partition_date, asset,
           count(*) AS answered_rows,
           count(*) FILTER (WHERE fallback_reason IS NOT NULL) AS fallback_rows,
           count(*) FILTER (WHERE fallback_reason IS NOT NULL) / count(*) AS fallback_share
    FROM ({answers})
    WHERE model IS NOT NULL
    GROUP BY ALL
    ORDER BY ALL
"""

_VIEWS = {
    "daily_cost": (_DAILY_COST, "Calls, usage and cost per day, asset, provider and model."),
    "model_quality": (_MODEL_QUALITY, "How the rows of each asset and model ended, over all days."),
    "fallback_rate": (_FALLBACK_RATE, "Share of answered rows that a fallback answered, per day and asset."),
}


def ensure_views(connection: Connection, catalog: Catalog) -> None:
    """Create or renew the views, and the tables without which they would be nothing."""
    catalog.ensure(LLM_CALLS)
    catalog.ensure(TRANSCRIPTS)
    answers = _answers([name for name in catalog.tables_with(_ANSWER_COLUMNS) if name != LLM_CALLS.name])
    for name, (sql, description) in _VIEWS.items():
        connection.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS {sql.format(answers=answers)}")
        connection.execute(f"COMMENT ON VIEW {identifier(name)} IS {literal(description)}")


def _answers(tables: Sequence[str]) -> str:
    columns = ", ".join(_ANSWER_COLUMNS)
    return " UNION ALL ".join(
        f"SELECT {literal(name)} AS asset, {columns} FROM {identifier(name)}"  # noqa: S608 - names are quoted
        for name in tables
    )
