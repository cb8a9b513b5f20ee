"""A service that fails now and then, without limits: which rows a contender loses."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from benchmarks.alone import run_alone
from benchmarks.environments import CONTENDERS
from benchmarks.scenarios import MODEL
from benchmarks.targets import OURS

FAULTS = {"server_error": 0.02, "overloaded": 0.01, "reset": 0.01, "truncated": 0.005}
_LATENCY = {"kind": "exponential", "mean_seconds": 0.05}
CONTENDERS_HERE = tuple(name for name in CONTENDERS if not name.endswith("_exact"))
_ROWS, _QUICK_ROWS = 5000, 500
_CONCURRENCY = 64
_DEADLINE_SECONDS = 600.0


async def measure(
    names: Collection[str], *, quick: bool, tell: Callable[[str, dict[str, Any] | None], None]
) -> None:
    """One contender after the other; every attempt draws its fault by the emulator's seed."""
    config = {"faults": FAULTS, "latency": _LATENCY, "seed": 7}
    for name in (name for name in CONTENDERS_HERE if name in names):
        tell(name, None)
        figures = await run_alone(
            CONTENDERS[name] if name == OURS else replace(CONTENDERS[name], options={}),
            config,
            model=MODEL,
            rows=_QUICK_ROWS if quick else _ROWS,
            seed="faults",
            concurrency=_CONCURRENCY,
            deadline_seconds=_DEADLINE_SECONDS,
        )
        tell(name, figures)
