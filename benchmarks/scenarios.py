"""What is measured under quotas: the server's limits, what the clients are told of them, and the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.contenders.workload import Job, Sizes, make_rows
from llm_assets.emulator.ideal import IdealTime

MODEL = "gpt-4o-mini"
RPM = 600
_DEADLINE_IN_IDEALS = 2.5
_EVERYBODY = ("llm_assets", "lm_deluge", "aiolimiter", "litellm_router", "openai_semaphore")
# Those who are told a little less than the limit, told the limit itself.
_EXACT = ("lm_deluge_exact", "aiolimiter_exact")
_SPREAD = Sizes(median=700, sigma=0.9, least=100, most=6000)


@dataclass(frozen=True, slots=True)
class Change:
    """The server's limit becomes another one on the way; nobody is told but by its headers."""

    after_seconds: float
    requests_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One workload against one emulated account.

    `emulator` are options of the emulator beside its limits. `processes` share the rows; `shared` says by
    what they share the limits, where the contender can do that.
    """

    name: str
    what: str
    rows: int
    quick_rows: int
    mean_latency_seconds: float
    latency: Literal["constant", "exponential"] = "exponential"
    requests_per_minute: int = RPM
    tokens_per_minute: int | None = None
    sizes: Sizes | None = None
    emulator: Mapping[str, Any] = field(default_factory=dict[str, Any])
    change: Change | None = None
    quick_change: Change | None = None
    processes: int = 1
    shared: Literal["sqlite", "redis"] = "sqlite"
    contenders: tuple[str, ...] = _EVERYBODY

    def server_config(self) -> dict[str, Any]:
        """For the emulator. A refused request costs a request, as at OpenAI, in every scenario."""
        limits = {
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
        }
        latency = {"kind": self.latency, "mean_seconds": self.mean_latency_seconds}
        return {"limits": limits, "latency": latency, "charge_refused": "requests", **self.emulator}

    def change_of(self, quick: bool) -> Change | None:
        return self.quick_change if quick else self.change

    def ideal_seconds(self, quick: bool) -> float:
        """The least time in which the server can let all rows through, by the emulator's own arithmetic."""
        rows = self.quick_rows if quick else self.rows
        ours = 1.0 - self.emulator.get("neighbour_share", 0.0)
        level = self.emulator.get("initial_level", 1.0)
        requests = IdealTime(self.requests_per_minute * level, self.requests_per_minute / 60 * ours, 0.0)
        requests.admit(rows)
        change = self.change_of(quick)
        if change is not None:
            requests.change(change.requests_per_minute / 60 * ours, change.after_seconds)
        if self.tokens_per_minute is None:
            return requests.seconds()
        tokens = IdealTime(self.tokens_per_minute * level, self.tokens_per_minute / 60 * ours, 0.0)
        tokens.admit(sum(row.tokens for row in make_rows(self.job("", 0, rows))))
        return max(requests.seconds(), tokens.seconds())

    def deadline_seconds(self, quick: bool) -> float:
        return _DEADLINE_IN_IDEALS * self.ideal_seconds(quick)

    def job(self, base_url: str, first_row: int, rows: int, **more: Any) -> Job:
        """Part of the rows for one process."""
        return Job(
            base_url=base_url,
            model=MODEL,
            rows=rows,
            first_row=first_row,
            seed=self.name,
            sizes=self.sizes,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            mean_latency_seconds=self.mean_latency_seconds,
            **more,
        )


_FOUR_PROCESSES: dict[str, Any] = {
    "rows": 1100,
    "quick_rows": 700,
    "mean_latency_seconds": 0.3,
    "processes": 4,
}
_ALL = (
    Scenario(
        name="requests_bound",
        what="1,100 requests at 600 a minute, the bucket full at the start",
        rows=1100,
        quick_rows=700,
        mean_latency_seconds=0.3,
        contenders=(*_EVERYBODY, *_EXACT),
    ),
    Scenario(
        name="tokens_bound",
        what="requests of 100 to 6,000 tokens (log-normal) at 600,000 tokens a minute, the bucket full",
        rows=1120,
        quick_rows=720,
        mean_latency_seconds=0.5,
        requests_per_minute=5000,
        tokens_per_minute=600_000,
        sizes=_SPREAD,
        contenders=(*_EVERYBODY, *_EXACT),
    ),
    Scenario(
        name="empty_start",
        what="500 requests at 600 a minute, the bucket empty at the start (nobody is told)",
        rows=500,
        quick_rows=100,
        mean_latency_seconds=0.3,
        emulator={"initial_level": 0.0},
    ),
    Scenario(
        name="limit_halved",
        what="950 requests at 600 a minute, from 20 s on at 300 (told by the headers alone)",
        rows=950,
        quick_rows=670,
        mean_latency_seconds=0.3,
        change=Change(20.0, RPM // 2),
        quick_change=Change(4.0, RPM // 2),
    ),
    Scenario(
        name="neighbour",
        what="800 requests at 600 a minute, of which somebody else takes half (nobody is told)",
        rows=800,
        quick_rows=650,
        mean_latency_seconds=0.3,
        emulator={"neighbour_share": 0.5},
    ),
    Scenario(
        name="slow_answers",
        what="1,100 requests at 600 a minute, every answer takes 6 s, headers as of admission",
        rows=1100,
        quick_rows=760,
        mean_latency_seconds=6.0,
        latency="constant",
        emulator={"headers": "admission"},
    ),
    Scenario(
        name="no_headers",
        what="1,100 requests at 600 a minute, no rate limit headers (everybody is told the limits)",
        rows=1100,
        quick_rows=700,
        mean_latency_seconds=0.3,
        emulator={"headers": "none"},
    ),
    Scenario(
        name="four_processes_sqlite",
        what="1,100 requests at 600 a minute by four processes that share one SQLite file "
        "(lm_deluge cannot share: a quarter of the limit each)",
        contenders=("llm_assets", "lm_deluge"),
        **_FOUR_PROCESSES,
    ),
    Scenario(
        name="four_processes_redis",
        what="the same, limits shared by a Redis server",
        shared="redis",
        contenders=("llm_assets",),
        **_FOUR_PROCESSES,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
