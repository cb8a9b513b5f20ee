"""Identical requests at the same time make one call."""

from __future__ import annotations

import asyncio

from llm_assets.llm.services import Found


class SameRequests:
    """What is asked just now, by the journal key of the request. The first one asks, the others wait."""

    def __init__(self) -> None:
        # Most requests are asked once: only who waits needs something to wait for.
        self._asked: dict[bytes, asyncio.Future[Found] | None] = {}

    def begin(self, key: bytes) -> bool:
        """Whether nobody asks this yet. Whoever hears so asks, and says with `end` what came of it."""
        if key in self._asked:
            return False
        self._asked[key] = None
        return True

    async def found(self, key: bytes) -> Found | None:
        """What the first one finds, or raises; None when it was cancelled, so that another one has to ask."""
        found = self._asked[key]
        if found is None:
            found = self._asked[key] = asyncio.get_running_loop().create_future()
        await asyncio.wait((found,))
        return None if found.cancelled() else found.result()

    def end(self, key: bytes, came_of_it: Found | BaseException) -> None:
        waited_for = self._asked.pop(key)
        if waited_for is None:
            return
        if isinstance(came_of_it, Found):
            waited_for.set_result(came_of_it)
        elif isinstance(came_of_it, Exception):
            waited_for.set_exception(came_of_it)
            waited_for.exception()  # who waited may be gone
        else:
            waited_for.cancel()
