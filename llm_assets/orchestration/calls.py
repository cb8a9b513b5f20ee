"""Many items through the models: one client, bounded concurrency, progress, and results as they come.

A call that fails for good is part of its item's result. A call that a later run can mend lets all others
finish first, so that everything paid for is kept, and fails the run then: its partition is not replaced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.errors import PriceUnknown, StateUnavailable
from llm_assets.llm.metrics import MetricsSnapshot
from llm_assets.llm.requests import Outcome, Request
from llm_assets.llm.stream import stream
from llm_assets.orchestration.event_loop import run_coroutine
from llm_assets.orchestration.gathered import CallsSeen, Gathered, Result
from llm_assets.orchestration.progress import ProgressReporter
from llm_assets.orchestration.rows import Content, Item, Items

if TYPE_CHECKING:
    from llm_assets.llm.client import LLMClient
    from llm_assets.orchestration.resource import OpenAIResource

Call = Callable[[Request], Awaitable[Outcome]]
Ask = Callable[[Item, Call], Awaitable[tuple[Result, tuple[Outcome, ...]]]]
Before = Callable[["LLMClient"], Awaitable[None]]

# Higher goes first at the shared limits: whoever waits for today's numbers goes before years of history.
BACKFILL_PRIORITY = -10


@dataclass(frozen=True, slots=True)
class Asked:
    """What the calls of a stage add up to, and what the client counted; None when it asked nothing.

    `spent` is US dollars of everybody under the caps of the `run` and the `day`, where there are any.
    """

    calls: CallsSeen
    metrics: MetricsSnapshot | None = None
    spent: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


def ask_all(
    context: dg.AssetExecutionContext,
    openai: OpenAIResource,
    items: Items[Item],
    ask: Ask[Item, Result],
    gathered: Gathered[Result],
    *,
    concurrency: int,
    chat: Sequence[Any] | None = None,
    before: Before | None = None,
    beside: AbstractAsyncContextManager[Any] | None = None,
) -> Asked:
    """Ask for every item, at most `concurrency` at a time, and have the results `gathered` as they come.

    `chat` is a chain in the place of the resource's. `before` is called with the client before any call.
    `beside` is open meanwhile, in the same event loop: what `ask` needs besides the client.
    The same content twice in a day is asked once, the first one.
    Raises what stops a run (budget, credentials, state) at once; answers that came by then are kept.
    """
    if not len(items):
        return Asked(gathered.calls)
    priority = call_priority(context.run.tags)
    client = openai.client(context.run.run_id, priority, context.log.warning, chat)
    needed = beside or nullcontext()
    metrics, spent = run_coroutine(
        _ask_all(context, client, items, ask, gathered, concurrency, needed, before)
    )
    return Asked(gathered.calls, metrics, spent)


async def _ask_all(
    context: dg.AssetExecutionContext,
    client: LLMClient,
    items: Items[Item],
    ask: Ask[Item, Result],
    gathered: Gathered[Result],
    concurrency: int,
    beside: AbstractAsyncContextManager[Any],
    before: Before | None,
) -> tuple[MetricsSnapshot, Mapping[str, Decimal]]:
    days, firsts, again = _distinct(items)
    async with client, beside:
        if before is not None:
            await before(client)

        async def one(position: int) -> tuple[int, Result, tuple[Outcome, ...]]:
            result, outcomes = await ask(items[position], client.call)
            _stop_at_unknown_price(outcomes)
            return position, result, outcomes

        spent = _spent_by(client)
        reporter = ProgressReporter(context.asset_key.path[-1], len(firsts), context.log.info, spent)
        async for position, result, outcomes in stream(one, firsts, concurrency=concurrency):
            gathered.add(days[position], result, outcomes, position, *again.get(position, ()))
            reporter.advance()
        try:
            of_budget = await client.spent_of_budget()
        except StateUnavailable:  # everything is answered: a number for a check fails no run
            of_budget = dict[str, Decimal]()
    return client.metrics.snapshot(), of_budget


def _distinct(items: Items[Item]) -> tuple[list[date], list[int], dict[int, list[int]]]:
    """The day of each item, the position of each content's first one, and where it stands again."""
    days: list[date] = []
    firsts: dict[Content, int] = {}
    again: dict[int, list[int]] = {}
    for position, content in enumerate(items.contents()):
        days.append(content[0])
        first = firsts.setdefault(content, position)
        if first != position:
            again.setdefault(first, []).append(position)
    return days, list(firsts.values()), again


def _spent_by(client: LLMClient) -> Callable[[], Decimal]:
    return lambda: client.metrics.snapshot().spent_usd


def call_priority(run_tags: Mapping[str, str]) -> int:
    """The run's own `dagster/priority`; without one, a backfill stands behind everything else."""
    try:
        return int(run_tags["dagster/priority"])
    except (KeyError, ValueError):
        return BACKFILL_PRIORITY if "dagster/backfill" in run_tags else 0


def _stop_at_unknown_price(outcomes: Sequence[Outcome]) -> None:
    """No other item would fare better, so one message for the run instead of one per row."""
    for outcome in outcomes:
        if isinstance(outcome.error, PriceUnknown):
            raise outcome.error
