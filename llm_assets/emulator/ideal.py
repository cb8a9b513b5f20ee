"""The yardstick of a client: the least time in which what it was granted fits through a bucket.

Share of the quota used = this time / the time it took. A limit that changes on the way is counted as it
was at each moment.
"""

from __future__ import annotations

import math


class IdealTime:
    """For one bucket, from the moment of the first request. Units are requests or tokens."""

    __slots__ = ("_beyond", "_refills")

    def __init__(self, level: float, per_second: float, now: float) -> None:
        self._beyond = -level
        self._refills = [(now, per_second)]

    def admit(self, cost: int) -> None:
        self._beyond += cost

    def change(self, per_second: float, now: float) -> None:
        self._refills.append((now, per_second))

    def seconds(self) -> float:
        """0 while everything came out of what the bucket held at the start."""
        missing, seconds = self._beyond, 0.0
        ends = [since for since, _ in self._refills[1:]] + [math.inf]
        for (since, per_second), end in zip(self._refills, ends, strict=True):
            lasts = end - since
            if missing <= lasts * per_second:
                return seconds + max(missing, 0.0) / per_second
            missing -= lasts * per_second
            seconds += lasts
        return seconds
