"""Sending a short POST past aiohttp's session is the same as sending it over one, to everybody but the clock.

What is tested here happens to real connections: kept, closed, answered too early or in pieces.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import select
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from raw_server import OK, Connection, Reaction, answers, raw_server

from llm_assets.errors import ConnectionFailed
from llm_assets.llm.http import HttpRequest
from llm_assets.llm.plain_posts import PlainPosts, is_tried, prepare
from llm_assets.llm.retry import may_have_been_billed
from llm_assets.llm.silence import Silence
from llm_assets.llm.transport import Transport

pytestmark = pytest.mark.usefixtures("way")

HEADERS = {"Authorization": "Bearer sk-planted", "Content-Type": "application/json", "User-Agent": "tests"}
SHORT_SECONDS = 0.2


def narrow(read_timeout_seconds: float = 10) -> Transport:
    """One connection at a time. Where the time-out is short, nothing but silence is expected."""
    return Transport(connect_timeout_seconds=10, read_timeout_seconds=read_timeout_seconds, max_connections=1)


def post(url: str, body: bytes = b"{}", **headers: str) -> HttpRequest:
    return HttpRequest(f"{url}/chat?version=1", HEADERS | headers, body=body)


async def test_both_ways_write_the_same_request(transport: Transport, monkeypatch: pytest.MonkeyPatch):
    """Line by line what aiohttp's session writes, whichever way was taken first."""
    async with raw_server(answers(OK)) as server:
        for tried in (True, False):
            monkeypatch.setattr("llm_assets.llm.transport.is_tried", lambda tried=tried: tried)
            assert (await transport.send(post(server.url, b'{"text": "\xc3\xbc"}'))).body == b"{}"
    plain, by_session = (request.partition(b"\r\n\r\n") for request in server.requests)
    assert plain[2] == by_session[2] == b'{"text": "\xc3\xbc"}'
    assert plain[0].split(b"\r\n")[0] == b"POST /v1/chat?version=1 HTTP/1.1"
    assert sorted(plain[0].split(b"\r\n")) == sorted(by_session[0].split(b"\r\n"))


# ------------------------------------------------------------------------------- answers


PLAIN = b'{"text": "as it is"}'
PACKED = gzip.compress(PLAIN)
CHUNKED = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PLAIN[:5], PLAIN[5:]))
ANSWERS: dict[str, tuple[bytes, ...]] = {
    "at once": (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PLAIN), PLAIN),),
    "in pieces": (b"HTTP/1.1 20", b"0 OK\r\nContent-Length: %d\r\n\r\n" % len(PLAIN), PLAIN[:3], PLAIN[3:]),
    "in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED, b"0\r\n\r\n"),
    "packed": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED),
        PACKED[:9],
        PACKED[9:],
    ),
    "after a continue": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PLAIN), PLAIN),
    ),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_an_answer_is_whole_however_it_comes(transport: Transport, how: str):
    """And the connection is used again after it."""
    async with raw_server(answers(*ANSWERS[how])) as server:
        for _ in range(2):
            answer = await transport.send(post(server.url))
            assert (answer.status, answer.body) == (200, PLAIN)
    assert len(server.connections) == 1


