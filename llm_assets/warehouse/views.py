"""The views over the tables there are: costs, quality by model, fallbacks, and conversations by turns.

Extractors add tables, so the views over answers are written anew from the tables found. Tables are
known by their columns, not by their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llm_assets.warehouse.answers_once import each_answer_once
from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.sessions import Connection
from llm_assets.warehouse.tables import LLM_CALLS, Table

_ANSWER_COLUMNS = ["partition_date", "recording_id", "status", "provider", "model", "fallback_reason"]

# An answer that several rows share has its price on one day, or the days would add up to more than was paid.
# Unknown is not zero: `new_cost_usd` is 0 when nothing was paid for, and NULL when nothing that was paid for
# has a price. A sum over some unknown prices is too low by `calls_without_price` calls.
_DAILY_COST = f"""
    SELECT partition_date, asset, provider, model,
           count(*) AS calls,
           count(*) FILTER (WHERE from_journal) AS journal_hits,
           round(sum(audio_seconds), 3) AS audio_seconds,
           sum(input_tokens)::BIGINT AS input_tokens,
           sum(cached_tokens)::BIGINT AS cached_tokens,
           sum(output_tokens)::BIGINT AS output_tokens,
           sum(cost_usd) AS cost_usd,
           CASE WHEN count(*) FILTER (WHERE is_new) = 0 THEN 0
                ELSE sum(cost_usd) FILTER (WHERE is_new) END AS new_cost_usd,
           count(*) FILTER (WHERE cost_usd IS NULL AND status <> 'failed') AS calls_without_price
    FROM (SELECT *, status <> 'failed' AND from_journal IS NOT TRUE AS is_new
          FROM {each_answer_once(LLM_CALLS.name)})
    GROUP BY ALL
    ORDER BY ALL
"""  # noqa: S608 - made of constants

# What a model made of a recording is how its last answer for it ended: invalid ones before a valid one were
# repaired. A refusal is final, also where other parts of a long call were answered after it. A call without
# an answer says something of the provider, and of the model only that it was asked.
_MODEL_QUALITY = """
    SELECT asset, provider, model,
           count(*) AS recordings,
           count(*) FILTER (WHERE ended = 'answered' AND invalid_answers = 0) AS valid_at_once,
           count(*) FILTER (WHERE ended = 'answered' AND invalid_answers > 0) AS repaired,
           count(*) FILTER (WHERE ended = 'refused') AS refused,
           count(*) FILTER (WHERE ended = 'invalid_output') AS invalid_output,
           count(*) FILTER (WHERE ended IS NULL) AS failed,
           count(*) FILTER (WHERE is_fallback) AS from_fallback,
           sum(answers)::BIGINT AS answers,
           sum(invalid_answers)::BIGINT AS invalid_answers,
           count(*) FILTER (WHERE ended = 'answered') / nullif(count(ended), 0) AS valid_share
    FROM (
        SELECT asset, provider, model, partition_date, recording_id,
               CASE WHEN bool_or(status = 'refused') THEN 'refused'
                    ELSE arg_max(status, (finished_at, status = 'answered')) FILTER (WHERE status <> 'failed')
                    END AS ended,
               count(*) FILTER (WHERE status <> 'failed') AS answers,
               count(*) FILTER (WHERE status = 'invalid_output') AS invalid_answers,
               bool_or(fallback_reason IS NOT NULL) AS is_fallback
        FROM llm_calls
        WHERE model IS NOT NULL
        GROUP BY ALL
    )
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

# Segments in a row of one speaker on one channel are one turn: that is how people read a conversation.
_CONVERSATION = """
    SELECT partition_date, recording_id,
           row_number() OVER (
               PARTITION BY partition_date, recording_id ORDER BY first_index
           ) - 1 AS turn_index,
           speaker, channel, start_seconds, end_seconds, text
    FROM (
        SELECT partition_date, recording_id, turn, min(segment_index) AS first_index,
               any_value(speaker) AS speaker, any_value(channel) AS channel,
               min(start_seconds) AS start_seconds, max(end_seconds) AS end_seconds,
               string_agg(text, ' ' ORDER BY segment_index) AS text
        FROM (
            SELECT *, count(*) FILTER (WHERE changes)
                   OVER (PARTITION BY partition_date, recording_id ORDER BY segment_index) AS turn
            FROM (
                SELECT *, speaker IS DISTINCT FROM lag(speaker) OVER recording
                          OR channel IS DISTINCT FROM lag(channel) OVER recording AS changes
                FROM segments
                WINDOW recording AS (PARTITION BY partition_date, recording_id ORDER BY segment_index)
            )
        )
        GROUP BY partition_date, recording_id, turn
    )
    ORDER BY partition_date, recording_id, turn_index
"""

_VIEWS = {
    "conversation": (_CONVERSATION, "Who said what, one row per turn, in reading order."),
    "daily_cost": (_DAILY_COST, "Calls, usage and cost per day, asset, provider and model."),
    "model_quality": (
        _MODEL_QUALITY,
        "How often each model's answers were valid at once, repaired, refused or invalid.",
    ),
    "fallback_rate": (_FALLBACK_RATE, "Share of answered rows that a fallback answered, per day and asset."),
}


def create_views(connection: Connection, tables: Iterable[Table]) -> None:
    """Create or renew the views over these tables, among which are all `FIXED_TABLES`."""
    answers = _answers([table for table in tables if _has_answers(table)])
    for name, (sql, description) in _VIEWS.items():
        connection.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS {sql.format(answers=answers)}")
        connection.execute(f"COMMENT ON VIEW {identifier(name)} IS {literal(description)}")


def _has_answers(table: Table) -> bool:
    columns = {column.name.lower() for column in table.columns}
    return table.name != LLM_CALLS.name and columns.issuperset(_ANSWER_COLUMNS)


def _answers(tables: Sequence[Table]) -> str:
    columns = ", ".join(_ANSWER_COLUMNS)
    return " UNION ALL ".join(
        f"SELECT {literal(table.name)} AS asset, {columns} "  # noqa: S608 - names are quoted
        f"FROM {identifier(table.name)}"
        for table in tables
    )
