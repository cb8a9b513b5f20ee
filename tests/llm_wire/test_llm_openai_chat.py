"""Chat requests and answers in OpenAI's wire format, over a real connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from wire_server import WireServer, says

from llm_assets.errors import ConfigurationError, RequestRejected, ServerFailed
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.openai import OpenAIProvider
from llm_assets.llm.requests import Answer, ChatRequest, Message, OutputSchema
from llm_assets.llm.transport import Transport
from llm_assets.usage import Usage

SCHEMA = OutputSchema(
    "call_insight",
    {
        "type": "object",
        "properties": {"mood": {"type": "string"}},
        "required": ["mood"],
        "additionalProperties": False,
    },
    "What a call was about.",
)
ASKED = ChatRequest(
    messages=(Message("system", "You read calls."), Message("user", "Anna: my line is dead. 您好 \ud800"))
)
STRUCTURED = ChatRequest(messages=ASKED.messages, output_schema=SCHEMA, max_output_tokens=300)
MODEL = ModelConfig(model="m")


def completion(**changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": '{"mood":"cross"}', "refusal": None} | changes.pop(
        "message", {}
    )
    return {
        "id": "chatcmpl-1",
        "model": "m-2026-01-02",
        "choices": [{"index": 0, "finish_reason": changes.pop("finish_reason", "stop"), "message": message}],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 15, "audio_tokens": 0},
        },
        "service_tier": "default",
    } | changes


async def ask(
    server: WireServer, transport: Transport, request: ChatRequest = ASKED, model: ModelConfig = MODEL
) -> Answer:
    provider = OpenAIProvider(SecretStr("sk-test"), server.url)
    return provider.parse(request, model, await transport.send(provider.build(request, model)))


async def test_the_body_asks_for_what_was_requested(server: WireServer, transport: Transport):
    """Model, messages of any script, strict schema, output limit and the model's own parameters are sent."""
    server.act = says(completion())
    model = ModelConfig(model="m", parameters={"reasoning_effort": "none", "temperature": 0.5})
    await ask(server, transport, STRUCTURED, model)
    assert server.last.path == "/v1/chat/completions"
    assert server.last.headers["authorization"] == "Bearer sk-test"
    assert server.last.headers["content-type"] == "application/json"
    assert server.last.json == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You read calls."},
            {"role": "user", "content": "Anna: my line is dead. 您好 ?"},
        ],
        "max_completion_tokens": 300,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "call_insight",
                "description": "What a call was about.",
                "schema": SCHEMA.schema,
                "strict": True,
            },
        },
        "reasoning_effort": "none",
        "temperature": 0.5,
    }


async def test_a_plain_question_sends_nothing_else(server: WireServer, transport: Transport):
    """Without schema, limit and parameters the body holds model and messages only."""
    server.act = says(completion())
    await ask(server, transport)
    assert set(server.last.json) == {"model", "messages"}


@pytest.mark.parametrize(
    ("request_limit", "model_limit", "sent"), [(300, None, 300), (None, 200, 200), (300, 200, 200)]
)
def test_the_smaller_output_limit_is_sent(request_limit: int | None, model_limit: int | None, sent: int):
    """A model's limit bounds a request's, under the name the model wants."""
    model = ModelConfig(model="m", max_output_tokens=model_limit, output_limit_parameter="max_tokens")
    request = ChatRequest(messages=ASKED.messages, max_output_tokens=request_limit)
    body = OpenAIProvider(None).build(request, model).body
    assert body is not None
    assert b'"max_tokens":%d' % sent in body


def test_a_limit_among_the_parameters_goes_before():
    """A model's own parameter is sent once, as it is."""
    model = ModelConfig(model="m", max_output_tokens=5, parameters={"max_completion_tokens": 9})
    body = OpenAIProvider(None).build(ASKED, model).body
    assert body is not None
    assert body.count(b"max_completion_tokens") == 1
    assert b'"max_completion_tokens":9' in body


@pytest.mark.parametrize("system", [True, False])
async def test_a_server_without_schemas_is_told_the_schema_in_words(
    server: WireServer, transport: Transport, system: bool
):
    """Where only json_object is known, the schema stands in the system message, which is added if missing."""
    server.act = says(completion())
    messages = ASKED.messages if system else ASKED.messages[1:]
    request = ChatRequest(messages=messages, output_schema=SCHEMA)
    await ask(server, transport, request, ModelConfig(model="m", structured_output="json_object"))
    sent = server.last.json
    assert sent["response_format"] == {"type": "json_object"}
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert '"mood":{"type":"string"}' in sent["messages"][0]["content"]


