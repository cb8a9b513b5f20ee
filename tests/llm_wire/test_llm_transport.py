"""The transport: one request out, one whole answer back, or one clear error."""

from __future__ import annotations

import pickle
import socket
import traceback

import pytest
from wire_server import Upload, WireServer, cuts_off, resets, says, speaks_no_http

from llm_assets.errors import ConnectionFailed
from llm_assets.llm.http import FormFile, HttpRequest
from llm_assets.llm.transport import Transport, is_loopback

pytestmark = pytest.mark.usefixtures("way")

KEY = "sk-planted-0123456789abcdef"


def request_to(url: str, body: bytes = b"{}") -> HttpRequest:
    return HttpRequest(f"{url}/chat?secret={KEY}", {"Authorization": f"Bearer {KEY}"}, body=body)


async def test_an_answer_comes_back_whole(server: WireServer, transport: Transport):
    """Status, headers in any case and the body's bytes are what the server sent."""
    server.act = says(b"as it is", 418, {"X-Request-Id": "req_1"}, "text/plain")
    answer = await transport.send(request_to(server.url, b'{"a":1}'))
    assert (answer.status, answer.body) == (418, b"as it is")
    assert answer.headers["x-request-id"] == answer.headers["X-REQUEST-ID"] == "req_1"
    assert server.last.body == b'{"a":1}'
    assert server.last.headers["authorization"] == f"Bearer {KEY}"


async def test_a_form_arrives_field_by_field(server: WireServer, transport: Transport):
    """Repeated names, brackets in names and text of any script arrive as they were written."""
    fields = (
        ("model", "m"),
        ("languages[]", "de"),
        ("languages[]", "fr"),
        ("prompt", 'Grüße „"quoted"“ 您好'),
    )
    file = FormFile("file", "audio.ogg", b"\x00\xffOgg", "audio/ogg")
    await transport.send(HttpRequest(f"{server.url}/t", {}, fields=fields, files=(file,)))
    assert server.last.form == [*fields, ("file", Upload("audio.ogg", "audio/ogg", b"\x00\xffOgg"))]


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 5 * 2**20])
async def test_large_bodies_arrive_whole(server: WireServer, transport: Transport, size: int):
    """A body of several megabytes goes out without a warning and without losing a byte."""
    await transport.send(request_to(server.url, b"x" * size))
    assert len(server.last.body) == size


@pytest.mark.parametrize("size", [0, 2**16, 2**16 + 1, 3 * 2**20])
async def test_large_files_arrive_whole(server: WireServer, transport: Transport, size: int):
    """A file goes out in pieces, with its length told before."""
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    file = FormFile("file", "audio.ogg", content, "audio/ogg")
    await transport.send(HttpRequest(f"{server.url}/t", {}, files=(file,)))
    assert server.last.form == [("file", Upload("audio.ogg", "audio/ogg", content))]
    assert int(server.last.headers["content-length"]) > size


async def test_a_request_can_be_sent_again(server: WireServer, transport: Transport):
    """Sending uses nothing up: a retry sends the same form."""
    request = HttpRequest(f"{server.url}/t", {}, files=(FormFile("file", "a.wav", b"RIFF", "audio/wav"),))
    for _ in range(2):
        await transport.send(request)
        assert server.last.form == [("file", Upload("a.wav", "audio/wav", b"RIFF"))]


async def test_a_redirect_is_handed_back(server: WireServer, transport: Transport):
    """A redirect is an answer; following it would carry the key elsewhere."""
    server.act = says({}, 307, {"Location": "http://elsewhere.test/"})
    answer = await transport.send(request_to(server.url))
    assert answer.status == 307
    assert len(server.received) == 1


