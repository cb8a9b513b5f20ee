"""For tests of your own pipeline: a provider that answers what you say, and a clock that moves when told.

The provider is a real HTTP server on this machine that speaks as much of OpenAI's API as the pipeline
uses, so everything between your definitions and the wire is what runs in production. It costs nothing,
needs no key, and counts what it was asked.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AskedFor:
    """One request as it arrived. `body` is the JSON of a chat, empty for audio."""

    path: str
    size_bytes: int
    body: Mapping[str, Any]


class FakeProvider:
    """An OpenAI-compatible server. Use as a context manager; `base_url` is for the resource.

    `transcript` is said in every recording. `chat` is the JSON object a chat is answered with: one for
    all, or a function of the request. `fail_with(status, code)` makes the next requests fail.
    """

    def __init__(self, chat: Answer | Callable[[AskedFor], Answer], transcript: str = "Hello.") -> None:
        self.requests: list[AskedFor] = []
        self._chat, self._transcript = chat, transcript
        self._failures: list[tuple[int, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def transcriptions(self) -> int:
        """How many recordings, or parts of them, it was asked to transcribe."""
        return sum("transcriptions" in request.path for request in self.requests)

    @property
    def chats(self) -> int:
        return sum("chat" in request.path for request in self.requests)

    def fail_with(self, status: int, code: str = "", times: int = 1) -> None:
        """Answer the next `times` requests with an error, such as (429, "insufficient_quota")."""
        self._failures += [(status, code)] * times

    def answer(self, asked: AskedFor) -> tuple[int, Answer]:
        """Status and JSON for a request; what the server sends."""
        self.requests.append(asked)
        if self._failures:
            status, code = self._failures.pop(0)
            return status, {"error": {"message": code or "failed", "type": code, "param": None, "code": code}}
        if "transcriptions" in asked.path:
            return 200, {"text": self._transcript, "usage": {"type": "duration", "seconds": 1}}
        content = self._chat(asked) if callable(self._chat) else self._chat
        return 200, _completion(str(asked.body.get("model", "")), json.dumps(content))


def _completion(model: str, content: str) -> Answer:
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }


def _handler(provider: FakeProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent = _body(self)
            is_json = "json" in self.headers.get("Content-Type", "")
            body = json.loads(sent) if is_json else {}
            status, answer = provider.answer(AskedFor(self.path, len(sent), body))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: a test says what it wants to say."""

    return Handler


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    """What was sent, also in chunks."""
    if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    parts: list[bytes] = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


class FakeClock:
    """A clock for `LLMClient(clock=…)`: it stands still, sleeping moves it, and nothing is waited for."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
