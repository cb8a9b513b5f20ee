"""A real HTTP server on this machine that does to a request whatever a test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Act = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Upload:
    """One file of a form."""

    file_name: str
    content_type: str
    content: bytes


@dataclass
class Received:
    """One request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes
    form: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WireServer:
    """Answers with `act`, keeps what it received, and lets go of those who wait when it is closed."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.act: Act = says({})
        self.never = asyncio.Event()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)

    async def start(self) -> None:
        await self._server.start_server()

    async def close(self) -> None:
        self.never.set()
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("/v1"))

    @property
    def last(self) -> Received:
        return self.received[-1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        is_form = request.content_type.startswith("multipart")
        form = [(name, _plain(value)) for name, value in (await request.post()).items()] if is_form else []
        body = b"" if is_form else await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.raw_path, headers, body, form))
        return await self.act(request)


def _plain(value: Any) -> Any:
    if isinstance(value, web.FileField):
        return Upload(value.filename, value.content_type, value.file.read())
    return value


def says(
    body: Any,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> Act:
    """Answer with a body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def act(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, headers=headers, content_type=content_type)

    return act


async def resets(request: web.Request) -> web.StreamResponse:
    """Cut the connection before a byte of the answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cuts_off(request: web.Request) -> web.StreamResponse:
    """Promise more body than is sent."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"text": "half an ans')
    assert request.transport is not None
    request.transport.close()
    return response


async def speaks_no_http(request: web.Request) -> web.StreamResponse:
    """Send bytes that are no HTTP answer."""
    assert isinstance(request.transport, asyncio.WriteTransport)
    request.transport.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    request.transport.close()
    return web.Response()
