"""Chat requests and answers in Anthropic's wire format, over a real connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from wire_server import WireServer, says

from llm_assets.errors import ConfigurationError, ServerFailed
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.anthropic import AnthropicProvider
from llm_assets.llm.providers.anthropic_schema import supported_schema
from llm_assets.llm.requests import Answer, ChatRequest, Message, OutputSchema, TranscriptionRequest
from llm_assets.llm.transport import Transport
from llm_assets.usage import Usage

SCHEMA = OutputSchema(
    "insight",
    {
        "type": "object",
        "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 10}},
        "required": ["score"],
        "additionalProperties": False,
    },
)
ASKED = ChatRequest(
    messages=(
        Message("system", "You read calls."),
        Message("user", "Hello"),
        Message("assistant", "Hi"),
        Message("system", "Be brief."),
        Message("user", "Go"),
    ),
    output_schema=SCHEMA,
)
MODEL = ModelConfig(model="claude-x", provider="anthropic", parameters={"temperature": 0})


def message(**changes: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "model": "claude-x-20260101",
        "content": [{"type": "text", "text": '{"score":7}'}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 20,
            "output_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "service_tier": "standard",
        },
    } | changes


async def ask(
    server: WireServer, transport: Transport, request: ChatRequest = ASKED, model: ModelConfig = MODEL
) -> Answer:
    provider = AnthropicProvider(SecretStr("sk-ant-test"), server.url)
    return provider.parse(request, model, await transport.send(provider.build(request, model)))


async def test_the_body_asks_for_what_was_requested(server: WireServer, transport: Transport):
    """System prompts stand apart, an output limit is always sent, and the schema is one that is taken."""
    server.act = says(message())
    await ask(server, transport)
    assert server.last.path == "/v1/messages"
    assert server.last.headers["x-api-key"] == "sk-ant-test"
    assert server.last.headers["anthropic-version"] == "2023-06-01"
    sent = server.last.json
    assert sent.pop("output_config") == {
        "format": {"type": "json_schema", "schema": supported_schema(SCHEMA.schema)}
    }
    assert sent == {
        "model": "claude-x",
        "temperature": 0,
        "max_tokens": 8192,
        "system": "You read calls.\n\nBe brief.",
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "Go"},
        ],
    }


async def test_an_older_server_is_asked_by_a_forced_tool(server: WireServer, transport: Transport):
    """Without structured output the schema is a tool that must be called, and its input is the answer."""
    server.act = says(message(content=[{"type": "tool_use", "name": "insight", "input": {"score": 7}}]))
    model = MODEL.model_copy(update={"structured_output": "json_object"})
    answer = await ask(server, transport, model=model)
    assert answer.text == '{"score":7}'
    assert server.last.json["tool_choice"] == {"type": "tool", "name": "insight"}
    assert server.last.json["tools"] == [{"name": "insight", "input_schema": SCHEMA.schema}]


NESTED = {
    "type": "object",
    "properties": {"inner": {"$ref": "#/$defs/A"}},
    "$defs": {"A": {"type": "null"}},
}
MAYBE = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize(
    "schema",
    [NESTED, {"type": "object", "properties": {f"field_{number}": MAYBE for number in range(17)}}],
    ids=["recursion", "alternatives"],
)
async def test_what_structured_output_does_not_take_is_a_tool(
    server: WireServer, transport: Transport, schema: dict[str, Any]
):
    """Schemas that contain themselves or have many alternatives are asked for by the forced tool."""
    server.act = says(message(content=[{"type": "tool_use", "name": "insight", "input": {}}]))
    await ask(server, transport, replace(ASKED, output_schema=OutputSchema("insight", schema)))
    assert "output_config" not in server.last.json
    assert server.last.json["tools"] == [{"name": "insight", "input_schema": schema}]


async def test_a_server_that_knows_neither_is_told_the_schema(server: WireServer, transport: Transport):
    """With `none` nothing but the system prompt says what is wanted."""
    server.act = says(message())
    await ask(server, transport, model=MODEL.model_copy(update={"structured_output": "none"}))
    assert {"output_config", "tools"}.isdisjoint(server.last.json)
    assert server.last.json["system"].startswith("You read calls.\n\nAnswer with one JSON object")
    assert '"score"' in server.last.json["system"]


async def test_an_answer_comes_with_what_it_billed(server: WireServer, transport: Transport):
    """Cached tokens, read and written, are among the input tokens."""
    server.act = says(message())
    assert await ask(server, transport) == Answer(
        text='{"score":7}',
        usage=Usage(input_tokens=150, cached_tokens=100, output_tokens=5, cache_write_tokens=30),
        model="claude-x-20260101",
        service_tier="standard",
    )


@pytest.mark.parametrize(
    ("reason", "expected", "refused"),
    [
        ("end_turn", "stop", False),
        ("max_tokens", "length", False),
        ("model_context_window_exceeded", "length", False),
        ("refusal", "content_filter", True),
        ("something_new", "stop", False),
    ],
)
async def test_stop_reasons_are_neutral(
    server: WireServer, transport: Transport, reason: str, expected: str, refused: bool
):
    """A refusal is an answer with words, also where the model gave none."""
    server.act = says(message(stop_reason=reason, content=[{"type": "thinking", "thinking": "hm"}]))
    answer = await ask(server, transport)
    assert answer.finish_reason == expected
    assert (answer.refusal is not None) is refused


@pytest.mark.parametrize("body", [{}, {"content": None}, [], b"<html>"])
async def test_success_without_an_answer_is_a_failure(server: WireServer, transport: Transport, body: Any):
    """Status 200 with a body that is no message is the server's failure."""
    server.act = says(body)
    with pytest.raises(ServerFailed, match="no answer"):
        await ask(server, transport)


