"""Every class of failure is told from the response, over a real connection, and none shows the key."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from wire_server import WireServer, says

from llm_assets.errors import (
    CallFailed,
    ContextTooLong,
    CredentialsRefused,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    RequestTooLarge,
    RunStopped,
    ServerFailed,
)
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.anthropic import AnthropicProvider
from llm_assets.llm.providers.failures import _SECRETS, _TRACE_OF_A_SECRET, Failures
from llm_assets.llm.providers.openai import OpenAIProvider
from llm_assets.llm.requests import ChatRequest, Message
from llm_assets.llm.transport import Transport

KEY = "sk-planted-0123456789abcdef"
ASKED = ChatRequest(messages=(Message("user", "hello"),))
MODEL = ModelConfig(model="m")


def error(message: str, kind: str | None = None, code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


async def failure(server: WireServer, transport: Transport, provider: Any = OpenAIProvider) -> CallFailed:
    asked = provider(SecretStr(KEY), server.url)
    response = await transport.send(asked.build(ASKED, MODEL))
    with pytest.raises(CallFailed) as caught:
        asked.parse(ASKED, MODEL, response)
    return caught.value


RATE = (
    "Rate limit reached for m in organization org-x on tokens per min (TPM): "
    "Limit 200000, Used 198469, Requested 7607. Please try again in 1.822s."
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error(RATE, "tokens", "rate_limit_exceeded"), RateLimited),
        (429, error("Too many requests", "requests", "rate_limit_exceeded"), RateLimited),
        (429, b"", RateLimited),
        (
            429,
            error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            QuotaExhausted,
        ),
        (429, error("No credits", "insufficient_quota", "credit_balance_exhausted"), QuotaExhausted),
        (429, error("Project limit", "insufficient_quota", "project_spend_limit_exceeded"), QuotaExhausted),
        (429, error("Org limit", None, "organization_spend_limit_exceeded"), QuotaExhausted),
        (429, error("Org limit", None, "organization_usage_limit_exceeded"), QuotaExhausted),
        (402, error("Insufficient Balance"), QuotaExhausted),
        (
            429,
            error(
                "Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000.",
                "tokens",
                "rate_limit_exceeded",
            ),
            RequestTooLarge,
        ),
        (413, error("Request too large for model `m`", "tokens", "rate_limit_exceeded"), RequestTooLarge),
        (429, error("Slow down", "rate_limit_error", "slow_down"), Overloaded),
        (429, error("Resource Unavailable", "resource_unavailable"), Overloaded),
        (
            503,
            error("The server is overloaded", "service_unavailable_error", "server_is_overloaded"),
            Overloaded,
        ),
        (503, error("Slow down", "service_unavailable_error", "slow_down"), Overloaded),
        (529, b"", Overloaded),
        (503, b"<html><body>Service Unavailable</body></html>", ServerFailed),
        (500, error("The server had an error", "server_error"), ServerFailed),
        (502, b"<html>Bad gateway</html>", ServerFailed),
        (504, b"", ServerFailed),
        (408, b"", ServerFailed),
        (409, error("Conflict"), ServerFailed),
        (
            401,
            error(
                "Incorrect API key provided: sk-plan*****cdef.", "invalid_request_error", "invalid_api_key"
            ),
            CredentialsRefused,
        ),
        (
            403,
            error("Country not supported", "request_forbidden", "unsupported_country_region_territory"),
            RequestRejected,
        ),
        (403, error("Blocked by policy: api key in text", None, "content_policy_violation"), RequestRejected),
        (403, error("Your input was flagged", None, 403), RequestRejected),
        (403, error("Not for this prompt", "content_filter"), RequestRejected),
        (403, b"<html>Request blocked</html>", RequestRejected),
        (403, {"detail": "Not authenticated"}, CredentialsRefused),
        (403, error("Forbidden: this API key is disabled", "forbidden"), CredentialsRefused),
        (403, error("no", "invalid_request_error", "insufficient_permissions"), CredentialsRefused),
        (
            400,
            error('messages[0]: "your credit balance is too low" is no valid text', "invalid_request_error"),
            RequestRejected,
        ),
        (400, error("Your credit balance is too low, he said", None, "invalid_value"), RequestRejected),
        (
            400,
            error("This model's maximum context length is 128000 tokens.", None, "context_length_exceeded"),
            ContextTooLong,
        ),
        (
            400,
            {"object": "error", "message": "This model's maximum context length is 4096 tokens", "code": 400},
            ContextTooLong,
        ),
        (400, error("Invalid schema for response_format", "invalid_request_error"), RequestRejected),
        (400, error("Filtered", None, "content_filter"), RequestRejected),
        (
            404,
            error("The model `m` does not exist", "invalid_request_error", "model_not_found"),
            RequestRejected,
        ),
        (404, b"404 page not found", RequestRejected),
        (413, error("Maximum content size limit (26214400) exceeded"), RequestRejected),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, RequestRejected),
        (307, b"", RequestRejected),
        (200, error("Provider returned error", None, 429), RateLimited),
        (200, error("Something broke"), ServerFailed),
    ],
)
async def test_each_failure_has_its_class(
    server: WireServer, transport: Transport, status: int, body: Any, kind: type[CallFailed]
):
    """Status, type, code and message together decide; 429 alone can mean four things."""
    server.act = says(body, status)
    assert type(await failure(server, transport)) is kind


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (429, "rate_limit_error", "This request would exceed your rate limit", RateLimited),
        (529, "overloaded_error", "Overloaded", Overloaded),
        (500, "api_error", "Internal server error", ServerFailed),
        (401, "authentication_error", "invalid x-api-key", CredentialsRefused),
        (403, "permission_error", "not allowed", CredentialsRefused),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextTooLong),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            ContextTooLong,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            QuotaExhausted,
        ),
        (400, "invalid_request_error", "You have reached your specified API usage limits.", QuotaExhausted),
        (402, "billing_error", "Payment required", QuotaExhausted),
        (404, "not_found_error", "model: m", RequestRejected),
        (413, "request_too_large", "Request exceeds the maximum allowed number of bytes.", RequestRejected),
    ],
)
async def test_anthropics_failures_have_the_same_classes(
    server: WireServer, transport: Transport, status: int, kind: str, message: str, expected: type[CallFailed]
):
    """The other provider's error types come out as the same failures."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_9"}
    server.act = says(body, status, {"request-id": "req_9"})
    told = await failure(server, transport, AnthropicProvider)
    assert type(told) is expected
    assert (told.code, told.request_id) == (kind, "req_9")


