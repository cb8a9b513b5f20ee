"""A client for the emulator, and a clock that only moves when it is told to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from llm_assets.emulator import Emulator


class StillClock:
    """Time stands still until somebody sleeps or sets it."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        return self.body["error"]


class Client:
    """Asks one emulator, as plainly as HTTP allows."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self._session = session

    async def chat(self, content: str = "hello", model: str = "gpt-4o", **body: Any) -> Reply:
        asked = {"model": model, "messages": [{"role": "user", "content": content}], **body}
        return await self.post("/v1/chat/completions", json=asked)

    async def transcribe(
        self, audio: bytes, file_name: str = "a.wav", model: str = "whisper-1", **fields: str
    ) -> Reply:
        form = aiohttp.FormData()
        form.add_field("model", model)
        for name, value in fields.items():
            form.add_field(name, value)
        form.add_field("file", audio, filename=file_name, content_type="application/octet-stream")
        return await self.post("/v1/audio/transcriptions", data=form)

    async def post(self, path: str, **request: Any) -> Reply:
        async with self._session.post(self.emulator.root_url + path, **request) as response:
            return Reply(response.status, response.headers, await response.text())

    async def get(self, path: str, **request: Any) -> Reply:
        async with self._session.get(self.emulator.root_url + path, **request) as response:
            return Reply(response.status, response.headers, await response.text())
