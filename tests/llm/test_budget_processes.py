"""Processes that share a budget never spend more than it together, by the provider's own books."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.budget import ANSWER_TOKENS, refused, spend, spending, usual_cost
from benchmarks.processes import paying
from benchmarks.witness import Witness

CALLS = 150
A_MINUTE_LATER = 61.0


@pytest.fixture(params=["sqlite", "redis"])
def quota(request: pytest.FixtureRequest) -> str | None:
    """Where the budget is kept: None is beside the journal; in Redis a database that no other test uses."""
    if request.param == "sqlite":
        return None
    return f"{request.getfixturevalue('redis_socket')}?db=7"


async def test_processes_use_a_budget_up_and_never_pass_it(tmp_path: Path, quota: str | None) -> None:
    """Three at once: at most the cap is billed, hardly anything of it is left, every cent accounted for."""
    spent = await spend(tmp_path / "state.sqlite", quota, processes=3, concurrency=25, calls=CALLS)

    assert spent.billed_usd <= spent.cap_usd, spent
    assert spent.share_of_cap >= Decimal("0.9"), spent
    assert spent.handed_on_usd == spent.billed_usd, spent


async def test_a_killed_process_does_not_make_others_overspend(tmp_path: Path) -> None:
    """What it had on the wire is billed, although it cannot book it. So that counts at its worst case."""
    cap_usd = usual_cost(CALLS)
    async with Witness(mean_seconds=0.1, completion_tokens=ANSWER_TOKENS) as witness:
        work = spending(witness.base_url, tmp_path / "state.sqlite", cap_usd, concurrency=25, rows=2 * CALLS)
        async with paying(replace(work, asker="killed")) as killed:
            await witness.asked["killed"].reached(CALLS // 3)
            killed.kill()
            await killed.ended()
        before_usd = witness.billed_usd
        # By then the others take it for dead. They ask for its rows too, and for others.
        later = replace(work, seconds_later=A_MINUTE_LATER)
        async with AsyncExitStack() as stack:
            others = [
                await stack.enter_async_context(paying(replace(later, asker=str(number), first_row=number)))
                for number in (0, work.rows)
            ]
            await refused(others)

    on_the_wire = set(witness.asked["killed"].items) - {each.key for each in killed.handed_on}
    assert on_the_wire
    assert before_usd < witness.billed_usd <= cap_usd