async def test_a_server_that_only_knows_text_is_told_the_schema_in_words(
    server: WireServer, transport: Transport
):
    """With `none` no format is asked for that the server would refuse."""
    server.act = says(completion())
    request = ChatRequest(messages=ASKED.messages, output_schema=SCHEMA)
    await ask(server, transport, request, ModelConfig(model="m", structured_output="none"))
    assert "response_format" not in server.last.json
    assert '"mood":{"type":"string"}' in server.last.json["messages"][0]["content"]


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n"])
def test_parameters_cannot_take_over_the_request(name: str):
    """A parameter that would change what is asked or how it is answered is refused before sending."""
    with pytest.raises(ConfigurationError, match=name):
        OpenAIProvider(None).build(ASKED, ModelConfig(model="m", parameters={name: 2}))


async def test_an_answer_comes_with_what_it_billed(server: WireServer, transport: Transport):
    """Text, snapshot, usage with cached tokens and tier are those of the answer."""
    server.act = says(completion())
    assert await ask(server, transport) == Answer(
        text='{"mood":"cross"}',
        usage=Usage(input_tokens=120, cached_tokens=100, output_tokens=30, cache_write_tokens=15),
        model="m-2026-01-02",
        service_tier="default",
    )


async def test_a_refusal_is_an_answer(server: WireServer, transport: Transport):
    """A model that declines has answered, and its words are kept."""
    server.act = says(completion(message={"content": None, "refusal": "I cannot help with that."}))
    answer = await ask(server, transport)
    assert (answer.text, answer.refusal) == ("", "I cannot help with that.")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
        (None, "stop"),
    ],
)
async def test_finish_reasons_are_neutral(
    server: WireServer, transport: Transport, reason: str | None, expected: str
):
    """Every provider's reason to end becomes one of three."""
    server.act = says(completion(finish_reason=reason))
    assert (await ask(server, transport)).finish_reason == expected


async def test_unknown_and_missing_fields_are_taken_in_stride(server: WireServer, transport: Transport):
    """An answer in parts, with fields nobody knows, null details and no model name, is still an answer."""
    parts = [{"type": "text", "text": "half "}, {"type": "text", "text": "whole"}, "?"]
    body = completion(
        message={"content": parts, "annotations": [1]},
        usage={"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None, "new": {}},
        model=None,
        service_tier=None,
        brand_new=1,
    )
    server.act = says(body)
    answer = await ask(server, transport)
    assert answer.text == "half whole"
    assert answer.usage == Usage(input_tokens=5, output_tokens=2)
    assert (answer.model, answer.service_tier) == ("m", None)


async def test_a_missing_usage_is_estimated(server: WireServer, transport: Transport):
    """A server that does not say what it used is not taken as free."""
    server.act = says(completion(usage=None))
    usage = (await ask(server, transport)).usage
    assert usage.input_tokens >= 10
    assert usage.output_tokens >= 4
    assert usage.is_estimated


@pytest.mark.parametrize("untold", [None, "120", -1, True, 0, 10**400, 1e300], ids=str)
@pytest.mark.parametrize("part", ["prompt_tokens", "completion_tokens"])
async def test_each_part_of_a_usage_that_cannot_be_true_is_estimated(
    server: WireServer, transport: Transport, part: str, untold: Any
):
    """What is told well is kept, the other part is estimated, and the usage says so."""
    server.act = says(completion(usage={"prompt_tokens": 120, "completion_tokens": 30} | {part: untold}))
    usage = (await ask(server, transport)).usage
    assert usage.is_estimated
    assert 10 <= usage.input_tokens <= 120
    assert 4 <= usage.output_tokens <= 30
    assert (usage.input_tokens == 120) == (part != "prompt_tokens")
    assert (usage.output_tokens == 30) == (part != "completion_tokens")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": "none"},
        [],
        b"{",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"data: {}\n",
    ],
)
async def test_success_without_an_answer_is_a_failure(server: WireServer, transport: Transport, body: Any):
    """Status 200 with a body that is no answer is the server's failure, named with its request."""
    server.act = says(body, headers={"x-request-id": "req_7"})
    with pytest.raises(ServerFailed, match="no answer") as caught:
        await ask(server, transport)
    assert caught.value.request_id == "req_7"
    assert caught.value.http_status == 200


