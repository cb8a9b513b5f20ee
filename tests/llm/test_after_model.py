"""The next model of the chain, asked because the answer of the one before was of no use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripted_server import Reply, answer, error, scripted_server

from llm_assets.errors import ContextTooLong, RequestRejected
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import ChatRequest, Message

CHAIN = ["gpt-6.1-sol", "gpt-6-luna", "cached"]


def config(base_url: str, **more: Any) -> ClientConfig:
    retry = {"max_attempts": 1, "cool_down_seconds": 0.01}
    return ClientConfig.model_validate({"chat": CHAIN, "base_url": base_url, "retry": retry, **more})


def ask(**more: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", "hi"),), max_output_tokens=50, subject="s", **more)


async def test_only_the_models_behind_it_are_asked(tmp_path: Path) -> None:
    """The outcome says why; a later run finds both answers in the journal, each under its own question."""
    state = str(tmp_path / "state.sqlite")
    async with scripted_server(lambda request, number: answer(request["model"])) as server:
        for _ in range(2):
            async with LLMClient(config(server.base_url, state=state)) as client:
                first = await client.call(ask())
                second = await client.call(ask(after_model="gpt-6.1-sol", after_reason="invalid_output"))
        assert [request["model"] for request in server.requests] == ["gpt-6.1-sol", "gpt-6-luna"]
    assert (first.model, first.fallback_reason, first.from_journal) == ("gpt-6.1-sol", None, True)
    assert (second.model, second.fallback_reason, second.from_journal) == (
        "gpt-6-luna",
        "invalid_output",
        True,
    )


async def test_behind_the_last_model_there_is_nobody() -> None:
    """That is an outcome and nothing is sent; `cached` is no answer to an answer of no use."""
    async with scripted_server() as server, LLMClient(config(server.base_url)) as client:
        await client.call(ask())
        outcome = await client.call(ask(after_model="gpt-6-luna"))
        assert isinstance(outcome.error, RequestRejected)
        assert len(server.requests) == 1


async def test_an_older_answer_does_not_stand_in_for_a_useless_one() -> None:
    """When the models behind it fail, the useless answer must not come back from the journal."""

    def script(request: dict[str, Any], number: int) -> Reply:
        return answer() if request["model"] == "gpt-6.1-sol" else error(500, "server_error")

    async with scripted_server(script) as server, LLMClient(config(server.base_url)) as client:
        assert (await client.call(ask())).answer is not None
        outcome = await client.call(ask(after_model="gpt-6.1-sol", after_reason="refused"))
    assert outcome.answer is None


async def test_an_older_answer_does_not_stand_in_for_a_request_that_is_too_long() -> None:
    """No waiting makes it shorter: whoever asked may cut it, which an old answer would hide."""

    def script(request: dict[str, Any], number: int) -> Reply:
        return answer() if number == 1 else error(400, "context_length_exceeded")

    async with scripted_server(script) as server, LLMClient(config(server.base_url)) as client:
        await client.call(ask())
        longer = ChatRequest(messages=(Message("user", "hi " * 9),), max_output_tokens=50, subject="s")
        outcome = await client.call(longer)
    assert isinstance(outcome.error, ContextTooLong)
