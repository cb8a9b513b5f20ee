"""What might never end does end: waits for the budget, first answers, bodies without end, a lost file."""

from __future__ import annotations

import asyncio
import logging
import math
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer, answer, scripted_server

from llm_assets.errors import ConnectionFailed, RateLimited
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message
from llm_assets.llm.sizes import worst_case

LONG_ENOUGH_SECONDS = 120.0
"""What takes longer than this hangs."""


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


def config(server: ScriptedServer, **more: Any) -> ClientConfig:
    return ClientConfig.model_validate({"chat": ["gpt-6-luna"], "base_url": server.base_url, **more})


# ------------------------------------------------------------------------------- waits


WAITS: dict[str, tuple[dict[str, Any], str]] = {
    "the budget": (
        {"budget": {"tokens_per_run": worst_case(ask("x"), ModelConfig.of("gpt-6-luna"))[1] + 120}},
        "hold the rest of the budget",
    ),
    "a place": ({"max_concurrency": 1}, "no place"),
}


@pytest.mark.parametrize("cause", WAITS)
async def test_the_deadline_holds_whatever_is_waited_for(cause: str) -> None:
    """A call that waits for what another one holds ends in time, as a failure of its own row."""
    more, words = WAITS[cause]
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), scripted_server() as server:
        async with LLMClient(config(server, retry={"deadline_seconds": 1.0}, **more)) as client:
            await client.call(ask("1"))
            server.gate = asyncio.Event()
            sent = asyncio.create_task(client.call(ask("2")))
            await server.asked(2)
            assert client._services is not None
            for exchange in client._services.on_the_wire.values():
                exchange.give_up_at = math.inf  # else its own deadline lets go a moment before the other's
            waited = await client.call(ask("3"))
            server.gate.set()
            await sent
    assert isinstance(waited.error, RateLimited)
    assert words in str(waited.error)
    assert len(server.requests) == 2


@pytest.mark.parametrize("limits", [{}, {"gpt-6-luna": {"requests_per_day": 100}}], ids=["none", "a limit"])
async def test_a_first_answer_that_hangs_holds_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
) -> None:
    """The one request that finds out about the limits may never be answered: after a while another does."""
    monkeypatch.setattr("llm_assets.llm.pools.start._PROBE_AGAIN_SECONDS", 0.3)
    hangs = asyncio.Event()

    class Hanging(ScriptedServer):
        async def handle(self, http: Any) -> Any:
            reply = super().handle(http)
            if len(self.requests) == 0:
                response = await reply
                await hangs.wait()
                return response
            return await reply

    monkeypatch.setattr("scripted_server.ScriptedServer", Hanging)
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), scripted_server() as server:
        server.headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "90"}
        async with LLMClient(config(server, limits=limits)) as client:
            first = asyncio.create_task(client.call(ask("first")))
            await server.asked(1)
            others = await asyncio.gather(*(client.call(ask(str(number))) for number in range(5)))
            assert not first.done()
            hangs.set()
            await first
    assert all(outcome.answer is not None for outcome in others)


# ------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("told", [True, False], ids=["length told", "in chunks"])
async def test_a_body_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """It is an outcome, once, and counts as what it may have cost; memory stays what it was."""
    monkeypatch.setattr("llm_assets.llm.bodies._LARGEST_ANSWER_BYTES", 2**20)
    written = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        length = f"content-length: {2**34}" if told else "transfer-encoding: chunked"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\n\r\n".encode())
        piece = b" " * 65_536
        try:
            while not writer.is_closing():
                writer.write(piece if told else b"10000\r\n" + piece + b"\r\n")
                written += 1
                await writer.drain()
        except ConnectionError:
            pass

    async with (
        asyncio.timeout(LONG_ENOUGH_SECONDS),
        await asyncio.start_server(handle, "127.0.0.1") as server,
    ):
        host, port = server.sockets[0].getsockname()
        chain = ClientConfig.model_validate({"chat": ["gpt-6-luna"], "base_url": f"http://{host}:{port}/v1"})
        async with LLMClient(chain) as client:
            outcome = await client.call(ask("hi"))
    assert isinstance(outcome.error, ConnectionFailed)
    assert "not read to its end" in str(outcome.error)
    assert outcome.attempts == 1
    assert written < 10_000


# ------------------------------------------------------------------------------- the file


def delete_log(state: Path) -> None:
    for ending in ("-wal", "-shm"):
        Path(f"{state}{ending}").unlink()


@pytest.mark.parametrize("how", ["deleted", "deleted with its log", "replaced", "replaced by an empty one"])
async def test_a_state_file_that_is_deleted_loses_nothing(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was paid for before and after is in the file that lies there in the end, and it is said."""
    state = tmp_path / "state.sqlite"
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), scripted_server() as server:
        chain = config(server, state=str(state), budget={"tokens_per_run": 10_000})
        async with LLMClient(chain, run_id="r") as client:
            await client.call(ask("before"))
            if how == "replaced by an empty one":
                (tmp_path / "empty").touch()
                (tmp_path / "empty").replace(state)
            else:
                state.unlink()
            if how in ("deleted with its log", "replaced"):
                delete_log(state)
            if how == "replaced":
                async with LLMClient(chain, run_id="s") as other:
                    await other.call(ask("other"))
            with caplog.at_level(logging.WARNING):
                await client.call(ask("after"))
            assert "was deleted or replaced" in caplog.text
        asked = len(server.requests)
        async with LLMClient(chain, run_id="r") as again:
            texts = ["before", "after", *(["other"] if how == "replaced" else [])]
            outcomes = [await again.call(ask(text)) for text in texts]
            assert all(outcome.from_journal for outcome in outcomes)
        assert len(server.requests) == asked


async def test_a_state_file_deleted_at_the_last_moment_is_written_again(tmp_path: Path) -> None:
    """Closing looks once more."""
    state = tmp_path / "state.sqlite"
    async with scripted_server(lambda request, number: answer()) as server:
        async with LLMClient(config(server, state=str(state))) as client:
            await client.call(ask("before"))
            await asyncio.sleep(0.4)  # nothing is left to be written
            state.unlink()
        assert state.exists()