async def test_a_failure_carries_its_facts(server: WireServer, transport: Transport):
    """Message, status, code, request and wait are on the error and in its text."""
    server.act = says(
        error(RATE, "tokens", "rate_limit_exceeded"), 429, {"x-request-id": "req_1", "retry-after-ms": "1822"}
    )
    told = await failure(server, transport)
    assert (told.http_status, told.code, told.request_id) == (429, "rate_limit_exceeded", "req_1")
    assert told.retry_after_seconds == pytest.approx(1.822)
    assert str(told) == f"openai: {RATE} (HTTP 429, rate_limit_exceeded, request req_1)"


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 1.822s.", 1.822),
        ("Please try again in 6m0s. Visit the site.", 360),
        ("Please retry after 59 seconds.", 59),
        ("Please try again in 200ms", 0.2),
        ("Please try again later", None),
    ],
)
async def test_without_a_header_the_message_tells_the_wait(
    server: WireServer, transport: Transport, message: str, seconds: float | None
):
    """Some servers ask for a wait in words only."""
    server.act = says(error(message), 429)
    assert (await failure(server, transport)).retry_after_seconds == (
        None if seconds is None else pytest.approx(seconds)
    )


async def test_stopping_failures_say_what_to_do(server: WireServer, transport: Transport):
    """No credit and a refused key stop a run, and say what a person can do about it."""
    server.act = says(error("bad", None, "invalid_api_key"), 401)
    refused = await failure(server, transport)
    assert isinstance(refused, RunStopped)
    assert "OPENAI_API_KEY" in str(refused)
    server.act = says(error("none left", "insufficient_quota"), 429)
    exhausted = await failure(server, transport)
    assert isinstance(exhausted, RunStopped)
    assert "waiting does not help" in str(exhausted)


