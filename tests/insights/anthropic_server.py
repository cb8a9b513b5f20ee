"""Anthropic's messages API as far as insights need it: its rules for schemas; answers by plain rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from llm_assets.emulator.extraction.answer import json_answer, text_answer

REFUSED = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "maxItems",
    "minLength",
)
MOST_UNIONS, LARGEST_GRAMMAR = 16, 8_000


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from _nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)


def problem_of(schema: dict[str, Any]) -> str | None:
    """Why structured output refuses a schema."""
    for node in _nodes({key: value for key, value in schema.items() if key != "properties"}):
        if "$ref" in node:
            return "Recursive schemas are not supported"
    nodes = list(_nodes(schema))
    for node in nodes:
        for name in REFUSED:
            if name in node and "type" in node:
                return f"For '{node['type']}' type, property '{name}' is not supported"
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            return "For 'object' type, 'additionalProperties' must be explicitly set to false"
        if "$ref" in node:
            return "Recursive schemas are not supported"
    unions = sum("anyOf" in node or isinstance(node.get("type"), list) for node in nodes)
    if unions > MOST_UNIONS:
        return f"Schemas contains too many parameters with union types ({unions} parameters, limit: 16)"
    if len(json.dumps(schema)) > LARGEST_GRAMMAR:
        return "The compiled grammar is too large, which would cause performance issues."
    return None


class AnthropicServer:
    """What was asked, in `received`, and how: by `output_config`, by a `tool`, or in `words`."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.ways: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.received.append(body)
        turns = [("system", body.get("system", ""))]
        turns += [(turn["role"], turn["content"]) for turn in body["messages"]]
        tools = body.get("tools")
        schema = body.get("output_config", {}).get("format", {}).get("schema")
        if schema is not None and (problem := problem_of(schema)) is not None:
            error = {"type": "invalid_request_error", "message": problem}
            return web.json_response({"type": "error", "error": error}, status=400)
        content: dict[str, Any]
        if tools:
            assert body["tool_choice"] == {"type": "tool", "name": tools[0]["name"]}
            found = json.loads(json_answer(turns, tools[0]["input_schema"]))
            content = {"type": "tool_use", "id": "t", "name": tools[0]["name"], "input": found}
        else:
            text = text_answer(turns) if schema is None else json_answer(turns, schema)
            content = {"type": "text", "text": text}
        self.ways.append("tool" if tools else "words" if schema is None else "output_config")
        return web.json_response(
            {
                "id": "msg",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [content],
                "stop_reason": "tool_use" if tools else "end_turn",
                "usage": {"input_tokens": 100, "output_tokens": 50},
            }
        )


@asynccontextmanager
async def anthropic_server() -> AsyncIterator[AnthropicServer]:
    """On this machine, over HTTP."""
    server, app = AnthropicServer(), web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/messages", server.answer)
    async with TestServer(app) as running:
        server.url = str(running.make_url("/v1"))
        yield server
