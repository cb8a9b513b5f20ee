"""Samples that are looked at first and used afterwards, decoded once unless they are many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from llm_assets.recordings.encode import Samples

# Ten minutes of one channel at 16 kHz, 19 MB.
_MOST_HELD = 600 * 16_000


class Replayed:
    """Blocks that can be gone through `again` from the beginning, after some or all of them were.

    Few are held meanwhile; more are decoded another time.
    """

    def __init__(self, decode: Callable[[], Iterator[Samples]]) -> None:
        self._decode = decode
        self._coming = decode()
        self._held: deque[Samples] | None = deque()
        self._size = 0

    def __iter__(self) -> Iterator[Samples]:
        for block in self._coming:
            self._hold(block)
            yield block

    def again(self) -> Iterator[Samples]:
        """All of them. What was held is let go on the way, so this is for once."""
        if self._held is None:
            self._coming = iter(())
            yield from self._decode()
            return
        while self._held:
            yield self._held.popleft()
        yield from self._coming

    def _hold(self, block: Samples) -> None:
        self._size += block.size
        if self._size > _MOST_HELD:
            self._held = None
        elif self._held is not None:
            self._held.append(block)
