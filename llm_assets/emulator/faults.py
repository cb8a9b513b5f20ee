"""What goes wrong on purpose, and how it looks on the wire."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from aiohttp import web

from llm_assets.emulator.error_answer import ErrorAnswer

# Whole answers that are of no use: the endpoint makes them, they are billed and served.
ANSWERED = frozenset({"refusal", "content_filter", "invalid_output"})
# An answer was made and paid for, but does not arrive whole.
BROKEN = frozenset({"truncated", "invalid_json"})

_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_NO_LINGER = struct.pack("ii", 1, 0)  # close with RST


def fault_error(fault: str) -> ErrorAnswer | None:
    """The faults that OpenAI has an error body for."""
    if fault == "server_error":
        message = "The server had an error while processing your request. Sorry about that!"
        return ErrorAnswer(500, message, "server_error")
    if fault == "overloaded":
        message = "The engine is currently overloaded, please try again later."
        return ErrorAnswer(503, message, "server_error", "server_is_overloaded")
    if fault == "slow_down":
        message = "You are sending requests too quickly. Please slow down and try again later."
        return ErrorAnswer(429, message, "requests", "slow_down")
    if fault == "unauthorized":
        return ErrorAnswer(401, "Incorrect API key provided.", code="invalid_api_key")
    return None


async def broken_response(
    fault: str, body: dict[str, Any], request: web.Request, headers: dict[str, str]
) -> web.StreamResponse:
    """An answer that is none: `reset`, `truncated`, `invalid_json` or `html`."""
    payload = json.dumps(body).encode()
    if fault == "html":
        return web.Response(text=_PAGE, status=502, content_type="text/html", headers=headers)
    if fault == "invalid_json":
        half = payload[: len(payload) // 2]
        return web.Response(body=half, content_type="application/json", headers=headers)
    response = web.StreamResponse(headers=headers)
    if fault == "truncated":
        response.content_type = "application/json"
        response.content_length = len(payload)
        await response.prepare(request)
        await response.write(payload[: len(payload) // 2])
        if request.transport is not None:
            request.transport.close()
    elif request.transport is not None:
        connection: socket.socket | None = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        request.transport.abort()
    return response
