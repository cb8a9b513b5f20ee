"""The local server and a transport, for every test of the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from wire_server import WireServer

from llm_assets.llm.transport import Transport

WAYS = ["past the session", "by the session"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test that uses this sends short POSTs in both ways there are."""
    monkeypatch.setattr("llm_assets.llm.transport.is_tried", lambda: request.param == WAYS[0])
    return request.param


@pytest.fixture
async def server() -> AsyncIterator[WireServer]:
    server = WireServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Time-outs that no test reaches."""
    async with Transport(connect_timeout_seconds=10, read_timeout_seconds=10, max_connections=8) as transport:
        yield transport
