"""What reaches us of a refill that somebody else shares, where requests come to the server in any order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_stores import START, purely

from llm_assets.llm.models import Limits
from llm_assets.llm.pools.bucket import Bucket
from llm_assets.llm.pools.exchange import exchange
from llm_assets.llm.pools.values import Client, Grant, Return, Want
from llm_assets.llm.providers.base import DimensionReport

CAPACITY = 6000
PER_SECOND = CAPACITY / 60
LIMITS = Limits(requests_per_minute=CAPACITY)
SHARE, LEVEL = (list(Bucket.__slots__).index(name) for name in ("share", "level"))
ONE = Want(1, 0)


@dataclass(frozen=True)
class Burst:
    """So many requests at once, after a while; `order` says how they come to the server, one is told of."""

    seconds: float
    size: int
    order: int
    told: float


bursts = st.lists(
    st.builds(Burst, st.floats(2.2, 6), st.integers(1, 120), st.integers(0, 10**6), st.floats(0, 0.999)),
    min_size=2,
    max_size=8,
)


@dataclass
class Pool:
    """A pool whose share of the refill is known already, and the server with the neighbour."""

    share: float
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    now: float = START
    level: float = CAPACITY / 2

    def __post_init__(self) -> None:
        (grant,) = self.ask(1)
        self.level -= 1
        self.take_back(grant, self.level)
        self.bucket[SHARE] = self.share

    @property
    def bucket(self) -> list[float]:
        return self.state["buckets"]["requests_per_minute"]

    def ask(self, wanted: int) -> list[Grant]:
        turn = exchange(self.state, self.now, Client(id="a"), [], [ONE] * wanted, LIMITS, 0.0)
        return turn.grants

    def take_back(self, grant: Grant, remaining: float) -> None:
        told = DimensionReport(CAPACITY, remaining, None)
        back = Return(grant=grant, reports={"requests": told})
        exchange(self.state, self.now, Client(id="a"), [back], [], LIMITS, 0.0)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.level += seconds * PER_SECOND * self.share


@pytest.mark.parametrize("headers_at", ["admission", "answer"])
@purely
@given(script=bursts, share=st.floats(0.05, 0.95))
def test_a_share_that_is_right_stays(
    headers_at: Literal["admission", "answer"], script: list[Burst], share: float
) -> None:
    """A header of the midst of a burst leaves open what it counts of it, and nothing else."""
    pool = Pool(share)
    for burst in script:
        pool.wait(burst.seconds)
        grants = pool.ask(burst.size)
        arriving = random.Random(burst.order).sample(grants, len(grants))
        told = int(burst.told * len(grants))
        if headers_at == "answer":  # of one that came first of all: the others are still on their way
            pool.take_back(arriving[0], pool.level - 1)
            pool.level -= len(grants)
        else:
            before, pool.level = pool.level, pool.level - len(grants)
            pool.wait(0.3)
            pool.take_back(arriving[told], before - told - 1)
        assert pool.bucket[SHARE] == pytest.approx(share, abs=1e-6)


def test_an_old_header_is_no_word_on_the_refill_since() -> None:
    """Until it has been measured: the neighbour may have had all of it."""
    pool = Pool(1.0)
    (slow,) = pool.ask(1)
    pool.ask(500)
    pool.now += 0.5
    pool.ask(1)
    pool.now += 0.4
    pool.bucket[LEVEL] = 2000
    pool.take_back(slow, 2998.5)
    assert pool.bucket[LEVEL] == pytest.approx(2998.5 - 501, abs=1)
