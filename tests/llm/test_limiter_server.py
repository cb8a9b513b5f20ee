"""The limiter against a server with continuous refill, in virtual time: hours in milliseconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from rate_limited_server import RateLimitedServer
from virtual_time import LoopClock, run_virtual

from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import Limits
from llm_assets.llm.pools.values import Client, Return, Want
from llm_assets.llm.quota.memory import MemoryQuota

RPM = 600


@dataclass
class Result:
    server: RateLimitedServer
    seconds_to_last_admission: float


async def drive(
    make_server: Callable[[], RateLimitedServer],
    sizes: list[int],
    limits: Limits | None,
    *,
    clients: int = 1,
    at: tuple[float, Callable[[RateLimitedServer], None]] | None = None,
) -> Result:
    """Send every request through the limiter until the server has taken it."""
    server, store = make_server(), MemoryQuota(LoopClock())
    limiters = [Limiter(store, Client(id=str(number))) for number in range(clients)]
    places = asyncio.Semaphore(400)

    async def send(number: int, tokens: int) -> None:
        limiter = limiters[number % clients]
        async with places:
            served, tries = False, 0
            while not served:
                grant = await limiter.acquire(
                    "m", Want(1, tokens), limits, max_wait_seconds=9_999, first=tries > 0
                )
                served, reports, pause, kind = await server.ask(tokens)
                tries += 1
                limiter.settle(
                    "m",
                    Return(
                        grant=grant,
                        refused=not served,
                        reports=reports,
                        refused_kind=kind,
                        pause_seconds=pause,
                    ),
                )

    async def change() -> None:
        if at is not None:
            await asyncio.sleep(at[0])
            at[1](server)

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        for number, tokens in enumerate(sizes):
            group.create_task(send(number, tokens))
    for limiter in limiters:
        await limiter.aclose()
    return Result(server, server.last_admission - server.started_at)


@pytest.mark.parametrize("headers_at", ["admission", "answer"])
@pytest.mark.parametrize("clients", [1, 4])
def test_uses_the_whole_request_quota_without_a_refusal(headers_at: str, clients: int) -> None:
    """1,100 requests at 600 a minute take the 50 s the arithmetic allows, and none is refused."""
    result = run_virtual(
        drive(
            lambda: RateLimitedServer({"requests": RPM}, headers_at=headers_at),  # type: ignore[arg-type]
            [100] * 1100,
            Limits(requests_per_minute=RPM),
            clients=clients,
        )
    )
    assert result.server.refused == 0
    assert 50 / result.seconds_to_last_admission > 0.985


@pytest.mark.parametrize("takes", [0.0, 0.5])
@pytest.mark.parametrize("clients", [1, 4])
def test_a_large_quota_is_used_by_several_as_by_one(takes: float, clients: int) -> None:
    """200 requests a second, and 12,000 at the start: clients that began together do not go one by one."""
    per_second = 200
    result = run_virtual(
        drive(
            lambda: RateLimitedServer({"requests": 60 * per_second}, neighbour=takes),
            [100] * int(60 * per_second + 20 * per_second * (1 - takes)),
            Limits(requests_per_minute=60 * per_second),
            clients=clients,
        )
    )
    assert result.server.refused == 0
    assert 20 / result.seconds_to_last_admission > 0.985


@pytest.mark.parametrize("headers_at", ["admission", "answer"])
def test_mixed_sizes_use_the_token_quota(headers_at: str) -> None:
    """Requests of 100 to 6,000 tokens fill the token quota and keep their order without refusals."""
    source = random.Random(1)
    sizes = [min(6000, max(100, int(source.lognormvariate(6.9, 0.8)))) for _ in range(1000)]
    ideal_seconds = (sum(sizes) - 600_000) / 600_000 * 60
    result = run_virtual(
        drive(
            lambda: RateLimitedServer({"tokens": 600_000}, headers_at=headers_at),  # type: ignore[arg-type]
            sizes,
            Limits(tokens_per_minute=600_000),
        )
    )
    assert result.server.refused <= 2
    assert ideal_seconds / result.seconds_to_last_admission > 0.985


def test_learns_limits_nobody_configured() -> None:
    """Without configured limits one probe goes ahead; its headers tell the rest."""
    result = run_virtual(drive(lambda: RateLimitedServer({"requests": RPM}), [100] * 1100, None))
    assert result.server.refused <= 2
    assert 50 / result.seconds_to_last_admission > 0.98


@pytest.mark.parametrize("headers_at", ["admission", "answer", None])
def test_an_empty_bucket_causes_no_storm(headers_at: str | None) -> None:
    """A bucket somebody else has emptied costs a refusal or two, not hundreds."""
    result = run_virtual(
        drive(
            lambda: RateLimitedServer({"requests": RPM}, full=0.0, headers_at=headers_at),  # type: ignore[arg-type]
            [100] * 500,
            Limits(requests_per_minute=RPM),
        )
    )
    assert result.server.refused <= 5
    assert 50 / result.seconds_to_last_admission > 0.96


def test_a_halved_limit_is_noticed_by_the_next_answer() -> None:
    """Limits lowered in the middle of a run are followed at once."""
    result = run_virtual(
        drive(
            lambda: RateLimitedServer({"requests": RPM}),
            [100] * 950,
            Limits(requests_per_minute=RPM),
            at=(20.0, lambda server: server.change_limits(0.5)),
        )
    )
    assert result.server.refused <= 0.02 * 950
    assert (20 + (950 - 800) / 5) / result.seconds_to_last_admission > 0.97


@pytest.mark.parametrize("headers_at", ["admission", "answer"])
@pytest.mark.parametrize("clients", [1, 4, 8])
@pytest.mark.parametrize("takes", [0.2, 0.5, 0.8])
def test_a_neighbour_on_the_same_key_is_shared_with(headers_at: str, clients: int, takes: float) -> None:
    """Somebody who takes a part of the refill is noticed from the headers, without a storm."""
    left = 10 * (1 - takes)
    result = run_virtual(
        drive(
            lambda: RateLimitedServer({"requests": RPM}, neighbour=takes, headers_at=headers_at),  # type: ignore[arg-type]
            [100] * (RPM + int(40 * left)),
            Limits(requests_per_minute=RPM),
            clients=clients,
        )
    )
    assert result.server.refused <= 4
    assert 40 / result.seconds_to_last_admission > 0.985


@pytest.mark.parametrize("headers_at", ["admission", "answer"])
def test_a_neighbour_is_noticed_where_no_fraction_is_told(headers_at: str) -> None:
    """Headers in whole requests, without a time to full: up to one request more stays in the bucket."""
    result = run_virtual(
        drive(
            lambda: RateLimitedServer(
                {"requests": RPM},
                neighbour=0.5,
                headers_at=headers_at,  # type: ignore[arg-type]
                tells_reset=False,
            ),
            [100] * 800,
            Limits(requests_per_minute=RPM),
        )
    )
    assert result.server.refused <= 8
    assert 40 / result.seconds_to_last_admission > 0.98


def test_a_neighbour_who_comes_later_and_goes_is_noticed() -> None:
    """From 20 s on somebody takes half of the refill, or from then on nobody does."""
    for before, after, rows in ((0.0, 0.5, 600 + 200 + 150), (0.5, 0.0, 600 + 100 + 300)):

        def change(server: RateLimitedServer, share: float = after) -> None:
            server.change_neighbour(share)

        result = run_virtual(
            drive(
                lambda share=before: RateLimitedServer({"requests": RPM}, neighbour=share),
                [100] * rows,
                Limits(requests_per_minute=RPM),
                at=(20.0, change),
            )
        )
        assert result.server.refused <= 6
        assert 50 / result.seconds_to_last_admission > 0.98


@dataclass
class ConstantLatency(RateLimitedServer):
    """Every answer takes `latency_seconds`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._random.expovariate = lambda rate: 1 / rate  # type: ignore[method-assign]


