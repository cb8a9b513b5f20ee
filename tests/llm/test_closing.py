"""A client that closes while other tasks still call: nothing new is sent, nobody hangs, the paid is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer, answer, error, scripted_server

from llm_assets.errors import ClientClosed
from llm_assets.llm.client import LLMClient
from llm_assets.llm.journal_contents import open_contents
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import ChatRequest, Message, Outcome

LONG_ENOUGH_SECONDS = 120.0
"""What takes longer than this hangs."""


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


def config(server: ScriptedServer, **more: Any) -> ClientConfig:
    return ClientConfig.model_validate({"chat": ["gpt-6-luna"], "base_url": server.base_url, **more})


@asynccontextmanager
async def one_on_the_wire(
    server: ScriptedServer, chain: ClientConfig
) -> AsyncIterator[tuple[LLMClient, asyncio.Task[Outcome]]]:
    """A client, open, with one request at the server that is answered when the gate opens."""
    client = LLMClient(chain)
    async with asyncio.timeout(LONG_ENOUGH_SECONDS):
        await client.__aenter__()
        await client.call(ask("the first one, which finds out about limits"))
        server.gate = asyncio.Event()
        sent = asyncio.create_task(client.call(ask("sent")))
        await server.asked(2)
        yield client, sent


async def settle_down() -> None:
    """Let every call get as far as it can."""
    for _ in range(200):
        await asyncio.sleep(0.001)


WAITS: dict[str, tuple[dict[str, Any], str]] = {
    "the limit": ({"limits": {"gpt-6-luna": {"requests_per_day": 100}}}, "another"),
    "a place": ({"max_concurrency": 1}, "another"),
    "the budget": ({"budget": {"tokens_per_run": 300}}, "another"),
    "the same request": ({}, "sent"),
}


@pytest.mark.parametrize("cause", WAITS)
async def test_who_waits_is_told_and_who_is_on_the_wire_is_answered(cause: str, tmp_path: Path) -> None:
    """Whatever a call waits for, closing ends the wait with a clear error; the sent one gets its answer."""
    more, text = WAITS[cause]
    async with scripted_server() as server:
        chain = config(server, state=str(tmp_path / "state.sqlite"), **more)
        if cause == "the limit":
            server.headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "2"}
        async with one_on_the_wire(server, chain) as (client, sent):
            waiting = [asyncio.create_task(client.call(ask(text))) for _ in range(3)]
            await settle_down()
            assert not any(task.done() for task in waiting)
            closing = asyncio.create_task(client.__aexit__(None, None, None))
            await asyncio.wait(waiting)
            assert not closing.done(), "it waits for what is on the wire"
            for task in waiting:
                assert not task.cancelled()
                assert isinstance(task.exception(), ClientClosed)
                assert task.cancelling() == 0
            with pytest.raises(ClientClosed, match="closing"):
                await client.call(ask("late"))
            server.gate.set()  # type: ignore[union-attr]
            outcome = await sent
            await closing
            with pytest.raises(ClientClosed, match="closed"):
                await client.call(ask("later"))
        assert outcome.answer is not None
        assert len(server.requests) == 2
        async with LLMClient(chain) as again:
            assert (await again.call(ask("sent"))).from_journal
    snapshot = client.metrics.snapshot()
    assert (snapshot.started, snapshot.calls, snapshot.in_flight) == (2, 2, 0)


async def test_a_failed_attempt_is_not_tried_again_while_closing() -> None:
    """What is on the wire and fails is told of the closing: the next attempt would be something new."""
    async with scripted_server(
        lambda request, number: (
            error(500, "broken") if number > 1 else {"choices": [{"message": {"content": "a"}}]}
        )
    ) as server:
        async with one_on_the_wire(server, config(server)) as (client, sent):
            closing = asyncio.create_task(client.__aexit__(None, None, None))
            await settle_down()
            server.gate.set()  # type: ignore[union-attr]
            await asyncio.wait([sent, closing])
        assert isinstance(sent.exception(), ClientClosed)
        assert len(server.requests) == 2


async def test_a_stream_read_by_another_task_ends_with_the_error() -> None:
    """Whoever reads a stream of a client that somebody else closes is told, and nothing more is sent."""
    async with scripted_server() as server:
        chain = config(server, max_concurrency=2)
        async with one_on_the_wire(server, chain) as (client, sent):
            read: list[Outcome] = []

            async def reading() -> None:
                async for outcome in client.run(ask(str(number)) for number in range(100)):
                    read.append(outcome)

            reader = asyncio.create_task(reading())
            await server.asked(3)
            closing = asyncio.create_task(client.__aexit__(None, None, None))
            await settle_down()
            server.gate.set()  # type: ignore[union-attr]
            await asyncio.wait([reader, sent, closing])
        assert isinstance(reader.exception(), ClientClosed)
        assert len(server.requests) <= 4


async def test_a_caller_cancelled_by_its_own_is_cancelled() -> None:
    """Closing takes no cancellation away that somebody else wanted."""
    async with scripted_server() as server:
        async with one_on_the_wire(server, config(server, max_concurrency=1)) as (client, sent):
            waiting = asyncio.create_task(client.call(ask("another")))
            await settle_down()
            waiting.cancel()
            closing = asyncio.create_task(client.__aexit__(None, None, None))
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            server.gate.set()  # type: ignore[union-attr]
            await asyncio.wait([sent, closing])


async def test_identical_callers_that_are_cancelled_together_all_end() -> None:
    """Who waits for the same request as somebody who is cancelled too does not go on to ask it."""
    async with scripted_server() as server:
        async with one_on_the_wire(server, config(server, max_concurrency=1)) as (client, sent):
            same = [asyncio.create_task(client.call(ask("same"))) for _ in range(4)]
            await settle_down()
            for task in reversed(same):
                task.cancel()
            await asyncio.wait(same)
            assert all(task.cancelled() for task in same)
            server.gate.set()  # type: ignore[union-attr]
            await sent
            await client.__aexit__(None, None, None)
    assert len(server.requests) == 2


async def test_a_request_that_is_given_up_is_said_to_be_sent(tmp_path: Path) -> None:
    """Whoever is told that nothing was sent asks again, and pays twice."""
    async with scripted_server() as server:
        chain = config(server, state=str(tmp_path / "state.sqlite"))
        client = LLMClient(chain, drain_seconds=0.05)
        await client.__aenter__()
        await client.call(ask("the first one, which finds out about limits"))
        server.gate = asyncio.Event()
        sent = asyncio.create_task(client.call(ask("sent")))
        await server.asked(2)
        await client.__aexit__(None, None, None)
        with pytest.raises(ClientClosed, match=r"was sent.*may have been billed.*journal intents"):
            await sent


async def test_who_waits_to_try_again_is_told_what_became_of_the_first_try() -> None:
    """An answer that could not be read may have been billed, whatever became of its next attempt."""
    retry = {"first_wait_seconds": 60}

    def script(request: dict[str, Any], number: int) -> Any:
        return {} if request["messages"][0]["content"] == "unreadable" else answer()

    async with scripted_server(script) as server:
        client = LLMClient(config(server, retry=retry))
        await client.__aenter__()
        waiting = asyncio.create_task(client.call(ask("unreadable")))
        await server.asked(1)
        await settle_down()
        assert not waiting.done()
        await client.__aexit__(None, None, None)
        with pytest.raises(ClientClosed, match="was sent"):
            await waiting
        assert len(server.requests) == 1


async def test_who_shares_a_call_is_told_that_it_is_on_its_way(tmp_path: Path) -> None:
    """Whoever waits for the answer to the same request finds it in the journal, and pays nothing again."""
    async with scripted_server() as server:
        chain = config(server, state=str(tmp_path / "state.sqlite"))
        async with one_on_the_wire(server, chain) as (client, sent):
            same = asyncio.create_task(client.call(ask("sent")))
            await settle_down()
            closing = asyncio.create_task(client.__aexit__(None, None, None))
            with pytest.raises(ClientClosed, match=r"another call has sent the same.*in the journal"):
                await same
            server.gate.set()  # type: ignore[union-attr]
            await asyncio.wait([sent, closing])
        async with LLMClient(chain) as again:
            assert (await again.call(ask("sent"))).from_journal


async def test_what_may_have_been_billed_stays_open_when_its_retry_fails(tmp_path: Path) -> None:
    """The retry was surely not billed, the first attempt maybe: a person still sees it among the intents."""

    def script(request: dict[str, Any], number: int) -> Any:
        return {} if number == 1 else error(500, "broken")

    state = str(tmp_path / "state.sqlite")
    retry = {"max_attempts": 2, "first_wait_seconds": 0.001}
    async with scripted_server(script) as server:
        async with LLMClient(config(server, state=state, retry=retry)) as client:
            for text in ("maybe billed", "surely not billed"):
                assert (await client.call(ask(text))).answer is None
        assert len(server.requests) == 4
    async with open_contents(state) as contents:
        assert len(await contents.open_intents()) == 1
