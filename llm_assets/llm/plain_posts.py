"""Short POSTs on aiohttp's connections, without the session that stands above them.

Nearly every call is one: a few kilobytes to an address that was asked a moment ago. What a session can do
besides (redirects, cookies, forms, middleware) takes as long as all the rest. Here its connector opens, keeps
and reuses the connections, and its parser reads the answers; the head, which is the same for all requests to
an address, is written once.

The connector is documented. How a connection is given its parser is not, and has been the same since
aiohttp 3.10. So this is done with the versions it was tried with, and with any other the session does it all.
"""

from __future__ import annotations

import asyncio
import select
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from llm_assets.llm.bodies import read_body
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.silence import Silence

_TRIED = {f"3.{minor}" for minor in range(10, 15)}
# Where a poll tells that the other side has closed. What else comes over TLS may be of TLS itself.
_CLOSED_BY_THE_SERVER = getattr(select, "POLLRDHUP", 0)
_NEVER_IN_A_HEAD = frozenset("\r\n\0")


Poll = Callable[[float], list[tuple[int, int]]]
"""Given for how many milliseconds to wait: what the system has to say of a connection."""


class NotUsable(aiohttp.ClientConnectionError):
    """The connection that was to be used is closed, or something unasked came over it. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What POSTs to one address have in common: whom to connect to, and the head but for the length.

    The head carries the key, so it is not shown.
    """

    target: aiohttp.ClientRequest = field(repr=False)
    head: bytes = field(repr=False)


class _Target(aiohttp.ClientRequest):
    """Whom to connect to. By which of the connections that is, is asked of it with every request."""

    @cached_property
    def connection_key(self) -> ConnectionKey:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().connection_key


def is_tried() -> bool:
    """Whether this version of aiohttp is one that `PlainPosts` was tried with."""
    return ".".join(aiohttp.__version__.split(".")[:2]) in _TRIED


def prepare(url: str, headers: Mapping[str, str]) -> Prepared | None:
    """None for what a session has to do, or to refuse in its own words."""
    try:
        address = URL(url)
        if address.scheme not in ("http", "https") or address.user or address.password:
            return None
        target = _Target("POST", address, headers=headers, data=b"")
    except ValueError:
        return None
    named = (f"{name}: {value}" for name, value in target.headers.items() if name.lower() != "content-length")
    lines = (f"POST {address.raw_path_qs} HTTP/1.1", *named, "Content-Length: ")
    if any(not _NEVER_IN_A_HEAD.isdisjoint(line) for line in lines):
        return None
    return Prepared(target, "\r\n".join(lines).encode())


class PlainPosts:
    """POSTs of a small body over the connections of `connector`, whose owner closes it.

    `send` raises what a session would: aiohttp's ClientError and HttpProcessingError, and TooLarge.
    """

    def __init__(
        self, connector: aiohttp.BaseConnector, silence: Silence, *, connect_timeout_seconds: float
    ) -> None:
        self._connector = connector
        self._silence = silence
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_seconds)
        # Of each connection, for as long as it is open: to make a poll takes longer than to ask it.
        self._polls = weakref.WeakKeyDictionary[ResponseHandler, Poll]()

    async def send(self, prepared: Prepared, body: bytes) -> HttpResponse:
        """Send and wait for the whole answer. Whatever ends this early closes the connection."""
        connection = await self._usable(prepared.target)
        try:
            response = await self._exchange(connection, b"%b%d\r\n\r\n%b" % (prepared.head, len(body), body))
        except BaseException:
            connection.close()
            raise
        connection.release()
        return response

    async def _usable(self, target: aiohttp.ClientRequest) -> aiohttp.connector.Connection:
        """One that was kept, or a new one where those that were kept are of no use any more."""
        while True:
            connection = await self._connect(target)
            protocol = connection.protocol
            poll = None if protocol is None else self._polls.get(protocol)
            if self._is_usable(connection, poll):
                return connection
            connection.close()
            if poll is None:  # it was a new one
                raise NotUsable

    async def _connect(self, target: aiohttp.ClientRequest) -> aiohttp.connector.Connection:
        try:
            return await self._connector.connect(target, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from error

    async def _exchange(self, connection: aiohttp.connector.Connection, request: bytes) -> HttpResponse:
        protocol, transport = connection.protocol, connection.transport
        assert protocol is not None  # for it is usable
        assert transport is not None
        protocol.set_response_params(read_until_eof=True)
        transport.write(request)
        self._silence.expect(protocol)
        try:
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # the answer is still to come
                self._silence.expect(protocol)
                message, content = await protocol.read()
        finally:
            self._silence.forget(protocol)
        body = await read_body(content, self._silence)
        if transport.get_write_buffer_size():  # answered before all of the request was taken
            connection.close()
        return HttpResponse(message.code, message.headers, body)

    def _is_usable(self, connection: aiohttp.connector.Connection, poll: Poll | None) -> bool:
        """Whether a request can be written to it. What was sent to a server that has closed may count as
        paid."""
        protocol, transport = connection.protocol, connection.transport
        # What comes unasked would be taken for the answer.
        if protocol is None or transport is None or transport.is_closing() or protocol.should_close:
            return False
        if poll is None:
            poll = self._polls[protocol] = _poll_of(transport)
        return not poll(0)


def _poll_of(transport: asyncio.Transport) -> Poll:
    """Whether the server has closed: the system hears of it before the event loop does, which may have much
    else to do."""
    if not hasattr(select, "poll"):
        return _nothing_is_heard
    end = select.poll()
    end.register(transport.get_extra_info("socket").fileno(), _CLOSED_BY_THE_SERVER)
    return end.poll


def _nothing_is_heard(milliseconds: float) -> list[tuple[int, int]]:
    return []
