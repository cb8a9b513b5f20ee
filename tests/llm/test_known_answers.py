"""What would cost nothing is known before anything is asked."""

from __future__ import annotations

from pathlib import Path

from scripted_server import answer, scripted_server

from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import ChatRequest, Message


def ask(number: int) -> ChatRequest:
    return ChatRequest(messages=(Message("user", str(number)),))


async def test_answers_of_any_model_of_the_chain_are_known(tmp_path: Path) -> None:
    """In the order of the requests, for more than fit one query; looking is no hit and sends nothing."""
    state = str(tmp_path / "state.sqlite")
    requests = [ask(number) for number in range(1_200)]
    async with scripted_server(lambda request, number: answer(request["model"])) as server:
        chains = (["gpt-6-luna"], ["gpt-6.1-sol", "gpt-6-luna"])
        for chain, asked in zip(chains, ([7, 1_100], []), strict=True):
            config = ClientConfig.model_validate({"chat": chain, "base_url": server.base_url, "state": state})
            async with LLMClient(config) as client:
                for number in asked:
                    await client.call(ask(number))
                known = await client.kept.are_answered(requests)
            assert [number for number, is_known in enumerate(known) if is_known] == [7, 1_100]
        assert len(server.requests) == 2
