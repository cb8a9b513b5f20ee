"""Processes that share a budget never spend more than it together, by the provider's own books."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.budget import ANSWER_TOKENS, refused, spend, spending, usual_cost
from benchmarks.paying_worker import Work
from benchmarks.processes import paying
from benchmarks.witness import Witness
from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.requests import ChatRequest, Message
from llm_assets.llm.sizes import worst_case
from llm_assets.llm.state import State

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


KILLS, AT_ONCE = 4, 8


async def test_every_kill_loses_what_a_few_calls_may_cost(tmp_path: Path) -> None:
    """Of a cap that is far away: those on the wire at their worst, and no more than twice as many beside."""
    state = str(tmp_path / "state.sqlite")
    async with Witness(mean_seconds=0.005, completion_tokens=2) as witness:
        work = Work(
            base_url=witness.base_url,
            state=state,
            asker="",
            rows=100_000,
            concurrency=AT_ONCE,
            characters=(40, 40),
            usd_per_day="100",
        )
        for number in range(KILLS):
            async with paying(replace(work, asker=str(number), first_row=number * work.rows)) as worker:
                await worker.paid.reached(50 + 20 * number)
                worker.kill()
                await worker.ended()
        lost = await _counted_usd(state) - witness.billed_usd

    assert 0 <= lost <= KILLS * 3 * AT_ONCE * _worst_usd(work), lost / _worst_usd(work)


def _worst_usd(work: Work) -> Decimal:
    text = "x" * work.characters[1]
    request = ChatRequest(messages=(Message("user", text),), max_output_tokens=work.max_output_tokens)
    nano_usd, _ = worst_case(request, ModelConfig.of("gpt-6-luna"))
    assert nano_usd is not None
    return Decimal(nano_usd) / 10**9


async def _counted_usd(state: str) -> Decimal:
    """What of the day's cap is gone: what was spent, and what the dead held, which counts as spent soon."""
    with State(SqliteDatabase(state)) as opened:
        ledger = await DatabaseQuota(opened).transact("budget", lambda value, _: dict(value["accounts"]))
    (day,) = (account for name, account in ledger.items() if name.startswith("day:"))
    return Decimal(day["spent"][0] + sum(held[0] for held in day["held"].values())) / 10**9
