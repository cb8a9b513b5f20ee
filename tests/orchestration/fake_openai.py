"""A small real server that answers like OpenAI's, and recordings to ask it about."""

from __future__ import annotations

import json
import os
import threading
import time
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PLANTED_KEY = "sk-planted-0123456789abcdef"

INSIGHT = {
    "summary": "The customer wants the money back.",
    "sentiment": {"label": "negative", "score": -0.5},
    "topics": ["refund"],
    "intent": "refund",
    "outcome": "refunded",
    "action_items": [{"owner": "agent", "what": "Send the refund", "due": None}],
    "entities": [],
    "customer_effort": 2,
    "language": "en",
    "quotes": [],
    "confidence": 0.9,
}


class FakeOpenAI:
    """Answers transcriptions and chats, counts them, and can be told to fail or to hold back answers."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.keys: set[str] = set()
        self.failures: list[tuple[int, dict[str, Any]]] = []
        self.fail_always: tuple[int, dict[str, Any]] | None = None
        self.released = threading.Event()
        self.released.set()
        self.hold_after = 0
        self.holding = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that was ended has closed its connections
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def count(self, endpoint: str) -> int:
        return sum(endpoint in path for path in self.paths)

    def answer(self, path: str, key: str, size: int) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.paths.append(path)
            self.keys.add(key)
            number = len(self.paths)
            failure = self.fail_always or (self.failures.pop(0) if self.failures else None)
        if failure:
            return failure
        if number > self.hold_after and not self.released.is_set():
            self.holding.set()
            self.released.wait(600)
        return 200, _transcription(size) if "transcriptions" in path else _chat()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


def _transcription(size: int) -> dict[str, Any]:
    """The same audio always says the same, and other audio something else."""
    return {"text": f"I want {size} dollars back.", "usage": {"type": "duration", "seconds": 6}}


def _chat() -> dict[str, Any]:
    message = {"role": "assistant", "content": json.dumps(INSIGHT), "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-6-luna",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }


def _handler(fake: FakeOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            self.rfile.read(size)
            status, body = fake.answer(self.path, self.headers.get("Authorization", ""), size)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("x-request-id", "req_1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler


def write_wav(path: Path, seconds: float, loudness: int = 1000) -> None:
    """A tone whose content depends on `loudness`, so that recordings differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        period = b"".join(
            (loudness if sample < 20 else -loudness).to_bytes(2, "little", signed=True)
            for sample in range(40)
        )
        file.writeframes(period * int(seconds * 8000 / 40))
    finished(path)


def finished(file: Path) -> None:
    """Half a minute old, so that nobody can be taken to be still writing it."""
    half_a_minute_ago = time.time() - 30
    os.utime(file, (half_a_minute_ago, half_a_minute_ago))
