"""One HTTP request out, one whole answer back; whatever keeps it from coming is `ConnectionFailed`.

It knows no provider and judges no status: 429 and 500 are answers like 200. Headers carry credentials, so
no error, repr or pickle made here shows them. A redirect is handed back, never followed: a POST that
moves on to another host would take the key with it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from llm_assets.errors import NOT_SENT, TOO_MUCH_SENT, ConnectionFailed
from llm_assets.llm.remembered import Remembered

# Past this size aiohttp warns that plain bytes keep the event loop busy.
_LARGEST_PLAIN_BODY_BYTES = 2**20
_PIECE_BYTES = 2**16
_DNS_CACHE_SECONDS = 60
# Far more than any answer has. What is larger never ends, or is none.
_LARGEST_ANSWER_BYTES = 16 * 2**20
_BEFORE_SENDING = (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL)


@dataclass(frozen=True, slots=True)
class FormFile:
    """One file of a multipart form. `file_name` is plain ASCII and carries the extension."""

    field: str
    file_name: str
    content: bytes = dataclasses.field(repr=False)
    content_type: str


class HttpRequest(NamedTuple):
    """A request with either a `body` or a multipart form of `files` and their accompanying `fields`.

    It carries a key in its headers, so it does not show them and refuses to be pickled.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[FormFile, ...] = ()
    method: str = "POST"

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.url!r}, files={self.files!r})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("an HttpRequest carries credentials and stays in its process")


class HttpResponse(NamedTuple):
    """A whole answer. `headers` ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpResponse(status={self.status}, {len(self.body)} bytes)"


def is_loopback(host: str | None) -> bool:
    """Whether a host name means this machine."""
    if not host:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Transport:
    """Keep-alive connections to every host that is asked; an async context manager of the loop that uses it.

    `read_timeout_seconds` is the longest silence of a server, before its answer and within it. Waiting for
    one of the `max_connections` to come free is not counted against either time-out.
    Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`, …) except for this machine itself.
    """

    def __init__(
        self,
        *,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        max_connections: int,
    ) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str] = {}
        # A provider's headers are the same for every request.
        self._headers = Remembered(CIMultiDict[str])

    async def __aenter__(self) -> Self:
        # aiohttp's own trust_env asks the environment in a thread on every request, and reads ~/.netrc,
        # which could replace the key. So the proxies are looked up here, once.
        self._proxies = getproxies()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, ttl_dns_cache=_DNS_CACHE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._connect_timeout_seconds,
                sock_read=self._read_timeout_seconds,
            ),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer, whatever its status.

        Raises ConnectionFailed when no whole answer came: refused, reset, cut off, unknown host, time-out.
        """
        if self._session is None:
            raise RuntimeError("use the transport as an async context manager")
        proxy = self._proxy_for(request.url) if self._proxies else None
        try:
            async with self._session.request(
                request.method,
                request.url,
                headers=self._headers.of(request.headers),
                data=_payload(request),
                allow_redirects=False,
                proxy=proxy,
            ) as response:
                return HttpResponse(response.status, response.headers, await _body(response))
        except _TooLarge:
            most = f"{_LARGEST_ANSWER_BYTES // 2**20} MiB"
            what = f"the answer is larger than {most} and was not read to its end"
            raise ConnectionFailed(f"{_where(request)}: {what}", code=TOO_MUCH_SENT) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a redirect to nowhere
            raise self._failure(request, error) from _harmless(error)

    def _proxy_for(self, url: str) -> str | None:
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        host = parts.hostname or ""
        if not proxy or is_loopback(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        return proxy

    def _failure(self, request: HttpRequest, error: Exception) -> ConnectionFailed:
        code = NOT_SENT if isinstance(error, _BEFORE_SENDING) else None
        return ConnectionFailed(f"{_where(request)}: {self._reason(error)}", code=code)

    def _reason(self, error: Exception) -> str:
        match error:
            case aiohttp.ConnectionTimeoutError():
                return f"no connection within {self._connect_timeout_seconds:g} s"
            case aiohttp.ServerTimeoutError() | TimeoutError():
                return f"the server was silent for {self._read_timeout_seconds:g} s"
            case aiohttp.ClientConnectorCertificateError():
                return f"the server's certificate is not trusted ({error.certificate_error})"
            case aiohttp.ClientProxyConnectionError():
                return f"no connection to the proxy ({error.strerror or 'refused'})"
            case aiohttp.ClientConnectorError():
                return f"no connection ({_plain_reason(error.os_error)})"
            case aiohttp.ClientHttpProxyError():
                return f"the proxy refused to connect (HTTP {error.status})"
            case aiohttp.ClientPayloadError():
                return "the answer was cut off"
            case aiohttp.ServerDisconnectedError():
                return "the server closed the connection before answering"
            case aiohttp.ClientResponseError():
                return "the server answered something that is not HTTP"
            case aiohttp.InvalidURL():
                return "this is no valid address"
            case _:
                return f"the connection failed ({type(error).__name__})"


class _TooLarge(Exception):
    """The body of an answer has no end."""


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of it, as long as that is bounded: a packed body may be much larger than its length says."""
    length = response.content_length
    if length is not None and "Content-Encoding" not in response.headers:
        if length > _LARGEST_ANSWER_BYTES:
            raise _TooLarge
        return await response.read()
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > _LARGEST_ANSWER_BYTES:
            raise _TooLarge
        pieces.append(piece)
    return b"".join(pieces)


def _where(request: HttpRequest) -> str:
    parts = urlsplit(request.url)
    return f"{request.method} {parts.netloc.rpartition('@')[2]}{parts.path}"


def _plain_reason(error: OSError) -> str:
    """`Connection refused` rather than the name of the call that failed."""
    return os.strerror(error.errno) if error.errno else error.strerror or "refused"


def _harmless(error: Exception) -> Exception | None:
    """The cause to keep: these two kinds carry the request's headers or its full address."""
    return None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error


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


def _payload(request: HttpRequest) -> aiohttp.FormData | aiohttp.Payload | bytes | None:
    if request.files:
        return _form(request)
    body = request.body
    return _Pieces(body) if body is not None and len(body) > _LARGEST_PLAIN_BODY_BYTES else body


def _form(request: HttpRequest) -> aiohttp.FormData:
    # Quoted field names would turn `languages[]` into `languages%5B%5D`, which servers do not know.
    form = aiohttp.FormData(quote_fields=False)
    for name, value in request.fields:
        form.add_field(name, value)
    for file in request.files:
        content = _Pieces(file.content, content_type=file.content_type)
        form.add_field(file.field, content, filename=file.file_name)
    return form