@pytest.mark.parametrize("told", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"])
async def test_an_answer_may_end_with_its_connection(transport: Transport, told: bytes):
    """Without a length the end of the connection is the end of the answer."""

    async def react(connection: Connection) -> None:
        await connection.read()
        await connection.write(told + b"\r\n", PLAIN)

    async with raw_server(react) as server:
        for _ in range(2):
            assert (await transport.send(post(server.url))).body == PLAIN
    assert len(server.connections) == 2


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body(transport: Transport, status: bytes):
    async with raw_server(answers(b"HTTP/1.1 %b\r\n\r\n" % status)) as server:
        for _ in range(2):
            answer = await transport.send(post(server.url))
            assert (answer.status, answer.body) == (int(status[:3]), b"")
    assert len(server.connections) == 1


async def test_a_small_answer_that_unpacks_without_end_is_given_up(transport: Transport):
    """What counts is what comes out."""
    packed = gzip.compress(bytes(40 * 2**20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with raw_server(answers(head, packed)) as server:
        with pytest.raises(ConnectionFailed, match="larger than 16 MiB and was not read to its end"):
            await transport.send(post(server.url))


# ------------------------------------------------------------------------------- connections


async def test_a_connection_that_the_server_closed_is_not_used_again(transport: Transport):
    """Servers close what was idle for a while: the next request opens another one, and nobody notices."""

    async def react(connection: Connection) -> None:
        await connection.read()
        await connection.write(OK)

    async with raw_server(react) as server:
        for number in (1, 2, 3):
            assert (await transport.send(post(server.url))).status == 200
            await server.connections[number - 1].is_over.wait()
            await asyncio.sleep(0.01)  # it has come over, and is looked at
    assert len(server.connections) == 3


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="a poll does not tell")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_is_sent_to_a_server_that_has_closed_unheard(scheme: str, authority: trustme.CA):
    """All that were kept are at their end, and the event loop has not looked: a new one is opened at once."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        raw_server(answers(OK), tls=server_context(authority) if scheme == "https" else None) as server,
        aiohttp.TCPConnector(ssl=trusting) as connector,
    ):
        posts = PlainPosts(connector, Silence(10), connect_timeout_seconds=10)
        prepared = prepare(server.url, HEADERS)
        assert prepared is not None
        await asyncio.gather(*(posts.send(prepared, b"{}") for _ in range(3)))
        for connection in server.connections:
            connection.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        assert (await posts.send(prepared, b"{}")).status == 200
    assert [len(connection.requests) for connection in server.connections] == [1, 1, 1, 1]


async def test_a_new_connection_that_is_of_no_use_is_a_failure(
    way: str, transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    """Only those that were kept are passed over. Nothing can have been billed."""
    if way == "by the session":
        pytest.skip("aiohttp's session does not look")
    monkeypatch.setattr("llm_assets.llm.plain_posts.PlainPosts._is_usable", lambda *_: False)
    async with raw_server(answers(OK)) as server:
        with pytest.raises(ConnectionFailed, match="lost before anything was sent") as caught:
            await transport.send(post(server.url))
        assert not may_have_been_billed(caught.value)
    assert server.requests == []


async def test_connections_are_shared_and_limited():
    """As many as are allowed at once, whoever uses them."""
    async with (
        raw_server(answers(OK)) as server,
        Transport(connect_timeout_seconds=10, read_timeout_seconds=10, max_connections=2) as transport,
    ):
        large = HttpRequest(f"{server.url}/large", HEADERS, body=bytes(2**20 + 1))
        await asyncio.gather(*(transport.send(one) for one in [large, *[post(server.url)] * 8, large]))
    assert len(server.requests) == 10
    assert len(server.connections) == 2


async def test_what_comes_unasked_is_nobodys_answer(way: str, transport: Transport):
    """An answer too many, as to a request that took too long, is not taken for the next request's."""
    if way == "by the session":
        pytest.skip("aiohttp's session takes it")
    unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    told = asyncio.Event()

    async def react(connection: Connection) -> None:
        await connection.read()
        await connection.write(OK, unasked)
        told.set()
        await connection.wait_for_end()

    async with raw_server(react) as server:
        await transport.send(post(server.url))
        await told.wait()
        await asyncio.sleep(0.01)  # it has come over, and is looked at
        assert (await transport.send(post(server.url))).status == 200
    assert len(server.requests) == len(server.connections) == 2


async def test_a_request_that_was_answered_half_taken_is_the_last_of_its_connection():
    """What is left of it would stand before the next one."""

    async def react(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.writer.transport.pause_reading()
        await asyncio.sleep(10)

    def with_a_small_buffer(address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return made

    async with (
        raw_server(react) as server,
        aiohttp.TCPConnector(limit=1, socket_factory=with_a_small_buffer) as connector,
    ):
        posts = PlainPosts(connector, Silence(10), connect_timeout_seconds=10)
        prepared = prepare(server.url, HEADERS)
        assert prepared is not None
        for _ in range(2):
            assert (await posts.send(prepared, bytes(2**20))).status == 413
    assert len(server.connections) == 2


# ------------------------------------------------------------------------------- failures


async def closes_in_the_middle(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"{")


async def closes_in_the_head(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def closes(connection: Connection) -> None:
    await connection.read()


async def is_silent(connection: Connection) -> None:
    await connection.read()
    await connection.wait_for_end()


async def falls_silent(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"{")
    await connection.wait_for_end()


async def greets(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"220 mail.example.com ESMTP\r\n")
    await connection.wait_for_end()


async def breaks_a_chunk(connection: Connection) -> None:
    await connection.read()
    await connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n{}\r\n")
    await connection.wait_for_end()


async def breaks_what_is_packed(connection: Connection) -> None:
    await connection.read()
    await connection.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n", b"no packing"
    )
    await connection.wait_for_end()


FAILURES: dict[str, tuple[Reaction, str]] = {
    "closed": (closes, "the server closed the connection before answering"),
    "closed in the head": (closes_in_the_head, "the server closed the connection before answering"),
    "closed in the middle": (closes_in_the_middle, "the answer was cut off"),
    "silent": (is_silent, "the server was silent for 0.2 s"),
    "silent in the middle": (falls_silent, "the server was silent for 0.2 s"),
    "no HTTP": (greets, "the server answered something that is not HTTP"),
    "no chunk": (breaks_a_chunk, "the server was silent for 0.2 s"),  # aiohttp does not tell
    "not packed": (breaks_what_is_packed, "the answer was cut off"),
}


@pytest.mark.parametrize("how", FAILURES)
async def test_a_failure_says_the_same_in_both_ways(how: str):
    """It may have been billed, its connection is closed, and there is room for the next request."""
    react, reason = FAILURES[how]
    async with raw_server(react) as server, narrow(SHORT_SECONDS if "silent" in reason else 10) as transport:
        for number in (1, 2):
            async with asyncio.timeout(20):
                with pytest.raises(ConnectionFailed, match=f"POST localhost.*: {reason}") as caught:
                    await transport.send(post(server.url))
                await server.connections[number - 1].is_over.wait()
            assert may_have_been_billed(caught.value)
            assert "sk-planted" not in repr(caught.value.__cause__)


async def test_an_answer_that_drips_is_waited_for():
    """Only silence counts: an answer may take longer than a server may be silent."""

    async def react(connection: Connection) -> None:
        await connection.read()
        await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.2)
            await connection.write(b"x")

    async with raw_server(react) as server, narrow(read_timeout_seconds=2) as transport:
        assert (await transport.send(post(server.url))).body == b"x" * 12


async def test_a_cancelled_request_closes_its_connection():
    """Its answer would be taken for the next one's. The place it had is free."""

    async def react(connection: Connection) -> None:
        await connection.read()
        if connection.number > 1:
            await connection.write(OK)
        await connection.wait_for_end()

    async with raw_server(react) as server, narrow() as transport:
        sent = asyncio.create_task(transport.send(post(server.url)))
        await server.asked.wait()
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent
        await server.connections[0].is_over.wait()
        assert (await transport.send(post(server.url))).status == 200


async def test_leaving_ends_what_is_on_its_way():
    """Nobody waits for a connection that is no more."""
    async with raw_server(is_silent) as server:
        async with narrow(read_timeout_seconds=600) as transport:
            sent = asyncio.create_task(transport.send(post(server.url)))
            await server.asked.wait()
        with pytest.raises(ConnectionFailed):
            await sent


@pytest.mark.parametrize("value", ["sk\r\nX-Other: 1", "sk\nX-Other: 1", "sk\rX-Other: 1"])
async def test_a_header_cannot_add_another(transport: Transport, value: str):
    """A line break in a value is refused, and the value is not shown."""
    async with raw_server(answers(OK)) as server:
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(post(server.url, Authorization=value))
    assert server.requests == []
    assert "X-Other" not in str(caught.value)


@pytest.mark.parametrize("url", ["http:///v1", "/v1", "ftp://localhost/v1", "http://a b/"])
async def test_what_cannot_be_an_address_is_said(transport: Transport, url: str):
    """In the same words, and it cannot have been billed."""
    with pytest.raises(ConnectionFailed):
        await transport.send(HttpRequest(url, HEADERS, body=b"{}"))


# ------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_certificate_that_nobody_knows_is_refused(transport: Transport, authority: trustme.CA):
    """Before anything is sent."""
    async with raw_server(answers(OK), tls=server_context(authority)) as server:
        with pytest.raises(ConnectionFailed, match="certificate is not trusted") as caught:
            await transport.send(post(server.url))
    assert not may_have_been_billed(caught.value)
    assert server.requests == []


SENDS_TWICE = """
import asyncio, sys
from llm_assets.llm import transport
from llm_assets.llm.http import HttpRequest

async def main():
    request = HttpRequest(sys.argv[1] + "/chat", {}, body=b"{}" * 10_000)
    if sys.argv[2] == "by the session":
        transport.is_tried = lambda: False
    async with transport.Transport(
        connect_timeout_seconds=10, read_timeout_seconds=10, max_connections=1
    ) as one:
        for _ in range(2):
            print((await one.send(request)).body.decode())

asyncio.run(main())
"""


async def test_a_company_s_own_authority_is_trusted(way: str, tmp_path: Path, authority: trustme.CA):
    """By SSL_CERT_FILE, as OpenSSL has it. TLS connections are used again as well."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    async with raw_server(answers(OK), tls=server_context(authority)) as server:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SENDS_TWICE,
            server.url,
            way,
            env=os.environ | {"SSL_CERT_FILE": str(tmp_path / "authority.pem")},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await child.communicate()
    assert said.decode().split() == ["{}", "{}"]
    assert len(server.connections) == 1


# ------------------------------------------------------------------------------- which way


async def test_this_aiohttp_is_one_it_was_tried_with():
    """Where this fails a newer one has come: if all tests here pass with it, it is added to the list."""
    assert is_tried(), aiohttp.__version__


@pytest.mark.parametrize(
    "url", ["http://user:secret@localhost/v1", "ftp://localhost/v1", "http:///v1", "http://[::1/v1"]
)
async def test_what_is_not_plain_is_left_to_the_session(url: str):
    assert prepare(url, HEADERS) is None


async def test_what_is_prepared_does_not_show_the_key():
    prepared = prepare("http://localhost/v1", HEADERS)
    assert b"sk-planted" in (prepared.head if prepared else b"")
    assert "sk-planted" not in repr(prepared)
