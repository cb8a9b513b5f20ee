"""Every way a provider can fail, against real servers: what is tried again, what is said, what is paid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from scripted_server import answer

from llm_assets.errors import (
    BudgetExceeded,
    CallFailed,
    ConnectionFailed,
    ContextTooLong,
    CredentialsRefused,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    RequestTooLarge,
    ServerFailed,
)
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import ChatRequest, Message, Outcome

ATTEMPTS = 2
READ_TIMEOUT_SECONDS = 0.25
QUICK = {
    "max_attempts": ATTEMPTS,
    "first_wait_seconds": 0.001,
    "max_wait_seconds": 0.002,
    "read_timeout_seconds": READ_TIMEOUT_SECONDS,
    "connect_timeout_seconds": READ_TIMEOUT_SECONDS,
    "cool_down_seconds": 0.01,
}
Reaction = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What a server does once it has read a whole request."""


def says(status: int, body: str | dict[str, Any], *, cut: int = 0, **headers: str) -> Reaction:
    """An HTTP answer, as it is or `cut` by so many bytes at its end. It has a request id."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    named = {
        "content-type": "text/html" if isinstance(body, str) else "application/json",
        "content-length": str(len(content)),
        "x-request-id": "req_7f3a",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())

    async def react(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content[: len(content) - cut])
        await writer.drain()
        if cut:
            writer.close()

    return react


def fails(status: int, code: str, message: str = "Something is wrong.", **headers: str) -> Reaction:
    """A failure in OpenAI's form."""
    error = {"message": message, "type": "error", "param": None, "code": code}
    return says(status, {"error": error}, cut=0, **headers)


async def resets(writer: asyncio.StreamWriter) -> None:
    """RST instead of an answer."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    """An orderly end of the connection instead of an answer."""
    writer.close()


async def resets_while_answering(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
    await writer.drain()
    await resets(writer)


async def breaks_off_a_chunk(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{")
    await writer.drain()
    writer.close()


async def is_silent(writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing; the connection stays open."""


async def falls_silent(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
    await writer.drain()


async def speaks_something_else(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()
    writer.close()


GOOD = says(200, answer("at last"))
PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1>nginx</body></html>"
LOGIN_PAGE = "<html><body>Please sign in to the guest network</body></html>"
WITHOUT_CHOICES = {"object": "chat.completion", "model": "gpt-6-luna", "choices": []}
ERROR_WITH_200 = {"error": {"message": "upstream is down", "code": 502}}


@dataclass
class RawServer:
    """Reads whole requests and reacts by its script, which may be replaced while it runs.

    The last reaction of the script is repeated.
    """

    script: Sequence[Reaction]
    base_url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.I)
                self.asked.append(json.loads(await reader.readexactly(int(length[1]) if length else 0)))
                self.asked_at.append(asyncio.get_running_loop().time())
                await self.script[min(len(self.asked), len(self.script)) - 1](writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()

    @property
    def models(self) -> list[str]:
        return [request["model"] for request in self.asked]


@asynccontextmanager
async def raw_server(*script: Reaction) -> AsyncIterator[RawServer]:
    server = RawServer(script)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with listening:
        yield server


def config(base_url: str, *chain: Any, retry: dict[str, Any] | None = None, **more: Any) -> ClientConfig:
    models = list(chain) or ["gpt-6-luna"]
    return ClientConfig.model_validate(
        {"chat": models, "base_url": base_url, "retry": QUICK | (retry or {}), **more}
    )


def ask(text: str = "hi") -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), max_output_tokens=50)


async def call(client: LLMClient, text: str = "hi") -> Outcome:
    async with asyncio.timeout(120):
        return await client.call(ask(text))


def failure(outcome: Outcome) -> CallFailed:
    assert isinstance(outcome.error, CallFailed)
    return outcome.error


