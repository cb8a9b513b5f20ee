"""What goes out in a body, as aiohttp takes it, and what comes back in one, as long as it has an end."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from llm_assets.llm.http import HttpRequest
from llm_assets.llm.silence import Silence

# Past this size aiohttp warns that plain bytes keep the event loop busy.
LARGEST_PLAIN_BODY_BYTES = 2**20
# Far more than any answer has. What is larger never ends, or is none.
_LARGEST_ANSWER_BYTES = 16 * 2**20
_PIECE_BYTES = 2**16


class TooLarge(Exception):
    """The body of an answer, which perhaps has no end."""


async def read_body(content: aiohttp.StreamReader, silence: Silence) -> bytes:
    """All of it, as long as the server is not silent for too long. Raises TooLarge.

    What counts is what comes: a packed body may be much larger than its length says.
    """
    if content.is_eof():  # all of it came with the head, as most do
        body = content.read_nowait()
        _require_bounded(len(body))
        return body
    pieces: list[bytes] = []
    size = 0
    try:
        while not content.at_eof():
            if not content.is_eof():
                silence.expect(content)
            piece = await content.readany()
            size += len(piece)
            _require_bounded(size)
            pieces.append(piece)
    finally:
        silence.forget(content)
    return b"".join(pieces)


def _require_bounded(size: int) -> None:
    if size > _LARGEST_ANSWER_BYTES:
        raise TooLarge(f"the answer is larger than {_LARGEST_ANSWER_BYTES // 2**20} MiB")


def payload_of(request: HttpRequest) -> aiohttp.FormData | aiohttp.Payload | bytes | None:
    """The body or form of a request, as aiohttp's session takes it."""
    if request.files:
        return _form(request)
    body = request.body
    return _Pieces(body) if body is not None and len(body) > LARGEST_PLAIN_BODY_BYTES else body


def _form(request: HttpRequest) -> aiohttp.FormData:
    # Quoted field names would turn `languages[]` into `languages%5B%5D`, which servers do not know.
    form = aiohttp.FormData(quote_fields=False)
    for name, value in request.fields:
        form.add_field(name, value)
    for file in request.files:
        content = _Pieces(file.content, content_type=file.content_type)
        form.add_field(file.field, content, filename=file.file_name)
    return form


class _Pieces(aiohttp.Payload):
    """Bytes sent piece by piece, as the connection takes them.

    aiohttp reads a stream in threads, a thread for each piece of each request: with many large files on
    their way that costs time, and the threads' heaps keep tens of megabytes.
    """

    def __init__(self, content: bytes, **facts: Any) -> None:
        super().__init__(content, **facts)
        self._content = content
        self._size = len(content)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a file is not shown as text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        view = memoryview(self._content)
        for start in range(0, len(view), _PIECE_BYTES):
            await writer.write(view[start : start + _PIECE_BYTES])

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Its length is what it says, so there is nothing to cut."""
        await self.write(writer)
