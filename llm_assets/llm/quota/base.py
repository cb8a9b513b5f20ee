"""What a store of shared state does: run one pure operation on one value, alone, at the store's time.

The arithmetic of limits and budgets lives in those operations, so it exists once and cannot differ
between stores. A store only has to be atomic; it never looks inside a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")
State = dict[str, Any]
Operation = Callable[[State, float], Result]
"""Takes the value (JSON-able, empty at first, changed in place) and the store's time in seconds."""


class QuotaStore(Protocol):
    """Shared values by key. An operation may run more than once before one run of it counts."""

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        """Run `operation` on the value under `key` and keep what it left there.

        Raises StateUnavailable when the store cannot be reached within its time-out.
        """
        ...
