"""Limits and budget shared by the processes of one machine through the state file."""

from __future__ import annotations

import json
import sqlite3

from llm_assets.clock import Clock
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.statefile import StateFile

_SELECT = "SELECT value FROM quota WHERE key = ?"
_UPSERT = (
    "INSERT INTO quota (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


class SqliteQuota:
    """State in the table `quota`; the machine's wall clock is the common time."""

    shared = True

    def __init__(self, statefile: StateFile, clock: Clock) -> None:
        self._statefile = statefile
        self._clock = clock

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        def run(connection: sqlite3.Connection) -> Result:
            row = connection.execute(_SELECT, (key,)).fetchone()
            state = json.loads(row[0]) if row else {}
            result = operation(state, self._clock.now())
            connection.execute(_UPSERT, (key, json.dumps(state, separators=(",", ":"))))
            return result

        return await self._statefile.run(run)
