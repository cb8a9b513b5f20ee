"""Time as a dependency: everything that waits or dates asks a `Clock`, so tests need no sleeping."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and sleeping. Wall time is shared by processes of one machine, monotonic time is not."""

    def now(self) -> float:
        """Seconds since the epoch (UTC)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less yields to the event loop once."""
        ...


class SystemClock:
    """The machine's clock."""

    # Asked a dozen times for every call.
    now = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))
