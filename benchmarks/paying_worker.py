"""A process that pays for answers, row after row, until it is done, out of budget, or killed.

`python -m benchmarks.paying_worker '{"base_url": …}'` takes a `Work` as JSON. For every outcome it is handed
it writes one line, unbuffered: whoever starts it knows what had been handed on when it was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_assets import ChatRequest, ClientConfig, LLMClient, Outcome

MODEL = "gpt-6-luna"
OUT_OF_BUDGET = 3  # the exit status


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one process asks for, where, and out of which budget.

    `asker` is the key it shows, by which a server can tell processes apart; it is no part of a request, so
    another process finds its answers in the journal. Rows are asked in order, by a stream, or, with
    `each_until_refused`, by callers of which each goes on until the budget refuses it. `seconds_later` sets
    the process' clock forward.
    """

    base_url: str
    state: str
    asker: str
    rows: int
    first_row: int = 0
    concurrency: int = 32
    characters: tuple[int, int] = (40, 400)
    max_output_tokens: int = 100
    quota: str | None = None
    usd_per_day: str | None = None
    timezone: str = "UTC"
    each_until_refused: bool = False
    seconds_later: float = 0.0


def row_key(row: int) -> str:
    return f"row {row}"


def row_text(row: int, characters: tuple[int, int]) -> str:
    """What is asked about a row: its key, so that a server can read it, and some text of its own length."""
    length = Random(row).randint(*characters)
    return f"{row_key(row)}: ".ljust(length, "x")


def main() -> int:
    given = json.loads(sys.argv[1])
    work = Work(**given | {"characters": tuple(given["characters"])})
    if work.seconds_later:
        _set_clock_forward(work.seconds_later)
    return asyncio.run(_pay(work))


def _set_clock_forward(seconds: float) -> None:
    """Live `seconds` later than the others, before anything else has looked at the clock."""
    now = time.time
    time.time = lambda: now() + seconds


async def _pay(work: Work) -> int:
    from llm_assets import LLMClient
    from llm_assets.errors import BudgetExceeded

    # Warnings that the budget runs low are no news here.
    async with LLMClient(_config(work), warn=lambda message: None) as client:
        try:
            await (_ask_until_refused(client, work) if work.each_until_refused else _stream(client, work))
        except BudgetExceeded:
            return OUT_OF_BUDGET
    return 0


def _config(work: Work) -> ClientConfig:
    from llm_assets import ClientConfig

    return ClientConfig.model_validate(
        {
            "chat": [MODEL],
            "base_url": work.base_url,
            "api_key": work.asker,
            "state": work.state,
            "quota": work.quota,
            "budget": {"usd_per_day": work.usd_per_day},
            "timezone": work.timezone,
            "max_concurrency": work.concurrency,
        }
    )


async def _stream(client: LLMClient, work: Work) -> None:
    async for outcome in client.run(_requests(work)):
        _hand_on(outcome)


async def _ask_until_refused(client: LLMClient, work: Work) -> None:
    from llm_assets.errors import BudgetExceeded

    requests = _requests(work)

    async def ask() -> bool:
        """Whether the budget refused this caller, rather than the rows being done."""
        for request in requests:
            try:
                _hand_on(await client.call(request))
            except BudgetExceeded:
                return True
        return False

    if any(await asyncio.gather(*(ask() for _ in range(work.concurrency)))):
        raise BudgetExceeded("every caller was refused")


def _requests(work: Work) -> Iterator[ChatRequest]:
    from llm_assets import ChatRequest, Message

    for row in range(work.first_row, work.first_row + work.rows):
        text = row_text(row, work.characters)
        yield ChatRequest(
            key=row_key(row), messages=(Message("user", text),), max_output_tokens=work.max_output_tokens
        )


def _hand_on(outcome: Outcome) -> None:
    if outcome.answer is None:
        raise RuntimeError(f"{outcome.key} was not answered: {outcome.error}")
    line = json.dumps([outcome.key, outcome.answer.text, str(outcome.cost_usd), outcome.from_journal])
    # One write of less than a pipe's atomic size: a killed process leaves whole lines.
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
