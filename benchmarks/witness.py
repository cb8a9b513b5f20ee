"""A provider that remembers who asked for which row, and bills every request it has read.

The emulator counts how many answers went out twice; this tells which, to whom, and when. Like a real
provider it works on and bills an answer whose asker is gone.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from random import Random
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aiohttp import web

Item = TypeVar("Item")

_CHARACTERS_PER_TOKEN = 4
# What gpt-6-luna costs, in US dollars for a token.
USD_PER_INPUT_TOKEN = Decimal("0.10") / 1_000_000
USD_PER_OUTPUT_TOKEN = Decimal("0.50") / 1_000_000


class Record(Generic[Item]):
    """What happened, in order. Others can wait until it has happened often enough."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._came = asyncio.Event()

    def add(self, item: Item) -> None:
        self.items.append(item)
        self._came.set()

    async def reached(self, count: int) -> None:
        while len(self.items) < count:
            self._came.clear()
            await self._came.wait()


class Witness:
    """An OpenAI-shaped server on loopback, an async context manager.

    A question reads `<key>: …`; the asker is the API key. The answer is `<key> for <asker>`, so whoever finds
    it in a journal knows which process paid for it.
    """

    def __init__(self, *, mean_seconds: float, seed: int = 0, completion_tokens: int = 40) -> None:
        self.asked: defaultdict[str, Record[str]] = defaultdict(Record)
        self.answered: defaultdict[str, Record[str]] = defaultdict(Record)
        self.billed_usd = Decimal(0)
        self.base_url = ""
        self._mean_seconds = mean_seconds
        self._completion_tokens = completion_tokens
        self._random = Random(seed)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asker = request.headers["Authorization"].removeprefix("Bearer ")
        text: str = json.loads(await request.read())["messages"][-1]["content"]
        key = text.partition(":")[0]
        usage = self._bill(text)
        self.asked[asker].add(key)
        await asyncio.sleep(self._random.expovariate(1 / self._mean_seconds))
        response = web.json_response(_body(f"{key} for {asker}", usage))
        with suppress(ConnectionResetError):  # the asker is gone
            await response.prepare(request)
            await response.write_eof()
        self.answered[asker].add(key)
        return response

    def _bill(self, text: str) -> tuple[int, int]:
        prompt_tokens = math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
        self.billed_usd += prompt_tokens * USD_PER_INPUT_TOKEN
        self.billed_usd += self._completion_tokens * USD_PER_OUTPUT_TOKEN
        return prompt_tokens, self._completion_tokens


def _body(text: str, usage: tuple[int, int]) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "object": "chat.completion",
        "model": "gpt-6-luna",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }
