"""A real HTTP server on loopback that answers by a script and remembers what it was asked.

Of a transcription, which is no JSON, nothing but its number is told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


def answer(text: str = "hello", **more: Any) -> dict[str, Any]:
    """The body of a good chat answer: 100 tokens in, 10 out."""
    return {
        "object": "chat.completion",
        "model": more.pop("model", "gpt-6-luna"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        **more,
    }


def error(status: int, code: str, message: str = "no", kind: str = "error") -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code}}


Reply = dict[str, Any] | tuple[int, dict[str, Any]]


@dataclass
class ScriptedServer:
    """`script` gets the parsed request and its number; it may be replaced while the server runs."""

    script: Callable[[dict[str, Any], int], Reply] = lambda request, number: answer()
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    base_url: str = ""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def asked(self, count: int) -> None:
        """Wait until `count` requests have come."""
        while len(self.requests) < count:
            self._came.clear()
            await self._came.wait()

    async def handle(self, http: web.Request) -> web.Response:
        body = await http.read()
        request = json.loads(body) if http.content_type == "application/json" else {}
        self.requests.append(request)
        self._came.set()
        reply = self.script(request, len(self.requests))
        if self.gate is not None:
            await self.gate.wait()
        status, told = reply if isinstance(reply, tuple) else (200, reply)
        headers = {"x-request-id": f"req_{len(self.requests)}", **self.headers}
        return web.json_response(told, status=status, headers=headers)


@asynccontextmanager
async def scripted_server(
    script: Callable[[dict[str, Any], int], Reply] | None = None,
) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    if script is not None:
        server.script = script
    app = web.Application()
    for endpoint in ("chat/completions", "audio/transcriptions"):
        app.router.add_post(f"/v1/{endpoint}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        if server.gate is not None:
            server.gate.set()
        await runner.cleanup()
