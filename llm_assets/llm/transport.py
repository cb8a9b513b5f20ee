"""One HTTP request out, one whole answer back; whatever keeps it from coming is `ConnectionFailed`.

It knows no provider and judges no status: 429 and 500 are answers like 200. Headers carry credentials, so
no error, repr or pickle made here shows them. A redirect is handed back, never followed: a POST that
moves on to another host would take the key with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict

from llm_assets.errors import NOT_SENT, TOO_MUCH_SENT, ConnectionFailed
from llm_assets.llm.bodies import LARGEST_PLAIN_BODY_BYTES, TooLarge, payload_of, read_body
from llm_assets.llm.http import HttpRequest, HttpResponse
from llm_assets.llm.plain_posts import NotUsable, PlainPosts, Prepared, is_tried, prepare
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.silence import Silence

_DNS_CACHE_SECONDS = 60
_BEFORE_SENDING = (
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.InvalidURL,
    NotUsable,
)


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


class _Open(NamedTuple):
    """What lives in one event loop, over the same connections."""

    session: aiohttp.ClientSession
    posts: PlainPosts
    silence: Silence


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
        self._open: _Open | None = None
        self._proxies: dict[str, str] = {}
        # A provider's address and headers are the same for every request.
        self._prepared = Remembered(self._prepare)
        self._headers = Remembered(CIMultiDict[str])

    async def __aenter__(self) -> Self:
        # aiohttp's own trust_env asks the environment in a thread on every request, and reads ~/.netrc,
        # which could replace the key. So the proxies are looked up here, once.
        self._proxies = getproxies()
        connector = aiohttp.TCPConnector(limit=self._max_connections, ttl_dns_cache=_DNS_CACHE_SECONDS)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._connect_timeout_seconds,
                sock_read=self._read_timeout_seconds,
            ),
        )
        silence = Silence(self._read_timeout_seconds)
        posts = PlainPosts(connector, silence, connect_timeout_seconds=self._connect_timeout_seconds)
        self._open = _Open(session, posts, silence)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        was_open, self._open = self._open, None
        if was_open is not None:
            was_open.silence.close()
            await was_open.session.close()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer, whatever its status.

        Raises ConnectionFailed when no whole answer came: refused, reset, cut off, unknown host, time-out.
        """
        if self._open is None:
            raise RuntimeError("use the transport as an async context manager")
        body = request.body
        is_plain = body is not None and len(body) <= LARGEST_PLAIN_BODY_BYTES and request.method == "POST"
        prepared = self._prepared.of(request.url, request.headers) if is_plain else None
        try:
            if prepared is not None and body is not None:
                return await self._open.posts.send(prepared, body)
            return await self._send_by_session(self._open, request)
        except TooLarge as error:
            what = f"{error} and was not read to its end"
            raise ConnectionFailed(f"{_where(request)}: {what}", code=TOO_MUCH_SENT) from None
        # ValueError: a header that cannot be sent
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise self._failure(request, error) from _harmless(error)

    async def _send_by_session(self, opened: _Open, request: HttpRequest) -> HttpResponse:
        """Whatever is no plain POST: forms, large bodies, proxies."""
        async with opened.session.request(
            request.method,
            request.url,
            headers=self._headers.of(request.headers),
            data=payload_of(request),
            allow_redirects=False,
            proxy=self._proxy_for(request.url),
        ) as response:
            body = await read_body(response.content, opened.silence)
            return HttpResponse(response.status, response.headers, body)

    def _prepare(self, url: str, headers: Mapping[str, str]) -> Prepared | None:
        return prepare(url, headers) if is_tried() and self._proxy_for(url) is None else None

    def _proxy_for(self, url: str) -> str | None:
        if not self._proxies:
            return None
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
            case NotUsable():
                return "the connection was lost before anything was sent"
            case aiohttp.ClientResponseError() | HttpProcessingError():
                return "the server answered something that is not HTTP"
            case aiohttp.InvalidURL():
                return "this is no valid address"
            case _:
                return f"the connection failed ({type(error).__name__})"


def _where(request: HttpRequest) -> str:
    parts = urlsplit(request.url)
    return f"{request.method} {parts.netloc.rpartition('@')[2]}{parts.path}"


def _plain_reason(error: OSError) -> str:
    """`Connection refused` rather than the name of the call that failed."""
    return os.strerror(error.errno) if error.errno else error.strerror or "refused"


def _harmless(error: Exception) -> Exception | None:
    """The cause to keep: these kinds carry the request's headers, its full address or what a server wrote."""
    carries = aiohttp.ClientResponseError | HttpProcessingError | aiohttp.InvalidURL
    return None if isinstance(error, carries) else error
