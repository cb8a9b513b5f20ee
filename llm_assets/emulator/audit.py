"""What the emulator was asked and what it did, in numbers that a test or a benchmark can rely on.

Served twice is the number that matters most: an answer to a request that had already been answered in full
(same endpoint, same content) is money spent twice at a real provider. Requests that failed, were refused
or cut off on the way do not count as served.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from llm_assets.usage import Usage

_SHOWN_DUPLICATES = 20


@dataclass(slots=True)
class ModelAudit:
    """One model's requests.

    `refused`: 429 by the quota, by dimension. `rejected`: the request itself was wrong, by HTTP status.
    `faulted`: by kind of fault; `refusal`, `content_filter` and `invalid_output` are counted here and also
    as served, since they are answers and billed. `hung_up`: the client was gone when its answer was ready.
    """

    received: int = 0
    served: int = 0
    served_twice: int = 0
    hung_up: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    rejected: Counter[str] = field(default_factory=Counter[str])
    faulted: Counter[str] = field(default_factory=Counter[str])
    usage: Usage = field(default_factory=Usage)

    def snapshot(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "served": self.served,
            "served_twice": self.served_twice,
            "hung_up": self.hung_up,
            "refused": self.refused.total(),
            "refused_by": dict(self.refused),
            "rejected": self.rejected.total(),
            "rejected_by": dict(self.rejected),
            "faulted": self.faulted.total(),
            "faulted_by": dict(self.faulted),
            "usage": usage_snapshot(self.usage),
        }


class Audit:
    """Counts since the start or the last reset. Totals over all models are properties."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, also which requests were answered and how often they were asked."""
        self.models: dict[str, ModelAudit] = {}
        self.first_request_at: float | None = None
        self.last_admission_at: float | None = None
        self.last_answer_at: float | None = None
        # Turned away before a model was known: no key, no JSON, no such model. By HTTP status.
        self.turned_away: Counter[str] = Counter()
        self._asked: Counter[bytes] = Counter()
        self._served: Counter[bytes] = Counter()
        self._duplicates: dict[bytes, dict[str, Any]] = {}

    def of(self, model: str) -> ModelAudit:
        if model not in self.models:
            self.models[model] = ModelAudit()
        return self.models[model]

    def attempt(self, request_hash: bytes) -> int:
        """How often this content has been asked, counting from 1."""
        self._asked[request_hash] += 1
        return self._asked[request_hash]

    def begin(self, now: float) -> None:
        if self.first_request_at is None:
            self.first_request_at = now

    def admit(self, now: float) -> None:
        self.last_admission_at = now

    def end(self, now: float) -> None:
        self.last_answer_at = now

    def serve(self, model: str, endpoint: str, request_hash: bytes, usage: Usage) -> None:
        """A whole answer goes out."""
        entry = self.of(model)
        entry.served += 1
        entry.usage += usage
        self._served[request_hash] += 1
        times = self._served[request_hash]
        if times == 1:
            return
        entry.served_twice += 1
        if request_hash in self._duplicates or len(self._duplicates) < _SHOWN_DUPLICATES:
            self._duplicates[request_hash] = {
                "endpoint": endpoint,
                "model": model,
                "request_hash": request_hash.hex(),
                "served": times,
            }

    @property
    def received(self) -> int:
        return sum(entry.received for entry in self.models.values())

    @property
    def served(self) -> int:
        return sum(entry.served for entry in self.models.values())

    @property
    def served_twice(self) -> int:
        return sum(entry.served_twice for entry in self.models.values())

    @property
    def refused(self) -> int:
        return sum(entry.refused.total() for entry in self.models.values())

    @property
    def rejected(self) -> int:
        return sum(entry.rejected.total() for entry in self.models.values())

    @property
    def faulted(self) -> int:
        return sum(entry.faulted.total() for entry in self.models.values())

    @property
    def usage(self) -> Usage:
        return sum((entry.usage for entry in self.models.values()), Usage())

    @property
    def wall_seconds(self) -> float:
        """From the first request to the last answer."""
        return self._seconds_until(self.last_answer_at)

    @property
    def admission_seconds(self) -> float:
        """From the first request to the last one that the quota let through. Latency plays no part in it."""
        return self._seconds_until(self.last_admission_at)

    @property
    def duplicates(self) -> list[dict[str, Any]]:
        """The first requests that were answered more than once."""
        return list(self._duplicates.values())

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "received": self.received,
            "served": self.served,
            "served_twice": self.served_twice,
            "refused": self.refused,
            "rejected": self.rejected,
            "faulted": self.faulted,
            "hung_up": sum(entry.hung_up for entry in self.models.values()),
            "turned_away": dict(self.turned_away),
            "wall_seconds": round(self.wall_seconds, 6),
            "admission_seconds": round(self.admission_seconds, 6),
            "usage": usage_snapshot(self.usage),
            "duplicates": self.duplicates,
            "models": {name: entry.snapshot() for name, entry in sorted(self.models.items())},
        }

    def _seconds_until(self, moment: float | None) -> float:
        if self.first_request_at is None or moment is None:
            return 0.0
        return moment - self.first_request_at


def usage_snapshot(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "audio_seconds": round(usage.audio_seconds, 3),
    }
