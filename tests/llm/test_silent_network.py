"""A network, or a proxy, that keeps connections open and passes nothing on: calls end, and closing too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from llm_assets.errors import StateUnavailable
from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.databases.sql import SqlDatabase
from llm_assets.llm.state import State

LONG_ENOUGH_SECONDS = 120.0
"""What takes longer than this hangs."""


@dataclass
class Proxy:
    """Stands between clients and a server on a Unix socket; while `silent`, nothing goes through."""

    to: str
    silent: bool = False
    port: int = 0
    taken: int = 0
    _pipes: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        up_reader, up_writer = await asyncio.open_unix_connection(self.to)
        both = {
            asyncio.create_task(self._pass_on(reader, up_writer)),
            asyncio.create_task(self._pass_on(up_reader, writer)),
        }
        with suppress(ConnectionError):
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for pipe in both:
            pipe.cancel()
        await asyncio.wait(both)
        for end in (writer, up_writer):
            end.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            while self.silent:  # noqa: ASYNC110 - a plain flag is easier to read
                await asyncio.sleep(0.01)
            writer.write(piece)


@asynccontextmanager
async def proxied(postgres_url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in front of the server, and the URL that leads through it."""
    parts = urlsplit(postgres_url)
    folder = parse_qs(parts.query)["host"][0]
    proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield proxy, f"postgresql://{parts.username}@127.0.0.1:{port}/postgres"
        proxy.silent = False


def ask(transaction: Transaction) -> float:
    return transaction.now()


async def test_a_silent_network_is_hung_up_on_and_the_work_goes_on(postgres_url: str) -> None:
    """A transaction that hears nothing is tried again on a new connection, and is done once all is well."""
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), proxied(postgres_url) as (proxy, url):
        async with State(SqlDatabase(url, answer_seconds=0.5)) as state:
            await state.run(ask)
            proxy.silent = True
            waiting = asyncio.create_task(state.run(ask))
            while proxy.taken < 2:  # noqa: ASYNC110 - until it has hung up and come back
                await asyncio.sleep(0.01)
            assert not waiting.done()
            proxy.silent = False
            await waiting


async def test_past_the_patience_it_is_one_clear_error(postgres_url: str) -> None:
    """The thread that waits for the driver comes back, and so does the caller, with the reason."""
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), proxied(postgres_url) as (proxy, url):
        async with State(SqlDatabase(url, answer_seconds=0.5), patience_seconds=0.5) as state:
            await state.run(ask)
            proxy.silent = True
            with pytest.raises(StateUnavailable, match="cannot be used"):
                await state.run(ask)


async def test_opening_through_a_silent_network_ends(postgres_url: str) -> None:
    """Neither the first word to the server nor the first question is waited for without end."""
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), proxied(postgres_url) as (proxy, url):
        proxy.silent = True
        state = State(SqlDatabase(f"{url}?connect_timeout=2", answer_seconds=0.5), patience_seconds=0.1)
        with pytest.raises(StateUnavailable, match="cannot be opened"):
            await state.__aenter__()


async def test_closing_can_be_interrupted(postgres_url: str) -> None:
    """Ctrl-C while a thread waits for a server that says nothing: nobody waits for that thread."""
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), proxied(postgres_url) as (proxy, url):
        state = State(SqlDatabase(url, answer_seconds=60))
        await state.__aenter__()
        proxy.silent = True
        waiting = asyncio.create_task(state.run(ask))
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(state.__aexit__(None, None, None))
        await asyncio.sleep(0.1)
        assert not closing.done()
        before = time.monotonic()
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert time.monotonic() - before < 20
        proxy.silent = False
        await waiting


async def test_closing_is_bounded(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server that says nothing does not keep a program from ending, and the log says what that may cost."""
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), proxied(postgres_url) as (proxy, url):
        state = State(SqlDatabase(url, answer_seconds=60))
        state._end_within_seconds = 0.3
        await state.__aenter__()
        proxy.silent = True
        waiting: asyncio.Task[Any] = asyncio.create_task(state.run(ask))
        await asyncio.sleep(0.1)
        await state.__aexit__(None, None, None)
        assert "did not answer" in caplog.text
        proxy.silent = False
        await waiting


async def test_opening_waits_for_a_server_that_comes(postgres_url: str) -> None:
    """Opening is as patient as running: a server that is late is waited for."""
    async with asyncio.timeout(LONG_ENOUGH_SECONDS), proxied(postgres_url) as (proxy, url):
        to, proxy.to = proxy.to, "/nowhere"
        opening = asyncio.create_task(State(SqlDatabase(url)).__aenter__())
        await asyncio.wait([opening], timeout=1)
        assert not opening.done()
        proxy.to = to
        state = await opening
        await state.run(ask)
        await state.__aexit__(None, None, None)
