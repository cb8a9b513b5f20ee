"""Limits and budget shared through the state: SQLite for one machine, Postgres for several."""

from __future__ import annotations

import json

from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.state import State

_SELECT = "SELECT value FROM quota WHERE key = :key"
_UPSERT = (
    "INSERT INTO quota (key, value) VALUES (:key, :value) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


class DatabaseQuota:
    """Values in the table `quota`."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        def run(transaction: Transaction) -> Result:
            row = transaction.execute(_SELECT, {"key": key}).fetchone()
            value = json.loads(row[0]) if row else {}
            result = operation(value, transaction.now())
            text = json.dumps(value, separators=(",", ":"))
            transaction.execute(_UPSERT, {"key": key, "value": text})
            return result

        return await self._state.run(run)
