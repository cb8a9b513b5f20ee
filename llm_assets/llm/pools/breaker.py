"""When a whole pool stands still: because the server said so, or because nothing has worked lately."""

from __future__ import annotations

from llm_assets.llm.pools.state import Pool
from llm_assets.llm.pools.values import Return

_FAILURES_TO_COOL_DOWN = 5


def count(pool: Pool, item: Return, now: float) -> None:
    """Take in what a grant that was sent says of the pool as a whole."""
    if item.pause_seconds > 0:
        pool["pause"] = max(pool.get("pause", 0.0), now + item.pause_seconds)
    if item.failed is not None:
        pool["failures"] = pool.get("failures", 0) + 1
    if not item.answered:
        return
    if item.failed is None and not item.refused:
        pool["failures"] = 0
    pool["seen"] = True


def open_breaker(pool: Pool, item: Return, now: float) -> None:
    """One request that always fails must not stop the others: only a row of failures opens the breaker."""
    if pool.get("failures", 0) >= _FAILURES_TO_COOL_DOWN:
        pool["cool"] = [now + item.cool_down_seconds, item.failed or ""]
        pool["failures"] = 0


def cooling(pool: Pool, now: float) -> tuple[float, str] | None:
    """For how many seconds the model is left alone, and why."""
    until, reason = pool.get("cool", (0.0, ""))
    return (until - now, reason) if until > now else None


def pause_seconds(pool: Pool, now: float) -> float:
    """How long the server still wants to be left alone. Zero or less: no longer."""
    return pool.get("pause", 0.0) - now
