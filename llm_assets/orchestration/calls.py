"""Many items through the models: one client, bounded concurrency, progress, and results in their order.

A call that fails for good is part of its item's result. A call that a later run can mend lets all others
finish first, so that everything paid for is kept, and fails the run then: its partition is not replaced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import dagster as dg

from llm_assets.errors import LLMAssetsError, PriceUnknown, StateUnavailable
from llm_assets.llm.metrics import MetricsSnapshot
from llm_assets.llm.requests import Outcome, Request
from llm_assets.llm.retry import is_mendable
from llm_assets.llm.stream import stream
from llm_assets.orchestration.errors import unmended_failure
from llm_assets.orchestration.event_loop import run_coroutine
from llm_assets.orchestration.progress import ProgressReporter
from llm_assets.records import Recording, RowStatus, Transcript

if TYPE_CHECKING:
    from llm_assets.llm.client import LLMClient
    from llm_assets.orchestration.resource import OpenAIResource

Item = TypeVar("Item", Recording, Transcript)
Result = TypeVar("Result")
Call = Callable[[Request], Awaitable[Outcome]]
Content = tuple[date, str]  # a day and a recording's id

# Higher goes first at the shared limits: whoever waits for today's numbers goes before years of history.
BACKFILL_PRIORITY = -10


@dataclass(frozen=True, slots=True)
class Finished(Generic[Result]):
    """What became of an item of a day, and the calls it took."""

    day: date
    result: Result
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class AllFinished(Generic[Result]):
    """Everything that was asked for, in order, and what the client counted; None when it asked nothing.

    `spent` is US dollars of everybody under the caps of the `run` and the `day`, where there are any.
    """

    items: list[Finished[Result]]
    metrics: MetricsSnapshot | None
    spent: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


Ask = Callable[[Item, Call], Awaitable[tuple[Result, tuple[Outcome, ...]]]]
Before = Callable[["LLMClient"], Awaitable[None]]


def ask_all(
    context: dg.AssetExecutionContext,
    openai: OpenAIResource,
    items: Sequence[tuple[date, Item]],
    ask: Ask[Item, Result],
    *,
    concurrency: int,
    chat: Sequence[Any] | None = None,
    before: Before | None = None,
    beside: AbstractAsyncContextManager[Any] | None = None,
) -> AllFinished[Result]:
    """Ask for every item, at most `concurrency` at a time, and return all in the order of `items`.

    `chat` is a chain in the place of the resource's. `before` is called with the client before any call.
    `beside` is open meanwhile, in the same event loop: what `ask` needs besides the client.
    The same content twice in a day is asked once, the first one, and comes back twice, the calls with the
    first one.
    Raises what stops a run (budget, credentials, state) at once; answers that came by then are kept.
    """
    distinct: dict[Content, Item] = {}
    for day, item in items:
        distinct.setdefault((day, item.recording_id), item)
    if not distinct:
        return AllFinished([], None)
    priority = call_priority(context.run.tags)
    client = openai.client(context.run.run_id, priority, context.log.warning, chat)
    needed = beside or nullcontext()
    answers, metrics, spent = run_coroutine(
        _ask_all(context, client, distinct, ask, concurrency, needed, before)
    )
    finished: list[Finished[Result]] = []
    for day, item in items:
        result, outcomes = answers[day, item.recording_id]
        finished.append(Finished(day, result, outcomes))
        answers[day, item.recording_id] = result, ()
    return AllFinished(finished, metrics, spent)


async def _ask_all(
    context: dg.AssetExecutionContext,
    client: LLMClient,
    items: Mapping[Content, Item],
    ask: Ask[Item, Result],
    concurrency: int,
    beside: AbstractAsyncContextManager[Any],
    before: Before | None,
) -> tuple[dict[Content, tuple[Result, tuple[Outcome, ...]]], MetricsSnapshot, Mapping[str, Decimal]]:
    async with client, beside:
        if before is not None:
            await before(client)

        async def one(content: Content) -> tuple[Content, tuple[Result, tuple[Outcome, ...]]]:
            result, outcomes = await ask(items[content], client.call)
            _stop_at_unknown_price(outcomes)
            return content, (result, outcomes)

        answers: dict[Content, tuple[Result, tuple[Outcome, ...]]] = {}
        spent = _spent_by(client)
        reporter = ProgressReporter(context.asset_key.path[-1], len(items), context.log.info, spent)
        async for content, answer in stream(one, items, concurrency=concurrency):
            answers[content] = answer
            reporter.advance()
        try:
            of_budget = await client.spent_of_budget()
        except StateUnavailable:  # everything is answered: a number for a check fails no run
            of_budget = dict[str, Decimal]()
    return answers, client.metrics.snapshot(), of_budget


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


def raise_if_mendable(
    stage: str, finished: Sequence[Finished[Result]], status: Callable[[Result], RowStatus]
) -> None:
    """Raise dg.Failure when rows failed for nothing but an outage, which a later run can mend."""
    errors = [_outage(each.outcomes) for each in finished if status(each.result) is RowStatus.FAILED]
    found = [error for error in errors if error is not None]
    if found:
        raise unmended_failure(stage, found, len(finished))


def _outage(outcomes: Sequence[Outcome]) -> LLMAssetsError | None:
    return next((each.error for each in outcomes if each.error is not None and is_mendable(each.error)), None)
