"""The SQL of `report_queries`. Names in braces are sources and expressions that it fills in, names quoted.

What a reader would get wrong: a recording that lies twice in a day has two rows in every table with the
same id, so a join without making one side unique would count it four times.
"""

from __future__ import annotations

INSIGHTS = ("partition_date", "recording_id", "status", "error", "prompt_version", "extracted_at")
MONTHS = "SELECT DISTINCT date_trunc('month', partition_date)::DATE FROM ({rows}) ORDER BY 1"

# Where each recording ended: at the first table that has no good row of it. The same content twice in a
# day is two recordings with one row of each to look up, so the later tables are made unique first.
ENDED = """
    transcribed AS (SELECT partition_date, recording_id, min(status) AS status, min(error) AS error
                    FROM {transcripts} GROUP BY ALL),
    answered AS (SELECT partition_date, recording_id, count(DISTINCT asset) AS assets,
                        min({{'at': asset, 'status': status, 'error': error}}) FILTER (status <> 'ok') AS bad
                 FROM ({insights}) GROUP BY ALL),
    ended AS (
        SELECT partition_date, file_name, coalesce(duration_seconds, 0) AS duration_seconds,
               CASE WHEN r.status <> 'ok' THEN {{'at': 'recordings', 'status': r.status, 'error': r.error}}
                    WHEN t.status <> 'ok' THEN {{'at': 'transcripts', 'status': t.status, 'error': t.error}}
                    WHEN a.bad IS NOT NULL THEN a.bad
                    WHEN coalesce(a.assets, 0) < $assets OR (t.status IS NULL AND $transcripts)
                    THEN {{'at': NULL, 'status': 'waiting', 'error': NULL}}
                    ELSE {{'at': NULL, 'status': 'ok', 'error': NULL}} END AS outcome
        FROM {recordings} AS r
        LEFT JOIN transcribed AS t USING (partition_date, recording_id)
        LEFT JOIN answered AS a USING (partition_date, recording_id))
"""
OUTCOMES = """
    SELECT partition_date, outcome.status, count(*), sum(duration_seconds)
    FROM ended GROUP BY ALL ORDER BY ALL
"""
REASONS = """
    SELECT outcome.at, outcome.status, count(*), min(outcome.error),
           min_by(file_name, coalesce(outcome.error, '')), min(partition_date), max(partition_date)
    FROM ended WHERE outcome.status NOT IN ('ok', 'waiting')
    GROUP BY outcome.at, outcome.status, regexp_replace(outcome.error, '[0-9]+([.,:][0-9]+)*', '#', 'g')
    ORDER BY 3 DESC, 1, 2, 4
"""
RECORDING_TOTALS = """
    SELECT count(*), coalesce(round(sum(duration_seconds), 3), 0), count(*) FILTER (outcome.status = 'ok'),
           count(*) FILTER (outcome.status = 'waiting')
    FROM ended
"""