@pytest.mark.parametrize("headers_at", ["admission", "answer", None])
def test_slow_answers_with_stale_headers_cost_no_quota(headers_at: str | None) -> None:
    """Answers that take 6 s, with headers as old as that: the quota is used all the same."""
    result = run_virtual(
        drive(
            lambda: ConstantLatency({"requests": RPM}, headers_at=headers_at, latency_seconds=6.0),  # type: ignore[arg-type]
            [100] * 1100,
            Limits(requests_per_minute=RPM),
        )
    )
    assert result.server.refused <= 1
    assert 50 / result.seconds_to_last_admission > 0.985


@pytest.mark.parametrize("headers_at", ["admission", "answer"])
@pytest.mark.parametrize("clients", [1, 4, 8])
def test_slow_answers_and_a_neighbour(headers_at: str, clients: int) -> None:
    """What a header tells is 6 s old, and in between somebody else took half of what came in."""
    result = run_virtual(
        drive(
            lambda: ConstantLatency(
                {"requests": RPM},
                headers_at=headers_at,  # type: ignore[arg-type]
                latency_seconds=6.0,
                neighbour=0.5,
            ),
            [100] * 800,
            Limits(requests_per_minute=RPM),
            clients=clients,
        )
    )
    assert result.server.refused <= 8
    assert 40 / result.seconds_to_last_admission > 0.97
