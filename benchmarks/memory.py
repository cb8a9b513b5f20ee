"""A hundred thousand calls as a stream, outcomes thrown away: how large the process becomes."""

from __future__ import annotations

from typing import Any

from benchmarks.alone import run_alone
from benchmarks.environments import CONTENDERS
from benchmarks.scenarios import MODEL

_CALLS, _QUICK_CALLS = 100_000, 5_000
_LIMITS = {"requests_per_minute": 600_000, "tokens_per_minute": 1_000_000_000}


async def measure(*, quick: bool) -> dict[str, Any]:
    """`peak_rss_mb` is the process's largest resident size, `rss_before_mb` that before the first call."""
    return await run_alone(
        CONTENDERS["llm_assets"],
        {},
        model=MODEL,
        rows=_QUICK_CALLS if quick else _CALLS,
        seed="memory",
        deadline_seconds=3600.0,
        **_LIMITS,
    )
