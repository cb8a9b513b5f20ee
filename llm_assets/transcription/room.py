"""How much audio all recordings together hold at a time: what is prepared does not pile up."""

from __future__ import annotations

import asyncio

# Nearly three hours of speech as it is usually encoded. What is on the wire stands in memory twice: here and
# in the transport.
MOST_BYTES = 32_000_000


class AudioRoom:
    """Counts the bytes of chunks on their way. Belongs to one event loop.

    Sizes are only known once a chunk is there, so the room may be overfilled by one chunk for everybody
    who waited: keep those few.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.held_bytes = 0
        self._most_bytes = most_bytes
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def wait(self) -> None:
        """Until another chunk may be taken."""
        await self._has_room.wait()

    def enter(self, audio: bytes) -> None:
        self._count(len(audio))

    def leave(self, audio: bytes) -> None:
        self._count(-len(audio))

    def _count(self, change: int) -> None:
        self.held_bytes += change
        if self.held_bytes < self._most_bytes:
            self._has_room.set()
        else:
            self._has_room.clear()