# A call that came from the journal was sent by an earlier run: it says nothing about quota or waiting.
CALLS = """
    calls AS (SELECT *, status <> 'failed' AS is_answered, from_journal IS TRUE AS is_hit,
                     coalesce(input_tokens, 0) + coalesce(output_tokens, 0) AS tokens,
                     finished_at - to_microseconds((coalesce(latency_seconds, 0) * 1e6)::BIGINT) AS sent_at
              FROM {calls}),
    minutes AS (SELECT provider, model, date_trunc('minute', sent_at) AS minute, sum(attempts) AS requests,
                       sum(tokens) AS tokens, sum(coalesce(rate_limited, 0)) AS rate_limited
                FROM calls WHERE NOT is_hit AND attempts > 0 AND sent_at IS NOT NULL GROUP BY ALL)
"""
_SPENT = """
    count(*), count(*) FILTER (is_answered), count(*) FILTER (is_hit),
    count(*) FILTER (is_answered AND fallback_reason IS NOT NULL),
    coalesce(sum(attempts) FILTER (NOT is_hit), 0)::BIGINT,
    coalesce(sum(rate_limited) FILTER (NOT is_hit), 0)::BIGINT,
    coalesce(round(sum(wait_seconds) FILTER (NOT is_hit), 3), 0)
"""
_MONEY = """
    sum(cost_usd),
    CASE WHEN count(*) FILTER (is_answered AND NOT is_hit) = 0 THEN 0
         ELSE sum(cost_usd) FILTER (NOT is_hit) END,
    sum(answer_usd) FILTER (is_hit),
    count(*) FILTER (is_answered AND NOT is_again), count(*) FILTER (is_answered AND cost_usd IS NULL)
"""
CALL_TOTALS = f"SELECT {_SPENT}, {_MONEY} FROM calls"  # noqa: S608 - made of constants
MODELS = f"""
    SELECT provider, model, string_agg(DISTINCT endpoint, ', ' ORDER BY endpoint), {_SPENT},
           avg(latency_seconds) FILTER (is_answered AND NOT is_hit),
           quantile_cont(latency_seconds, 0.95) FILTER (is_answered AND NOT is_hit),
           coalesce(round(sum(audio_seconds), 3), 0), coalesce(sum(input_tokens), 0)::BIGINT,
           coalesce(sum(cached_tokens), 0)::BIGINT, coalesce(sum(output_tokens), 0)::BIGINT, {_MONEY},
           any_value(peak_requests), any_value(peak_tokens)
    FROM calls LEFT JOIN (SELECT provider AS p, model AS m, max(requests)::BIGINT AS peak_requests,
                                 max(tokens)::BIGINT AS peak_tokens FROM minutes GROUP BY ALL)
               ON p IS NOT DISTINCT FROM provider AND m IS NOT DISTINCT FROM model
    GROUP BY provider, model ORDER BY sum(cost_usd) DESC NULLS LAST, count(*) DESC, provider, model
"""  # noqa: S608 - made of constants
MODEL_DAYS = """
    SELECT partition_date, provider, model, count(*), sum(cost_usd),
           coalesce(sum(attempts) FILTER (NOT is_hit), 0)::BIGINT,
           coalesce(sum(rate_limited) FILTER (NOT is_hit), 0)::BIGINT,
           coalesce(round(sum(wait_seconds) FILTER (NOT is_hit), 3), 0)
    FROM calls GROUP BY ALL ORDER BY ALL
"""
BUSIEST = """
    SELECT minute AT TIME ZONE 'UTC', provider, model, requests::BIGINT, tokens::BIGINT, rate_limited::BIGINT
    FROM minutes
    WHERE date_trunc('hour', minute) = (SELECT date_trunc('hour', minute) AS hour FROM minutes
                                        GROUP BY hour ORDER BY sum(requests) DESC, hour LIMIT 1)
    ORDER BY ALL
"""
LABELS = "SELECT partition_date, {label}, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL"
SCORES = """
    SELECT partition_date, avg({score}), count({score}) FROM {rows}
    WHERE {score} IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
MEAN = "SELECT avg({score}) FROM {rows}"
NAMED = """
    named AS (SELECT DISTINCT row, partition_date, score, lower(trim({name})) AS topic
              FROM (SELECT *, unnest({elements}) AS element
                    FROM (SELECT *, row_number() OVER () AS row, {score} AS score FROM {rows}))
              WHERE trim({name}) <> '')
"""
TOPICS = """
    SELECT topic, count(*) FILTER (partition_date >= $first) AS rows,
           count(*) FILTER (partition_date < $first), avg(score) FILTER (partition_date >= $first)
    FROM named GROUP BY topic HAVING rows > 0 ORDER BY rows DESC, topic
"""
TOPIC_DAYS = "SELECT partition_date, topic, count(*) FROM named GROUP BY ALL ORDER BY ALL"
CHOICE_SIZE = "SELECT count(DISTINCT {column}), max(length({column}::VARCHAR)) FROM {rows}"
CHOICE = "SELECT {column}::VARCHAR, count(*) FROM {rows} GROUP BY ALL ORDER BY 2 DESC, 1"
