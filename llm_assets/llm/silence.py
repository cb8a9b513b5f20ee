"""How long a server may say nothing: one timer for all who wait, since nearly all are answered in time."""

from __future__ import annotations

import asyncio
from typing import Protocol

import aiohttp


class Source(Protocol):
    """Something a server feeds, which somebody waits for."""

    def set_exception(self, exc: BaseException, /) -> None:
        """Whoever waits gets this instead."""
        ...


class Silence:
    """Ends every wait for a source that was fed nothing for so many seconds. Belongs to the running loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        # Everybody may wait equally long, so whoever came first is also the first to be given up.
        self._deadlines: dict[Source, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, source: Source) -> None:
        """From now on the source has to be fed; to be told again whenever it was."""
        self._deadlines.pop(source, None)
        self._deadlines[source] = deadline = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def forget(self, source: Source) -> None:
        """Nobody waits for it any more."""
        self._deadlines.pop(source, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._deadlines:
            source, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._look)
                return
            del self._deadlines[source]
            source.set_exception(aiohttp.SocketTimeoutError(f"nothing came for {self._seconds:g} s"))
