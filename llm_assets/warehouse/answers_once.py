"""The rows of `llm_calls` with each answer's price in one of them, so that a sum is what was paid.

Two recordings that lead to the same request share one answer: the provider was paid once, and each of the
two has a row with the price. What such rows have in common is what the journal kept of the one request.
"""

from __future__ import annotations

# The provider's name for the request alone would do, but test servers begin at 1 again when they start. Where
# a provider names no requests nothing tells two answers apart, and each row counts.
_SAME_ANSWER = "provider, model, endpoint, request_id, latency_seconds"
_AGAIN = f"""
    request_id IS NOT NULL AND status <> 'failed' AND row_number() OVER (
        PARTITION BY {_SAME_ANSWER} ORDER BY from_journal IS TRUE, partition_date, asset, recording_id
    ) > 1
"""
_USED = ("cost_usd", "input_tokens", "cached_tokens", "output_tokens", "audio_seconds")
_ONCE = ", ".join(
    f"CASE WHEN is_again AND {name} IS NOT NULL THEN 0 ELSE {name} END AS {name}" for name in _USED
)


def each_answer_once(calls: str) -> str:
    """A source in SQL: the calls with 0 for price and usage of an answer that another row has already.

    The row of the run that paid has them, else that of the earliest day. `is_again` marks the others, and
    `answer_usd` is the price in all of them.
    """
    marked = f"SELECT *, {_AGAIN} AS is_again FROM {calls}"  # noqa: S608 - made of constants and a quoted source
    return f"(SELECT * REPLACE ({_ONCE}), cost_usd AS answer_usd FROM ({marked}))"  # noqa: S608 - as above