@pytest.mark.parametrize(
    ("base_url", "address", "header"),
    [
        (
            "https://acme.openai.azure.com/openai/deployments/insights?api-version=2024-10-21",
            "https://acme.openai.azure.com/openai/deployments/insights/chat/completions?api-version=2024-10-21",
            "api-key",
        ),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1/chat/completions", "Authorization"),
        (
            "https://evilopenai.azure.com.example.com",
            "https://evilopenai.azure.com.example.com/chat/completions",
            "Authorization",
        ),
    ],
)
def test_the_address_keeps_its_query_and_azure_its_header(base_url: str, address: str, header: str):
    """The path goes in front of the base URL's query, and only Azure's hosts get Azure's header."""
    request = OpenAIProvider(SecretStr("k" * 32), base_url).build(ASKED, MODEL)
    assert request.url == address
    assert header in request.headers
    assert {"api-key", "Authorization"} & request.headers.keys() == {header}


@pytest.mark.parametrize(
    "base_url", ["localhost:8000/v1", "ftp://h/v1", "http://", "http://h:port/v1", "", "http://me:pw@h/v1"]
)
def test_a_base_url_that_is_none_is_refused(base_url: str):
    """An address that cannot work is refused when the provider is built, without showing a password."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        OpenAIProvider(None, base_url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "model", "tokens"),
    [
        (ChatRequest(messages=(Message("user", "x" * 400),)), MODEL, 100),
        (ChatRequest(messages=(Message("user", "x" * 401),)), MODEL, 101),
        (ChatRequest(messages=(Message("user", "x" * 400),), max_output_tokens=99), MODEL, 100),
        (ChatRequest(messages=(Message("user", "x" * 400),), max_output_tokens=500), MODEL, 500),
        (
            ChatRequest(messages=(Message("user", "x" * 400),), max_output_tokens=500),
            ModelConfig(model="m", max_output_tokens=150),
            150,
        ),
    ],
)
def test_what_the_limiter_charges(request_: ChatRequest, model: ModelConfig, tokens: int):
    """The larger of the output limit and a fourth of the characters, whatever comes back."""
    assert OpenAIProvider(None).charged_tokens(request_, model, 10_000) == tokens


def test_a_schema_is_charged_too():
    """The schema is part of the request's characters."""
    provider = OpenAIProvider(None)
    bare = provider.charged_tokens(ASKED, MODEL, 0)
    assert (
        provider.charged_tokens(ChatRequest(messages=ASKED.messages, output_schema=SCHEMA), MODEL, 0) > bare
    )


def test_equal_models_do_not_share_what_differs():
    """What is remembered of one model and schema is not sent for another."""
    provider = OpenAIProvider(None)
    for number in range(200):
        model = ModelConfig(model=f"m{number}", parameters={"seed": number})
        body = provider.build(ASKED, model).body
        assert body is not None
        assert b'"model":"m%d"' % number in body
        assert b'"seed":%d}' % number in body


def test_a_body_is_read_without_a_connection():
    """Parsing needs no server: a response is a value."""
    response = HttpResponse(
        200, {}, b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":true}}'
    )
    answer = OpenAIProvider(None).parse(ASKED, MODEL, response)
    assert (answer.text, answer.usage.output_tokens, answer.usage.is_estimated) == ("hi", 1, True)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"", b"\n<!-- seen by the proxy -->"),
        (b"", b"\n\ndata: [DONE]\n\n"),
        (b"", b"{}"),
        (b" \n", b"\xff\x00"),
        (b"\xef\xbb\xbf", b""),
        (b"/* seen by the proxy */\n", b""),
        (b")]}',\n", b""),
        (b"data: ", b"\n\n"),
    ],
)
def test_what_stands_around_a_whole_answer_does_not_spoil_it(before: bytes, behind: bytes):
    """It is paid for. To ask again would pay for it twice."""
    body = before + json.dumps(completion(message={"content": "Grüße"}), ensure_ascii=False).encode() + behind
    answer = OpenAIProvider(None).parse(ASKED, MODEL, HttpResponse(200, {}, body))
    assert (answer.text, answer.usage.output_tokens) == ("Grüße", 30)


def test_half_a_surrogate_pair_is_a_question_mark_from_the_start():
    """As it is in the journal. Nobody could print it, or write it to a file."""
    body = json.dumps(completion(message={"content": "a\ud800b"})).encode()
    answer = OpenAIProvider(None).parse(ASKED, MODEL, HttpResponse(200, {}, body))
    assert answer.text == "a?b"


def test_what_steers_a_terminal_does_not_reach_it():
    """A server's message is shown, and nothing else comes of it."""
    body = json.dumps(
        {"error": {"message": "no\x1b[2J \x1b]0;title\x07 \u202eway", "code": "x\x00y"}}
    ).encode()
    with pytest.raises(RequestRejected) as caught:
        OpenAIProvider(None).parse(ASKED, MODEL, HttpResponse(400, {}, body))
    assert str(caught.value).isprintable()
    assert caught.value.code == "x y"
