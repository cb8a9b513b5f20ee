"""Limits and budget of one process: an operation is a function call."""

from __future__ import annotations

from llm_assets.clock import Clock
from llm_assets.llm.quota.base import Operation, Result, State


class MemoryQuota:
    """State that ends with the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[str, State] = {}

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        return operation(self._values.setdefault(key, {}), self._clock.now())
