"""What the journal holds, for people: sizes, savings, what may have been billed for nothing; and pruning."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from llm_assets.errors import StateMissing
from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.state import State


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The answers of one model. `saved_usd` is what its hits would have cost; unknown prices count nothing.

    `bytes` counts the entries, not the file.
    """

    provider: str
    model: str
    endpoint: str
    entries: int
    hits: int
    bytes: int
    cost_usd: Decimal
    saved_usd: Decimal
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that was sent and whose answer is not in the journal.

    `is_alive`: its process still shows signs of life, so the answer may come. Otherwise it may have been
    billed without an answer.
    """

    endpoint: str
    provider: str
    model: str
    run_id: str
    started_at: datetime
    is_alive: bool


class JournalContents:
    """Reads and prunes the journal in a state, whoever else uses it at the same time."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def sizes(self) -> list[ModelSize]:
        """By model, the one with most answers first."""
        rows = await self._state.run(lambda transaction: transaction.execute(_SIZES).fetchall())
        return [_model_size(*row) for row in rows]

    async def open_intents(self) -> list[Intent]:
        """What was sent and has no answer, oldest first."""

        def operation(transaction: Transaction) -> list[Intent]:
            rows = transaction.execute(_INTENTS, {"now": transaction.now()}).fetchall()
            gone = {owner for owner in {row[-2] for row in rows} if transaction.is_gone(owner)}
            return [_intent(*row[:-2], is_alive=row[-1] and row[-2] not in gone) for row in rows]

        return await self._state.run(operation)

    async def older_than(self, before: datetime) -> int:
        """How many answers are older."""
        values = {"before": before.timestamp()}
        return await self._state.run(lambda transaction: transaction.execute(_OLDER, values).fetchone()[0])

    async def prune(self, before: datetime) -> int:
        """Forget answers and intents older than `before`; returns how many answers. They cost again."""
        values = {"before": before.timestamp()}

        def operation(transaction: Transaction) -> int:
            transaction.execute("DELETE FROM intents WHERE started_at < :before", values)
            transaction.execute("DELETE FROM clients WHERE alive_until < :before", values)
            return transaction.execute("DELETE FROM answers WHERE created_at < :before", values).rowcount

        return await self._state.run(operation, durable=True)


def _model_size(
    provider: str,
    model: str,
    endpoint: str,
    entries: int,
    hits: int,
    size: int,
    cost_usd: float,
    saved_usd: float,
    oldest: float,
    newest: float,
) -> ModelSize:
    return ModelSize(
        provider=provider,
        model=model,
        endpoint=endpoint,
        entries=entries,
        hits=int(hits),
        bytes=int(size),
        cost_usd=_usd(cost_usd),
        saved_usd=_usd(saved_usd),
        oldest=_time(oldest),
        newest=_time(newest),
    )


def _intent(
    endpoint: str, provider: str, model: str, run_id: str, started_at: float, *, is_alive: bool
) -> Intent:
    return Intent(endpoint, provider, model, run_id, _time(started_at), bool(is_alive))


@asynccontextmanager
async def open_contents(state: str) -> AsyncGenerator[JournalContents]:
    """The journal in a SQLite file or at a database URL.

    Raises StateMissing when there is no such file, and StateUnavailable when it cannot be used.
    """
    if "://" not in state and not os.path.exists(state):  # noqa: ASYNC240 - nothing else runs yet
        raise StateMissing(f"there is no state file {state} yet; the first run makes it")
    database = make_database(state, answer_seconds=_ANSWER_SECONDS)
    async with State(database, patience_seconds=_PATIENCE_SECONDS) as opened:
        yield JournalContents(opened)


# To forget a million answers takes a while, and a person at a terminal wants to know what is wrong soon.
_ANSWER_SECONDS = 600.0
_PATIENCE_SECONDS = 5.0
_BILLIONTH = Decimal("0.000000001")
_SIZES = """
SELECT provider, model, endpoint, count(*), sum(hits), sum(length(entry)), coalesce(sum(cost_usd), 0),
       coalesce(sum(hits * cost_usd), 0), min(created_at), max(created_at)
FROM answers GROUP BY provider, model, endpoint ORDER BY 4 DESC, 2, 3
"""
_INTENTS = """
SELECT endpoint, provider, model, run_id, started_at, owner,
       EXISTS (SELECT 1 FROM clients WHERE clients.owner = intents.owner AND alive_until > :now)
FROM intents ORDER BY started_at
"""
_OLDER = "SELECT count(*) FROM answers WHERE created_at < :before"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _usd(amount: float) -> Decimal:
    """To a billionth: the database has added binary fractions."""
    return Decimal(amount).quantize(_BILLIONTH)
