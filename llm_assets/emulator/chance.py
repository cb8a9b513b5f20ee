"""Faults and latencies as functions of the seed, the request's content and how often it was asked.

Not of the order of arrival: under concurrency that differs from run to run, and the same request must
meet the same fate. Asked again, it draws anew, so a retry can succeed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist

from llm_assets.emulator.config import FAULT_KINDS, Latency

_STANDARD_NORMAL = NormalDist()
_SMALLEST = 2.0**-53
_MARK = b"[emulator:"


class Chance:
    """Two independent draws for one attempt of one request."""

    __slots__ = ("_fault", "_latency")

    def __init__(self, seed: int, request_hash: bytes, attempt: int) -> None:
        digest = blake2b(b"%d:%s:%d" % (seed, request_hash, attempt), digest_size=16).digest()
        self._fault = int.from_bytes(digest[:8]) / 2**64
        self._latency = int.from_bytes(digest[8:]) / 2**64

    def fault(self, shares: Sequence[tuple[str, float]]) -> str | None:
        """The kind of fault that this attempt meets, None for none."""
        below = 0.0
        for kind, share in shares:
            below += share
            if self._fault < below:
                return kind
        return None

    def latency_seconds(self, latency: Latency) -> float:
        """How long the answer takes at least."""
        if latency.kind == "exponential":
            return -latency.mean_seconds * math.log1p(-self._latency)
        if latency.kind == "log-normal":
            return latency.mean_seconds * self._log_normal(latency.sigma)
        return latency.mean_seconds

    def _log_normal(self, sigma: float) -> float:
        """Of mean 1."""
        normal = _STANDARD_NORMAL.inv_cdf(min(max(self._latency, _SMALLEST), 1 - _SMALLEST))
        return math.exp(sigma * normal - sigma * sigma / 2)


def marked_fault(body: bytes) -> str | None:
    """The fault that a request asks for by `[emulator:KIND]` in its text, for trying one on purpose."""
    start = body.find(_MARK)
    if start < 0:
        return None
    start += len(_MARK)
    kind = body[start : body.find(b"]", start)].decode("ascii", "replace")
    return kind if kind in FAULT_KINDS else None