async def test_html_of_a_proxy_is_readable(server: WireServer, transport: Transport):
    """Of an HTML page the words remain, cut to a readable length."""
    page = b"<html><style>b{}</style><h1>502 Bad&nbsp;Gateway</h1>" + b"<p>nginx</p>" * 5000
    server.act = says(page, 502, {"request-id": "r"}, "text/html")
    text = str(await failure(server, transport))
    assert "Bad" in text
    assert "nginx nginx" in text
    assert "<" not in text
    assert len(text) < 600


async def test_a_redirect_names_where_it_leads(server: WireServer, transport: Transport):
    """The error names the other host, without path or query, and what to set."""
    server.act = says(b"", 301, {"Location": f"https://elsewhere.test/v1?key={KEY}"})
    text = str(await failure(server, transport))
    assert "https://elsewhere.test" in text
    assert "base_url" in text


async def test_a_wrong_path_hints_at_the_base_url(server: WireServer, transport: Transport):
    """404 without an error message is usually a base URL without /v1."""
    server.act = says(b"not found", 404, content_type="text/plain")
    assert "base_url" in str(await failure(server, transport))


@pytest.mark.parametrize("provider", [OpenAIProvider, AnthropicProvider])
@pytest.mark.parametrize("status", [200, 301, 400, 401, 402, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    "echo",
    [
        lambda text: json.dumps(error(f"Incorrect API key provided: {text}.", text, text)).encode(),
        lambda text: json.dumps({"error": text}).encode(),
        lambda text: json.dumps({"detail": [text]}).encode(),
        lambda text: f"<html>Authorization: Bearer {text}</html>".encode(),
    ],
    ids=["message", "error", "detail", "html"],
)
async def test_no_failure_shows_the_key(
    server: WireServer, transport: Transport, provider: Any, status: int, echo: Any
):
    """A server that repeats the key, whole or masked, gets it into no text, repr, pickle or traceback."""
    masked = "sk-plan**************cdef"
    for text in (KEY, masked):
        server.act = says(echo(text), status, {"Location": f"https://h.test/{text}"}, "text/html")
        told = await failure(server, transport, provider)
        shown = "".join(traceback.format_exception(told)) + repr(told) + str(told)
        assert text not in shown
        assert text.encode() not in pickle.dumps(told)
        assert str(pickle.loads(pickle.dumps(told))) == str(told)


def test_a_key_of_any_form_is_kept_out():
    """A key that looks like no known key is known by heart."""
    key = "0123456789abcdef0123456789abcdef"
    told = OpenAIProvider(SecretStr(key))._failures.scrubbed(f"wrong key {key}!")
    assert told == "wrong key [key]!"


def test_a_key_that_is_a_plain_word_leaves_other_words_alone() -> None:
    failures = OpenAIProvider(SecretStr("emulator"))._failures
    assert failures.scrubbed("wrong key emulator!") == "wrong key [key]!"
    assert failures.request_id({"x-request-id": "req_emulator_00000001"}) == "req_emulator_00000001"
    assert failures.scrubbed("POST /emulator/v1 of (emulator)") == "POST /emulator/v1 of ([key])"


def test_a_short_key_that_is_no_word_is_kept_out_of_paths_too() -> None:
    failures = OpenAIProvider(SecretStr("hunter2"))._failures
    assert failures.scrubbed("no user at /hunter2/v1") == "no user at /[key]/v1"


@settings(deadline=None)
@given(st.text(alphabet="skrpgeszaihfBr *-_.9\n", max_size=40))
def test_what_is_not_looked_at_closely_holds_no_key(text: str):
    """Texts without a trace of a key are left as they are, and none of the patterns would find one."""
    assert _TRACE_OF_A_SECRET.search(text) or not _SECRETS.search(text)


@pytest.mark.parametrize("told", ["no such key", "no such key."])
def test_a_refused_key_is_said_in_whole_sentences(told: str) -> None:
    """What to do is a sentence of its own, however the server ends its own."""
    refused = Failures("openai", "secret", "OPENAI_API_KEY").of(
        HttpResponse(401, {}, json.dumps({"error": {"message": told}}).encode())
    )
    assert "refused the credentials: no such key. Set OPENAI_API_KEY" in str(refused)
