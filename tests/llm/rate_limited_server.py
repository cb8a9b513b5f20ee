"""A server's rate limits in virtual time: continuous refill, charged at admission, refusals charged too."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Literal

from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.providers.headers import with_fraction

Kind = Literal["requests", "tokens"]


@dataclass
class RateLimitedServer:
    """Answers after `latency_seconds`; `full` is how full the buckets are at the start, from 0 to 1.

    `neighbour` is the share of the refill somebody else on the same key takes. `headers_at` says whether
    headers tell the state at admission, at the answer, or are missing; `tells_reset`, whether they have the
    time until the limit is full again.
    """

    limits: dict[Kind, float]
    full: float = 1.0
    headers_at: Literal["admission", "answer"] | None = "admission"
    tells_reset: bool = True
    neighbour: float = 0.0
    latency_seconds: float = 0.3
    seed: int = 0
    refused: int = 0
    served: int = 0
    levels: dict[Kind, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._at = self.started_at = self._now()
        self.levels = {kind: limit * self.full for kind, limit in self.limits.items()}
        self.last_admission = self._at

    def change_limits(self, factor: float) -> None:
        self._refill()
        self.limits = {kind: limit * factor for kind, limit in self.limits.items()}
        self.levels = {kind: min(level, self.limits[kind]) for kind, level in self.levels.items()}

    def change_neighbour(self, share: float) -> None:
        self._refill()
        self.neighbour = share

    async def ask(self, tokens: float) -> tuple[bool, dict[Kind, DimensionReport] | None, float, Kind | None]:
        """Whether it was served, what the headers say, how long to wait if not, and for what."""
        await asyncio.sleep(self._random.uniform(0.0005, 0.003))
        needed: dict[Kind, float] = {"requests": 1, "tokens": tokens}
        self._refill()
        short = [kind for kind, level in self.levels.items() if level < needed[kind]]
        waits = [(needed[kind] - self.levels[kind]) / self.limits[kind] * 60 for kind in short]
        for kind, level in self.levels.items():
            self.levels[kind] = max(level - needed[kind], 0.0)
        told = self._reports()
        if short:
            self.refused += 1
        else:
            self.served += 1
            self.last_admission = self._at
            await asyncio.sleep(self._random.expovariate(1 / self.latency_seconds))
        if self.headers_at == "answer":
            self._refill()
            told = self._reports()
        await asyncio.sleep(self._random.uniform(0.0005, 0.003))
        return not short, told if self.headers_at else None, max(waits, default=0.0), next(iter(short), None)

    def _refill(self) -> None:
        now = self._now()
        for kind, level in self.levels.items():
            refill = (now - self._at) * self.limits[kind] / 60 * (1 - self.neighbour)
            self.levels[kind] = min(level + refill, self.limits[kind])
        self._at = now

    def _reports(self) -> dict[Kind, DimensionReport]:
        told: dict[Kind, DimensionReport] = {}
        for kind, limit in self.limits.items():
            reset_seconds = (
                int((limit - self.levels[kind]) / limit * 60_000) / 1000 if self.tells_reset else None
            )
            report = with_fraction(DimensionReport(limit, int(self.levels[kind]), reset_seconds))
            assert report is not None
            told[kind] = report
        return told

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
