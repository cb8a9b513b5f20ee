"""A server that writes bytes, for what no web framework would send."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reaction = Callable[["Connection"], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Connection:
    """One connection of a client: what came over it, and how it is answered. `number` counts from 1."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: asyncio.Event
    requests: list[bytes] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """A whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.I)
        self.requests.append(head + await self.reader.readexactly(int(length[1]) if length else 0))
        self.asked.set()

    async def write(self, *parts: bytes) -> None:
        """Every part in a segment of its own."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def wait_for_end(self) -> None:
        """Until the client closes it."""
        while await self.reader.read(65_536):
            pass


@dataclass
class RawServer:
    """Lets `react` serve each connection to its end. `asked` once a whole request has come."""

    react: Reaction
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[Connection] = field(default_factory=list)

    @property
    def requests(self) -> list[bytes]:
        return [request for connection in self.connections for request in connection.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(len(self.connections) + 1, reader, writer, self.asked)
        self.connections.append(connection)
        try:
            await self.react(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            connection.is_over.set()


@asynccontextmanager
async def raw_server(react: Reaction, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    server = RawServer(react)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://localhost:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for connection in server.connections:  # since Python 3.12 a server waits for its clients to go
            connection.writer.close()
        await listening.wait_closed()


def answers(*parts: bytes) -> Reaction:
    """Every request with the same bytes, part by part."""

    async def react(connection: Connection) -> None:
        while True:
            await connection.read()
            await connection.write(*parts)

    return react