def test_there_is_no_transcription():
    """Asking Anthropic to transcribe is a mistake in the chain, said before anything is sent."""
    audio = TranscriptionRequest(audio=b"", file_name="a.wav", sha256="0", duration_seconds=1)
    with pytest.raises(ConfigurationError, match="transcription"):
        AnthropicProvider(None).build(audio, MODEL)


def test_refused_constraints_become_words():
    """Bounds move into descriptions wherever they stand, and nothing that only looks like one is touched."""
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "number", "minimum": 0, "description": "The least."},
            "tags": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": {"type": "string", "maxLength": 9},
            },
            "either": {"anyOf": [{"type": "integer", "maximum": 5}, {"type": "null"}]},
            "kind": {"enum": ["maxLength"], "description": "maxLength"},
        },
        "$defs": {"Inner": {"type": "string", "minLength": 2, "pattern": "^a"}},
    }
    assert supported_schema(schema) == {
        "type": "object",
        "properties": {
            "minimum": {"type": "number", "description": "The least. (minimum: 0)"},
            "tags": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "description": "(maxLength: 9)"},
                "description": "(maxItems: 3)",
            },
            "either": {"anyOf": [{"type": "integer", "description": "(maximum: 5)"}, {"type": "null"}]},
            "kind": {"enum": ["maxLength"], "description": "maxLength"},
        },
        "$defs": {"Inner": {"type": "string", "pattern": "^a", "description": "(minLength: 2)"}},
    }


def test_what_the_limiter_charges():
    """Input and the output to expect, the latter never above the limit that is sent."""
    provider = AnthropicProvider(None)
    less, more = (provider.charged_tokens(ASKED, MODEL, expected) for expected in (10, 20))
    assert more - less == 10
    assert provider.charged_tokens(ASKED, MODEL, 10**9) - less == 8192 - 10


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"input_tokens": None, "output_tokens": 5}, {"input_tokens": 20, "output_tokens": "5"}],
    ids=["none", "empty", "null", "text"],
)
async def test_a_usage_that_is_not_told_is_estimated(server: WireServer, transport: Transport, usage: Any):
    """What a server keeps to itself is not free, and the usage says that it is a guess."""
    server.act = says(message(usage=usage))
    told = (await ask(server, transport)).usage
    assert told.is_estimated
    assert told.input_tokens >= 5
    assert told.output_tokens >= 5
