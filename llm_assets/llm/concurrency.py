"""How many requests may be in flight to one model: grows while it is used up, shrinks on overload.

Where nobody tells the limits it is all there is to hold back with, and shrinks on refusals as well.
"""

from __future__ import annotations

import asyncio
from collections import deque

_FIRST = 32
_LEAST = 1
_SHRINK = 0.7
# As TCP does at a loss: who refuses does not say by how much it was too much.
_SHRINK_REFUSED = 0.5


class Window:
    """A semaphore whose size follows what the server bears. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(min(_FIRST, most))
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._calm_until = 0
        self._opened = False
        self._was_refused = False

    @property
    def size(self) -> int:
        return max(int(self._size), _LEAST)

    def open(self) -> None:
        """The limits are known and stand guard, so there is no need to feel the way. Only the first time."""
        if not self._opened:
            self._opened = True
            self._size = float(self._most)
            self._admit()

    def enter_now(self) -> bool:
        """Take a place in flight if there is one."""
        if self._waiting or self._in_flight >= self.size:
            return False
        self._in_flight += 1
        return True

    async def enter(self) -> None:
        """Wait for a place in flight."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave()
            raise

    def leave(self, *, overloaded: bool = False, refused: bool = False, answered: bool = False) -> None:
        """Give the place back, with what it showed about the server."""
        if refused and not self._opened:
            self._was_refused = True
            self._shrink(_SHRINK_REFUSED)
        elif overloaded:
            self._shrink(_SHRINK)
        elif answered and self._in_flight >= self.size:
            # One more for each round trip at the full size would be cautious; where limits are known they
            # stand guard.
            more = 1.0 / self._size if self._was_refused and not self._opened else 1.0
            self._size = min(self._size + more, float(self._most))
        self._in_flight -= 1
        if self._waiting:
            self._admit()

    def _shrink(self, share: float) -> None:
        """Once for all that were in flight together: they all met the same overload."""
        if self._calm_until > 0:
            self._calm_until -= 1
            return
        self._size = max(self._size * share, float(_LEAST))
        self._calm_until = self._in_flight - 1

    def _admit(self) -> None:
        while self._waiting and self._in_flight < self.size:
            future = self._waiting.popleft()
            if not future.done():
                self._in_flight += 1
                future.set_result(None)
