"""One request under way, and answers on the wire with the headers that every one of them carries."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from llm_assets.emulator.config import EmulatorConfig
from llm_assets.emulator.quota import Quota

EMULATOR_HEADER = {"x-emulator": "llm-assets"}


class Exchange:
    """A request and what is known of its answer so far. `due_at` is the earliest moment to answer it."""

    __slots__ = ("due_at", "limit_headers", "ordinal", "quota", "request")

    def __init__(self, request: web.Request, ordinal: int, now: float) -> None:
        self.request = request
        self.ordinal = ordinal
        self.due_at = now
        self.quota: Quota | None = None
        self.limit_headers: dict[str, str] = {}

    @property
    def is_abandoned(self) -> bool:
        """The client has hung up."""
        return self.request.transport is None or self.request.transport.is_closing()

    def headers(self, config: EmulatorConfig, now: float) -> dict[str, str]:
        """What OpenAI sends beside every body, and that this is not OpenAI."""
        limits = self.limit_headers
        if config.headers == "answer" and self.quota is not None:
            limits = self.quota.headers(now)
        return {"x-request-id": f"req_emulator_{self.ordinal:08}", **EMULATOR_HEADER, **limits}


def json_response(status: int, body: object, headers: dict[str, str]) -> web.Response:
    payload: Any = json.dumps(body, ensure_ascii=False).encode()
    return web.Response(body=payload, status=status, content_type="application/json", headers=headers)
