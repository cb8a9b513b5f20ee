"""Limits and budget shared through the state: SQLite for one machine, Postgres for several."""

from __future__ import annotations

import json

from pydantic_core import from_json, to_json

from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.quota.base import State as Value
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
            value = _load(row[0]) if row else {}
            result = operation(value, transaction.now())
            transaction.execute(_UPSERT, {"key": key, "value": _dump(value)})
            return result

        return await self._state.run(run)


# Python's own reader and writer take six times as long, but bear half a surrogate pair: a value can hold
# what a server said.
def _load(text: str) -> Value:
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def _dump(value: Value) -> str:
    try:
        return to_json(value, inf_nan_mode="constants").decode()
    except ValueError:
        return json.dumps(value, separators=(",", ":"))
