"""What a call costs the client: a server that answers at once, no limit that is ever reached, nothing else
running. Contenders take turns (A B C, A B C, …), so that a slow minute of the machine meets all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.alone import run_alone
from benchmarks.children import ChildFailed
from benchmarks.environments import CONTENDERS, Contender
from benchmarks.scenarios import MODEL

BASE = "bare_aiohttp"
_CALLS, _QUICK_CALLS = 4000, 600
_WARM_UP = 200
_CONCURRENCY = 64
_LIMITS = {"requests_per_minute": 600_000, "tokens_per_minute": 1_000_000_000}
_BUDGET_USD = 1000
_SCRIPT = CONTENDERS["llm_assets"].script

_OURS = (
    Contender("llm_assets", _SCRIPT, options={"state": "sqlite", "budget_usd": _BUDGET_USD}),
    Contender("llm_assets: no budget", _SCRIPT, options={"state": "sqlite"}),
    Contender("llm_assets: budget, in memory", _SCRIPT, options={"budget_usd": _BUDGET_USD}),
    Contender("llm_assets: in memory", _SCRIPT),
    Contender(
        "llm_assets: uvloop",
        _SCRIPT,
        options={"state": "sqlite", "budget_usd": _BUDGET_USD, "loop": "uvloop"},
    ),
)
_BASES = (CONTENDERS[BASE], replace(CONTENDERS[BASE], name=f"{BASE}: uvloop", options={"loop": "uvloop"}))
_OTHERS = ("lm_deluge", "aiolimiter", "litellm_router", "openai_semaphore")
MEASURED = {
    contender.name: contender
    for contender in (*_BASES, *_OURS, *(replace(CONTENDERS[name], options={}) for name in _OTHERS))
}

Sample = dict[str, float]
Tell = Callable[[str, int, Sample | None], None]


async def measure(names: Collection[str], *, repeats: int, quick: bool, tell: Tell) -> dict[str, Any]:
    """Figures by contender, ratios of medians. `bare_aiohttp` always runs: the others are held
    against it, in the same event loop."""
    held_against = {name: _base_of(MEASURED[name]) for name in names} | {BASE: BASE}
    wanted = {*held_against, *held_against.values()}
    chosen = [contender for name, contender in MEASURED.items() if name in wanted]
    calls = _QUICK_CALLS if quick else _CALLS
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in chosen}
    for turn in range(repeats):
        for contender in chosen:
            tell(contender.name, turn, None)
            sample = await _sample(contender, calls)
            samples[contender.name].append(sample)
            tell(contender.name, turn, sample)
    return {
        "calls": calls,
        "repeats": repeats,
        "concurrency": _CONCURRENCY,
        "load_average": round(os.getloadavg()[0], 2),
        "contenders": {
            contender.name: _figures(samples[contender.name], samples[_base_of(contender)])
            for contender in chosen
        },
    }


def _base_of(contender: Contender) -> str:
    return f"{BASE}: uvloop" if contender.options.get("loop") == "uvloop" else BASE


async def _sample(contender: Contender, calls: int) -> Sample:
    report = await run_alone(
        contender,
        {},
        model=MODEL,
        rows=calls,
        warm_up=_WARM_UP,
        seed="overhead",
        concurrency=_CONCURRENCY,
        **_LIMITS,
    )
    if report.get("died"):
        raise ChildFailed(f"{contender.name} died: {report['errors']}")
    return {
        "lost": report["lost"],
        "cpu_ms_per_call": 1000 * report["cpu_seconds"] / calls,
        "calls_per_second": report["answered"] / report["wall_seconds"],
    }


def _figures(samples: list[Sample], base: list[Sample]) -> dict[str, Any]:
    cpu, speed = _spread(samples, "cpu_ms_per_call"), _spread(samples, "calls_per_second")
    return {
        "cpu_ms_per_call": cpu,
        "calls_per_second": speed,
        "cpu_ratio": round(cpu["median"] / _spread(base, "cpu_ms_per_call")["median"], 3),
        "lost": sum(sample["lost"] for sample in samples),
    }


def _spread(samples: list[Sample], name: str) -> dict[str, float]:
    values = [sample[name] for sample in samples]
    spread = {"median": median(values), "min": min(values), "max": max(values)}
    return {key: round(value, 4) for key, value in spread.items()}