async def test_cookies_are_not_kept(server: WireServer, transport: Transport):
    """A load balancer's cookie does not bind all later calls to one machine."""
    server.act = says({}, headers={"Set-Cookie": "sticky=1"})
    await transport.send(request_to(server.url))
    await transport.send(request_to(server.url))
    assert "cookie" not in server.last.headers


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (resets, "closed the connection before answering"),
        (cuts_off, "cut off"),
        (speaks_no_http, "not HTTP"),
    ],
)
async def test_no_whole_answer_is_a_connection_failed(server: WireServer, transport: Transport, act, reason):
    """Reset, cut off or garbled: one error that names host, path and what happened."""
    server.act = act
    with pytest.raises(ConnectionFailed, match=reason) as caught:
        await transport.send(request_to(server.url))
    assert "POST 127.0.0.1" in str(caught.value)
    assert "/v1/chat" in str(caught.value)
    assert caught.value.http_status is None


async def test_a_silent_server_is_given_up(server: WireServer):
    """A server that does not begin its answer is given up after the read time-out."""

    async def waits(request):
        await server.never.wait()
        return await says({})(request)

    server.act = waits
    async with Transport(
        connect_timeout_seconds=1, read_timeout_seconds=0.05, max_connections=1
    ) as impatient:
        with pytest.raises(ConnectionFailed, match=r"silent for 0\.05 s"):
            await impatient.send(request_to(server.url))


async def test_nobody_listening_is_a_connection_failed(transport: Transport):
    """A refused connection names the host and port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(ConnectionFailed, match=rf"127\.0\.0\.1:{port}/v1/chat: no connection"):
            await transport.send(request_to(f"http://127.0.0.1:{port}/v1"))


async def test_an_invalid_address_is_a_connection_failed(transport: Transport):
    """An address without a host fails like an unreachable one."""
    with pytest.raises(ConnectionFailed, match="no valid address"):
        await transport.send(HttpRequest("http:///v1", {}))


@pytest.mark.parametrize("act", [resets, cuts_off, speaks_no_http])
async def test_no_error_shows_the_key(server: WireServer, transport: Transport, act):
    """Neither text, repr, pickle nor traceback of a failure holds the key of header or address."""
    server.act = act
    with pytest.raises(ConnectionFailed) as caught:
        await transport.send(request_to(server.url))
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(error.__cause__)
    assert KEY not in told
    assert KEY.encode() not in pickle.dumps(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_request_does_not_show_its_headers():
    """The repr of a request holds neither headers nor content, and it refuses to be pickled."""
    request = HttpRequest("http://h/v1", {"Authorization": f"Bearer {KEY}"}, body=KEY.encode())
    form = HttpRequest("http://h/v1", {}, files=(FormFile("file", "a.wav", KEY.encode(), "audio/wav"),))
    assert KEY not in repr(request) + repr(form)
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(request)


async def test_a_proxy_of_the_environment_is_used(server: WireServer, monkeypatch: pytest.MonkeyPatch):
    """HTTP_PROXY carries calls to other hosts, whose names only the proxy can resolve."""
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with Transport(connect_timeout_seconds=5, read_timeout_seconds=5, max_connections=2) as transport:
        answer = await transport.send(HttpRequest("http://far.test/v1/chat", {}, body=b"{}"))
    assert answer.status == 200
    assert server.last.headers["host"] == "far.test"


async def test_this_machine_is_asked_without_a_proxy(server: WireServer, monkeypatch: pytest.MonkeyPatch):
    """An emulator on this machine answers also behind a company's proxy."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Transport(connect_timeout_seconds=5, read_timeout_seconds=5, max_connections=2) as transport:
        assert (await transport.send(request_to(server.url))).status == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("api.localhost", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        (None, False),
    ],
)
def test_loopback_is_recognised(host: str | None, expected: bool):
    """Only names and addresses of this machine count as this machine."""
    assert is_loopback(host) is expected


async def test_sending_outside_the_context_is_a_mistake():
    """A transport that was not entered says so instead of leaking a session."""
    idle = Transport(connect_timeout_seconds=1, read_timeout_seconds=1, max_connections=1)
    with pytest.raises(RuntimeError, match="context manager"):
        await idle.send(request_to("http://127.0.0.1:1"))
