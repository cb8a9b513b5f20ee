"""What a day has cost counts whoever spent it: a cap per day sees calls of clients that have no cap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer, answer, error, scripted_server

from llm_assets.errors import BudgetExceeded
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message
from llm_assets.llm.sizes import worst_case

TOKENS_OF_A_CALL = 110


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Where state and quota are."""
    if request.param == "postgres":
        yield {"state": request.getfixturevalue("postgres_url")}
    elif request.param == "redis":
        url = request.getfixturevalue("redis_socket")
        yield {"state": str(tmp_path / "state.sqlite"), "quota": f"{url}?db=7"}
    else:
        yield {"state": str(tmp_path / "state.sqlite")}


def client(server: ScriptedServer, stores: dict[str, Any], **more: Any) -> LLMClient:
    retry = {"max_attempts": 1}
    settings = {"chat": ["gpt-6-luna"], "base_url": server.base_url, "retry": retry, **stores, **more}
    return LLMClient(ClientConfig.model_validate(settings))


OTHERS: dict[str, dict[str, Any]] = {
    "no cap": {},
    "a cap per run": {"tokens_per_run": 1_000_000},
}


@pytest.mark.parametrize("other", OTHERS)
async def test_a_cap_per_day_counts_what_others_spent(stores: dict[str, Any], other: str) -> None:
    """Whether those who spent it have a cap per day of their own or none at all."""
    worst = worst_case(ask("x"), ModelConfig.of("gpt-6-luna"))[1]
    async with scripted_server() as server:
        async with client(server, stores) as before:  # whatever the day has cost so far
            await before.call(ask("before"))
        spent_before = await spent_today(server, stores)
        async with client(server, stores, budget=OTHERS[other]) as spender:
            for number in range(5):
                await spender.call(ask(f"{other} {number}"))
        spent = await spent_today(server, stores)
        assert spent - spent_before == 5 * TOKENS_OF_A_CALL
        cap = {"tokens_per_day": spent + worst - 1, "when_exceeded": "stop"}
        async with client(server, stores, budget=cap) as capped:
            with pytest.raises(BudgetExceeded, match=f"has {spent:,} tokens spent"):
                await capped.call(ask("one too many"))


async def spent_today(server: ScriptedServer, stores: dict[str, Any]) -> int:
    """By the ledger that all share."""
    async with client(server, stores, budget={"tokens_per_day": 10**9}) as reader:
        assert reader._services is not None
        ledger = await reader._services.budget._bookings._store.transact(
            "budget", lambda state, now: dict(state)
        )
    (day,) = [account for name, account in ledger["accounts"].items() if name.startswith("day:")]
    assert day["held"] == {}
    return day["spent"][1]


async def test_what_nobody_reserved_counts_at_its_worst_when_the_answer_is_lost(tmp_path: Path) -> None:
    """Without a cap there is no reservation; what may have been billed is booked all the same."""
    stores = {"state": str(tmp_path / "state.sqlite")}
    worst = worst_case(ask("x"), ModelConfig.of("gpt-6-luna"))[1]
    replies: list[Any] = [{"no": "answer"}, answer(usage=None), error(500, "refused, so not billed")]
    async with scripted_server(lambda request, number: replies[number - 1]) as server:
        async with client(server, stores) as spender:
            for name in "abc":
                await spender.call(ask(name))
        assert await spent_today(server, stores) == 2 * worst