@pytest.fixture(params=["past the session", "by the session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are two ways to send a short POST, and failures are the same in both."""
    monkeypatch.setattr("llm_assets.llm.transport.is_tried", lambda: request.param == "past the session")


# ------------------------------------------------------------------------------- what waiting can mend

PASSING: dict[str, tuple[Reaction, type[CallFailed], str]] = {
    "500": (fails(500, "server_error", "The server had an error."), ServerFailed, "The server had an error"),
    "502 of a proxy": (says(502, PROXY_PAGE), ServerFailed, "Bad Gateway"),
    "503 overloaded": (fails(503, "server_is_overloaded"), Overloaded, "Something is wrong"),
    "529": (fails(529, "overloaded_error"), Overloaded, "Something is wrong"),
    "429 slow down": (fails(429, "slow_down"), Overloaded, "Something is wrong"),
    "408": (fails(408, "timeout"), ServerFailed, "Something is wrong"),
    "reset": (resets, ConnectionFailed, "the connection failed"),
    "hung up": (hangs_up, ConnectionFailed, "closed the connection before answering"),
    "reset while answering": (resets_while_answering, ConnectionFailed, "127.0.0.1"),
    "truncated": (says(200, answer(), cut=20), ConnectionFailed, "cut off"),
    "truncated chunk": (breaks_off_a_chunk, ConnectionFailed, "cut off"),
    "silent": (is_silent, ConnectionFailed, f"silent for {READ_TIMEOUT_SECONDS:g} s"),
    "silent in the middle": (falls_silent, ConnectionFailed, f"silent for {READ_TIMEOUT_SECONDS:g} s"),
    "no HTTP": (speaks_something_else, ConnectionFailed, "something that is not HTTP"),
    "no JSON": (says(200, LOGIN_PAGE), ServerFailed, "Please sign in to the guest network"),
    "no choices": (says(200, WITHOUT_CHOICES), ServerFailed, "the fields of an answer are missing"),
    "an error with 200": (says(200, ERROR_WITH_200), ServerFailed, "upstream is down"),
}
HAS_ANSWERED = set(PASSING) - {
    "reset",
    "hung up",
    "reset while answering",
    "truncated",
    "truncated chunk",
    "silent",
    "silent in the middle",
    "no HTTP",
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("what", PASSING)
async def test_what_passes_is_tried_again(what: str) -> None:
    """Once it has passed, the call is answered, and nobody needs to know but the outcome's count."""
    reaction, _, _ = PASSING[what]
    async with raw_server(reaction, GOOD) as server, LLMClient(config(server.base_url)) as client:
        outcome = await call(client)
    assert outcome.answer is not None
    assert outcome.answer.text == "at last"
    assert (outcome.attempts, outcome.rate_limited, len(server.asked)) == (2, 0, 2)
    assert server.asked[0] == server.asked[1]
    assert client.metrics.snapshot().retried == 1


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("what", PASSING)
async def test_what_stays_is_an_outcome_that_says_what_it_was(what: str) -> None:
    """After the attempts allowed: an error of its class, in words, with the name of the request."""
    reaction, kind, words = PASSING[what]
    async with raw_server(reaction) as server, LLMClient(config(server.base_url)) as client:
        outcome = await call(client)
    error = failure(outcome)
    assert type(error) is kind
    assert words in str(error)
    assert "<" not in str(error), "the page's words, not its markup"
    assert (outcome.attempts, len(server.asked)) == (ATTEMPTS, ATTEMPTS)
    if what in HAS_ANSWERED:
        assert "request req_7f3a" in str(error)
        assert outcome.request_id == "req_7f3a"
        assert outcome.http_status is not None
        assert f"HTTP {outcome.http_status}" in str(error)
    else:
        assert server.base_url.split("/")[2] in str(error), "it names the server that did not answer"
        assert outcome.request_id is None
    snapshot = client.metrics.snapshot()
    assert (snapshot.attempts, snapshot.failed) == (ATTEMPTS, 1)
    assert snapshot.failures_by_error == {kind.__name__: 1}


@pytest.mark.parametrize("what", ["500", "503 overloaded", "reset", "truncated", "silent", "no JSON"])
async def test_what_stays_makes_the_next_model_answer(what: str) -> None:
    """When the first model's attempts are used up the second is asked, and the outcome says so."""
    reaction, _, _ = PASSING[what]
    script = [reaction] * ATTEMPTS + [GOOD]
    async with raw_server(*script) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcome = await call(client)
    assert server.models == ["gpt-6.1-sol"] * ATTEMPTS + ["gpt-6-luna"]
    assert (outcome.model, outcome.attempts) == ("gpt-6-luna", ATTEMPTS + 1)
    assert outcome.fallback_reason in ("server_failed", "overloaded", "connection_failed")


@pytest.fixture
def refused_url() -> Iterator[str]:
    """An address where nobody listens, and that is given to nobody else meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}/v1"


@pytest.fixture
def unanswered_url() -> Iterator[str]:
    """An address where connections are neither taken nor refused: a queue of one place, which is taken."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            taken = stack.enter_context(socket.socket())
            taken.setblocking(False)
            taken.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("address", ["refused_url", "unanswered_url"])
async def test_no_connection_is_tried_again_and_names_the_address(
    request: pytest.FixtureRequest, address: str
) -> None:
    """A refused port, and a host that does not take the connection in time."""
    url = request.getfixturevalue(address)
    async with LLMClient(config(url)) as client:
        outcome = await call(client)
    assert type(outcome.error) is ConnectionFailed
    assert url.split("/")[2] in str(outcome.error)
    assert ("refused" if address == "refused_url" else "no connection within 0.25 s") in str(outcome.error)
    assert (outcome.attempts, outcome.http_status, outcome.request_id) == (ATTEMPTS, None, None)


# ------------------------------------------------------------------------------- refusals for want of quota


@pytest.mark.parametrize(
    ("headers", "at_least", "less_than"),
    [
        ({"retry_after_ms": "300"}, 0.3, 0.9),
        ({"retry_after": "1"}, 1.0, 1.6),
        ({"retry_after_ms": "300", "retry_after": "30"}, 0.3, 0.9),
        ({"retry_after": "Wed, 25 Nov 2026 12:00:01 GMT", "date": "Wed, 25 Nov 2026 12:00:00 GMT"}, 1.0, 1.6),
        ({"retry_after": "-5"}, 0.0, 0.6),
        ({"retry_after": "soon"}, 0.0, 0.6),
        ({}, 0.0, 0.6),
    ],
    ids=["milliseconds", "seconds", "both", "date", "the past", "nonsense", "nothing"],
)
async def test_a_refusal_for_want_of_quota_waits_as_told(
    headers: dict[str, str], at_least: float, less_than: float
) -> None:
    """Not a moment less, hardly more; it is no attempt lost, and the outcome counts refusal and wait."""
    refusal = fails(429, "rate_limit_exceeded", **headers)
    async with raw_server(refusal, GOOD) as server, LLMClient(config(server.base_url)) as client:
        outcome = await call(client)
    waited = server.asked_at[1] - server.asked_at[0]
    assert at_least <= waited < less_than
    assert outcome.wait_seconds >= at_least * 0.99
    assert (outcome.attempts, outcome.rate_limited, outcome.answer is not None) == (2, 1, True)


async def test_a_wait_may_stand_in_the_message() -> None:
    """Where no header tells, OpenAI's own words do."""
    refusal = fails(429, "rate_limit_exceeded", "Rate limit reached. Please try again in 300ms.")
    async with raw_server(refusal, GOOD) as server, LLMClient(config(server.base_url)) as client:
        await call(client)
    assert 0.3 <= server.asked_at[1] - server.asked_at[0] < 0.9


async def test_a_retry_after_of_an_hour_is_honoured_as_far_as_configured() -> None:
    """`max_retry_after_seconds` is the most a server can make a run wait."""
    refusal = fails(429, "rate_limit_exceeded", retry_after="3600")
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    dated = fails(503, "server_is_overloaded", retry_after=in_an_hour)
    async with raw_server(refusal, dated, GOOD) as server:
        few = config(server.base_url, retry={"max_retry_after_seconds": 0.3})
        async with LLMClient(few) as client:
            outcome = await call(client)
    assert outcome.answer is not None
    for earlier, later in zip(server.asked_at, server.asked_at[1:], strict=False):
        assert 0.3 <= later - earlier < 0.9


async def test_a_pause_holds_for_all_requests_to_the_model() -> None:
    """What one call was told the others need not find out: none is sent before the pause is over."""
    refusal = fails(429, "rate_limit_exceeded", retry_after_ms="500")
    async with raw_server(refusal, GOOD) as server, LLMClient(config(server.base_url)) as client:
        outcomes = await asyncio.gather(*(call(client, str(number)) for number in range(5)))
    assert all(outcome.answer is not None for outcome in outcomes)
    assert len(server.asked) == 6
    assert server.asked_at[1] - server.asked_at[0] >= 0.5


async def test_refusals_do_not_use_up_the_attempts() -> None:
    """Many more refusals than attempts allowed: the call still gets its answer."""
    refusal = fails(429, "rate_limit_exceeded", retry_after_ms="1")
    script = [refusal] * (3 * ATTEMPTS) + [GOOD]
    async with raw_server(*script) as server, LLMClient(config(server.base_url)) as client:
        outcome = await call(client)
    assert outcome.answer is not None
    assert (outcome.attempts, outcome.rate_limited) == (3 * ATTEMPTS + 1, 3 * ATTEMPTS)


# ------------------------------------------------------------------------------- what waiting cannot mend


@pytest.mark.parametrize(
    ("reaction", "kind", "words"),
    [
        (fails(400, "invalid_value", "messages is wrong"), RequestRejected, ["messages is wrong"]),
        (fails(422, "unprocessable", "no such role"), RequestRejected, ["no such role"]),
        (
            says(307, "", location="https://elsewhere.example/v1/chat/completions"),
            RequestRejected,
            ["https://elsewhere.example", "not followed", "set base_url"],
        ),
        (
            fails(429, "rate_limit_exceeded", "Request too large for gpt-6-luna: Limit 1000, Requested 9000"),
            RequestTooLarge,
            ["Limit 1000, Requested 9000"],
        ),
    ],
    ids=["400", "422", "redirect", "larger than the limit"],
)
async def test_what_stays_wrong_is_not_tried_again(
    reaction: Reaction, kind: type[CallFailed], words: list[str]
) -> None:
    """One request, and an outcome that says what is wrong, what to do about it, and which request it was."""
    async with raw_server(reaction) as server, LLMClient(config(server.base_url)) as client:
        outcome = await call(client)
    error = failure(outcome)
    assert type(error) is kind
    for each in [*words, "request req_7f3a"]:
        assert each in str(error)
    assert (outcome.attempts, len(server.asked), outcome.wait_seconds) == (1, 1, pytest.approx(0, abs=0.2))


@pytest.mark.parametrize(
    ("reaction", "kind", "words"),
    [
        (
            fails(429, "insufficient_quota", "You exceeded your current quota."),
            QuotaExhausted,
            ["no credit", "waiting does not help", "You exceeded your current quota."],
        ),
        (fails(402, "payment_required"), QuotaExhausted, ["no credit", "waiting does not help"]),
        (
            fails(401, "invalid_api_key", "Incorrect API key provided: sk-proj-1234567890abcdef."),
            CredentialsRefused,
            ["refused the credentials", "Set OPENAI_API_KEY", "Incorrect API key provided: [key]"],
        ),
        (
            fails(403, "permission_denied", "Your project may not use it."),
            CredentialsRefused,
            ["Your project may not use it.", "Set OPENAI_API_KEY"],
        ),
    ],
    ids=["429 insufficient quota", "402", "401", "403"],
)
async def test_what_no_call_can_survive_stops_the_run(
    reaction: Reaction, kind: type[CallFailed], words: list[str]
) -> None:
    """It is raised, not an outcome for every row; no other model is asked, and it says what to do."""
    async with raw_server(reaction) as server:
        chain = config(server.base_url, "gpt-6.1-sol", "gpt-6-luna", api_key="sk-proj-1234567890abcdef")
        async with LLMClient(chain) as client:
            with pytest.raises(kind) as caught:
                await call(client)
    for each in [*words, "request req_7f3a"]:
        assert each in str(caught.value)
    assert "1234567890" not in str(caught.value)
    assert server.models == ["gpt-6.1-sol"]


@pytest.mark.parametrize(
    ("reaction", "reason"),
    [
        (
            fails(400, "context_length_exceeded", "This model's maximum context length is 8 tokens."),
            "context_too_long",
        ),
        (fails(404, "model_not_found", "The model does not exist."), "request_rejected"),
    ],
    ids=["too long for the context", "no such model"],
)
async def test_what_is_wrong_with_one_model_goes_to_the_next(reaction: Reaction, reason: str) -> None:
    """Asked once, not tried again, and the next model answers."""
    async with raw_server(reaction, GOOD) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcome = await call(client)
    assert server.models == ["gpt-6.1-sol", "gpt-6-luna"]
    assert (outcome.model, outcome.fallback_reason, outcome.attempts) == ("gpt-6-luna", reason, 2)


async def test_too_long_for_every_model_says_so() -> None:
    """The outcome has the provider's words and figures."""
    too_long = fails(400, "context_length_exceeded", "This model's maximum context length is 8 tokens.")
    async with raw_server(too_long) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcome = await call(client)
    assert type(outcome.error) is ContextTooLong
    assert "maximum context length is 8 tokens" in str(outcome.error)
    assert "request req_7f3a" in str(outcome.error)
    assert outcome.attempts == 2


# ------------------------------------------------------------------------------- the deadline


@pytest.mark.parametrize("what", ["500", "reset", "silent", "429 slow down"])
async def test_the_deadline_ends_all_attempts(what: str) -> None:
    """However many attempts are left, a call ends in time, with the error it met last."""
    reaction, kind, words = PASSING[what]
    retry = {"max_attempts": 10_000, "deadline_seconds": 0.7, "first_wait_seconds": 0.01}
    loop = asyncio.get_running_loop()
    async with raw_server(reaction) as server, LLMClient(config(server.base_url, retry=retry)) as client:
        before = loop.time()
        outcome = await call(client)
        took = loop.time() - before
    assert type(outcome.error) is kind
    assert words in str(outcome.error)
    assert took < 0.7 + READ_TIMEOUT_SECONDS + 5  # a busy machine's
    assert outcome.attempts == len(server.asked) > 1


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(READ_TIMEOUT_SECONDS / 4)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("react", [drips, is_silent])
async def test_the_deadline_ends_an_answer_that_never_comes_whole(react: Reaction) -> None:
    """A server that is silent, or never done, is given up at the call's deadline, not at some heartbeat."""
    retry = {"deadline_seconds": 0.5, "read_timeout_seconds": 60}
    async with raw_server(react) as server:
        async with LLMClient(config(server.base_url, retry=retry)) as client, asyncio.timeout(10):
            outcome = await call(client)
    assert type(outcome.error) is ConnectionFailed
    assert "within the deadline" in str(outcome.error)
    assert len(server.asked) == 1


async def test_a_wait_beyond_the_deadline_is_not_waited() -> None:
    """A server that wants to be asked again in a minute is too late for a call that has less."""
    refusal = fails(429, "rate_limit_exceeded", retry_after="60")
    loop = asyncio.get_running_loop()
    async with raw_server(refusal) as server:
        async with LLMClient(config(server.base_url, retry={"deadline_seconds": 50})) as client:
            before = loop.time()
            outcome = await call(client)
            again = await call(client, "another")
            took = loop.time() - before
    assert type(outcome.error) is RateLimited
    assert "request req_7f3a" in str(outcome.error)
    assert type(again.error) is RateLimited
    assert "has no quota left for another" in str(again.error)
    assert took < 30
    assert len(server.asked) == 1


# ------------------------------------------------------------------------------- what it costs


async def most_tokens(base_url: str) -> int:
    """The worst case of `ask()`, as the budget says it when it refuses one."""
    async with LLMClient(config(base_url, budget={"tokens_per_run": 1})) as client:
        outcome = await call(client)
    return figure(r"may cost up to ([\d,]+) tokens", failure(outcome))


def figure(pattern: str, error: Exception) -> int:
    found = re.search(pattern, str(error))
    assert found is not None, str(error)
    return int(found[1].replace(",", ""))


def room_for_one(worst: int) -> dict[str, Any]:
    """A budget that bears one call at its worst case, and almost but not quite another one."""
    return {"tokens_per_run": 2 * worst - 1, "when_exceeded": "stop"}


UNBILLED = {
    "500": fails(500, "server_error"),
    "502 of a proxy": says(502, PROXY_PAGE),
    "503 overloaded": fails(503, "server_is_overloaded"),
    "429 slow down": fails(429, "slow_down"),
    "400": fails(400, "invalid_value"),
    "context": fails(400, "context_length_exceeded"),
    "an error with 200": says(200, ERROR_WITH_200),
}
MAYBE_BILLED = (
    "reset",
    "hung up",
    "reset while answering",
    "truncated",
    "truncated chunk",
    "silent",
    "silent in the middle",
    "no JSON",
    "no choices",
)


@pytest.mark.parametrize("what", UNBILLED)
async def test_a_refusal_gives_its_reservation_back(what: str) -> None:
    """What a server refused it does not bill, so the next call may spend what was held for it."""
    async with raw_server(UNBILLED[what], GOOD) as server:
        worst = await most_tokens(server.base_url)
        once = config(server.base_url, budget=room_for_one(worst), retry={"max_attempts": 1})
        async with LLMClient(once) as client:
            refused = await call(client)
            answered = await call(client, "ho")
    assert refused.error is not None
    assert answered.answer is not None
    assert client.metrics.snapshot().spent_usd == answered.cost_usd


async def test_a_refusal_for_want_of_quota_gives_its_reservation_back() -> None:
    """The same call may be tried again although the budget bears it only once."""
    refusal = fails(429, "rate_limit_exceeded", retry_after_ms="1")
    async with raw_server(*[refusal] * 5, GOOD) as server:
        worst = await most_tokens(server.base_url)
        async with LLMClient(config(server.base_url, budget=room_for_one(worst))) as client:
            outcome = await call(client)
    assert outcome.answer is not None
    assert len(server.asked) == 6


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("address", ["refused_url", "unanswered_url"])
async def test_without_a_connection_nothing_is_billed(request: pytest.FixtureRequest, address: str) -> None:
    """All attempts are made although the budget bears one, and after them it still bears one."""
    url = request.getfixturevalue(address)
    worst = await most_tokens(url)
    async with LLMClient(config(url, budget=room_for_one(worst))) as client:
        for text in ("hi", "ho"):
            outcome = await call(client, text)
            assert (type(outcome.error), outcome.attempts) == (ConnectionFailed, ATTEMPTS)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("what", MAYBE_BILLED)
async def test_what_may_have_been_billed_counts_at_its_worst_case(what: str) -> None:
    """The request was sent and the answer is lost: the next call is told what that may have cost."""
    async with raw_server(PASSING[what][0], GOOD) as server:
        worst = await most_tokens(server.base_url)
        once = config(server.base_url, budget=room_for_one(worst), retry={"max_attempts": 1})
        async with LLMClient(once) as client:
            lost = await call(client)
            assert lost.error is not None
            with pytest.raises(BudgetExceeded) as caught:
                await call(client, "ho")
    assert figure(r"has ([\d,]+) tokens spent", caught.value) == worst
    assert len(server.asked) == 1


async def test_every_attempt_that_may_have_been_billed_counts() -> None:
    """Attempts of one call add up, so trying again stops at the budget too."""
    async with raw_server(hangs_up) as server:
        worst = await most_tokens(server.base_url)
        budget = {"tokens_per_run": 2 * worst, "when_exceeded": "stop"}
        async with LLMClient(config(server.base_url, budget=budget, retry={"max_attempts": 5})) as client:
            with pytest.raises(BudgetExceeded) as caught:
                await call(client)
    assert figure(r"has ([\d,]+) tokens spent", caught.value) == 2 * worst
    assert len(server.asked) == 2
