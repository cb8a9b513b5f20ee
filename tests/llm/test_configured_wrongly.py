"""What is configured in a way that cannot be meant is said early; what callers do later changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError
from scripted_server import answer, error, scripted_server

from llm_assets.errors import ConfigurationError
from llm_assets.llm.client import LLMClient
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message, OutputSchema
from llm_assets.llm.sizes import OutputSizes


def ask(text: str, schema: OutputSchema | None = None) -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), max_output_tokens=50, output_schema=schema)


def config(base_url: str, **more: Any) -> ClientConfig:
    return ClientConfig.model_validate({"chat": ["gpt-6-luna"], "base_url": base_url, **more})


def test_a_url_with_a_port_that_is_none() -> None:
    """It is a configuration error like any other, and shows no password."""
    with pytest.raises(ConfigurationError, match="no URL of a database") as caught:
        make_database("postgresql://user:secret@host:x/db")
    assert "secret" not in str(caught.value)


def test_cached_alone_is_no_chain() -> None:
    """The last resort needs somebody to have answered before."""
    with pytest.raises(ValidationError, match="name at least one model before it"):
        ClientConfig.model_validate({"chat": ["cached"]})


async def test_a_client_without_models_does_not_open() -> None:
    """It is said when it opens, not by every call."""
    with pytest.raises(ConfigurationError, match="names a model"):
        async with LLMClient(ClientConfig()):
            pass


async def test_limits_of_a_name_that_nobody_has_are_said() -> None:
    """A name that is written wrong would limit nothing, in silence."""
    said: list[str] = []
    async with scripted_server() as server:
        limits = {"gpt-6-lunar": {"requests_per_minute": 5}, "gpt-6-luna": {"requests_per_minute": 50}}
        async with LLMClient(config(server.base_url, limits=limits), warn=said.append):
            pass
    (message,) = said
    assert "gpt-6-lunar, which no model" in message
    assert "the names are gpt-6-luna" in message


async def test_one_request_a_minute_is_possible_with_headroom() -> None:
    """However much of a limit is left to others, a single request has to fit into it."""
    limits = {"gpt-6-luna": {"requests_per_minute": 1}}
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, limits=limits, headroom=0.2)) as client:
            outcome = await client.call(ask("hi"))
    assert outcome.answer is not None, outcome.error


async def test_a_schema_is_what_it_was_when_it_was_given() -> None:
    """Callers may go on with their dict; what was asked, and under which key it is kept, stays the same."""
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    given = OutputSchema("one", schema)
    async with scripted_server() as server, LLMClient(config(server.base_url)) as client:
        await client.call(ask("hi", given))
        schema["properties"]["b"] = {"type": "integer"}
        again = await client.call(ask("hi", given))
        other = await client.call(ask("hi", OutputSchema("one", schema)))
    assert (again.from_journal, other.from_journal) == (True, False)
    asked = [request["response_format"]["json_schema"]["schema"] for request in server.requests]
    assert [sorted(each["properties"]) for each in asked] == [["a"], ["a", "b"]]


def test_sizes_are_remembered_of_a_bounded_number_of_schemas() -> None:
    """A name of its own for every row does not fill the memory."""
    sizes, model = OutputSizes(), ModelConfig(model="m")
    for number in range(2000):
        sizes.add(ask("hi", OutputSchema(f"s{number}", {})), model, number)
    assert len(sizes._latest) == len(sizes._sorted) <= 256
    assert sizes.expected(ask("hi", OutputSchema("s1999", {})), model) == 50


@pytest.mark.parametrize("reply", [answer(), error(400, "invalid_value"), (200, {"no": "answer"})])
async def test_what_a_server_puts_into_headers_is_bounded_and_holds_no_key(reply: Any) -> None:
    """Some echo what they were sent, and some send pages."""
    key = "planted-0123456789abcdef"
    async with scripted_server(lambda request, number: reply) as server:
        server.headers = {"x-request-id": f"Bearer {key} " + "x" * 5000}
        chain = config(server.base_url, api_key=key, retry={"max_attempts": 1})
        async with LLMClient(chain) as client:
            outcome = await client.call(ask("hi"))
    assert outcome.request_id is not None
    assert len(outcome.request_id) < 200
    assert key not in f"{outcome!r} {outcome.error}"
    assert len(str(outcome.error)) < 1000


async def test_patience_is_configured() -> None:
    """How long a state is waited for is for the user to say."""
    state = "postgresql://nobody@127.0.0.1:1/none"
    async with asyncio.timeout(25):  # by itself it is as patient as thirty
        with pytest.raises(Exception, match="cannot be opened"):
            async with LLMClient(config("http://127.0.0.1:1/v1", state=state, state_patience_seconds=0.1)):
                pass
