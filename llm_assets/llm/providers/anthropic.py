"""Anthropic's messages API. It has no transcription.

Unlike OpenAI it demands an output limit, keeps the system prompt apart from the turns, and counts cached
tokens beside the input tokens rather than among them; here they are among them, as everywhere in `Usage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import SecretStr

from llm_assets.errors import ConfigurationError, SchemaTooComplex
from llm_assets.llm.http import HttpRequest, HttpResponse
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.address import address
from llm_assets.llm.providers.anthropic_schema import is_supported, supported_schema
from llm_assets.llm.providers.base import LimitReport
from llm_assets.llm.providers.credentials import key_text
from llm_assets.llm.providers.failures import Failures
from llm_assets.llm.providers.headers import anthropic_limits
from llm_assets.llm.providers.parameters import output_limit, own_parameters, with_schema
from llm_assets.llm.providers.wire import (
    count_in,
    decode_object,
    encode_json,
    known_count_in,
    object_in,
    objects_in,
    text_in,
)
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.requests import Answer, ChatRequest, OutputSchema, Request
from llm_assets.llm.tokens import estimate_tokens
from llm_assets.usage import Usage

ANTHROPIC_BASE_URL = "https://api.anthropic.com/v1"

_VERSION = "2023-06-01"
_MAX_OUTPUT_TOKENS = 8192  # where neither request nor model sets a limit, because the API demands one
_OURS = frozenset({"model", "messages", "system", "stream"})
_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded"})


class AnthropicProvider:
    """Messages at one base URL with one key."""

    name = "anthropic"
    counts_output = True

    def __init__(self, api_key: SecretStr | None, base_url: str = ANTHROPIC_BASE_URL) -> None:
        setting = "ANTHROPIC_API_KEY (or this entry's api_key)"
        key = key_text(api_key, setting)
        self._failures = Failures(self.name, key, setting)
        self._headers = {
            "x-api-key": key or "unused",
            "anthropic-version": _VERSION,
            "Content-Type": "application/json",
            "User-Agent": "llm-assets",
        }
        self._url = address(base_url, "messages")
        self._fixed = Remembered(_fixed_part)
        self._fixed_by_tool = Remembered(_fixed_part_by_tool)
        self._too_complex = dict[int, OutputSchema]()
        self._schemas = Remembered(_schema_text)

    def build(self, request: Request, model: ModelConfig) -> HttpRequest:
        """The HTTP request that asks `model`. Raises ConfigurationError for a transcription."""
        if not isinstance(request, ChatRequest):
            raise ConfigurationError(
                f"model {model.model}: Anthropic offers no transcription; take one of provider openai"
            )
        messages = request.messages
        if request.output_schema is not None and model.structured_output == "none":
            messages = with_schema(messages, self._schemas.of(request.output_schema))
        turns: dict[str, Any] = {
            "max_tokens": output_limit(request, model) or _MAX_OUTPUT_TOKENS,
            "messages": [
                {"role": message.role, "content": message.content}
                for message in messages
                if message.role != "system"
            ],
        }
        system = "\n\n".join(message.content for message in messages if message.role == "system")
        if system:
            turns["system"] = system
        is_refused = id(request.output_schema) in self._too_complex
        fixed = (self._fixed_by_tool if is_refused else self._fixed).of(model, request.output_schema)
        return HttpRequest(self._url, self._headers, body=b"%s,%s" % (fixed[:-1], encode_json(turns)[1:]))

    def parse(self, request: Request, model: ModelConfig, response: HttpResponse) -> Answer:
        """The answer in a response. Raises the tree under CallFailed when there is none."""
        if not 200 <= response.status < 300:
            error = self._failures.of(response)
            if isinstance(error, SchemaTooComplex):
                self._ask_by_tool(request)
            raise error
        data = decode_object(response.body)
        if data is None:
            raise self._failures.no_answer(response, "no JSON object")
        if not isinstance(data.get("content"), list):
            raise self._failures.no_answer(response, "the fields of an answer are missing")
        return _answer(data, request, model)

    def _ask_by_tool(self, request: Request) -> None:
        """How large a schema may be is told by nothing but a refusal; a tool takes any."""
        if isinstance(request, ChatRequest) and request.output_schema is not None:
            self._too_complex[id(request.output_schema)] = request.output_schema

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The provider's name for a request, for its support, without anything secret in it."""
        return self._failures.request_id(headers)

    def limit_report(self, headers: Mapping[str, str]) -> LimitReport | None:
        """What the `anthropic-ratelimit-…` headers say, None when there are none."""
        return anthropic_limits(headers)

    def charged_tokens(self, request: ChatRequest, model: ModelConfig, expected_output_tokens: int) -> int:
        """The estimated input plus the output to expect: its limits count what is generated."""
        limit = output_limit(request, model) or _MAX_OUTPUT_TOKENS
        asked = sum(estimate_tokens(message.content) for message in request.messages)
        return asked + min(expected_output_tokens, limit)

    def settled_tokens(self, usage: Usage) -> int:
        """What was generated, and what was read: input from the cache does not count towards its limits."""
        return usage.input_tokens - usage.cached_tokens + usage.output_tokens


def _fixed_part(model: ModelConfig, schema: OutputSchema | None) -> bytes:
    own = own_parameters(model, _OURS)
    return encode_json({"model": model.model, **_structured_output(model, schema), **own})


def _fixed_part_by_tool(model: ModelConfig, schema: OutputSchema) -> bytes:
    own = own_parameters(model, _OURS)
    return encode_json({"model": model.model, **_by_tool(schema), **own})


def _schema_text(schema: OutputSchema) -> str:
    return encode_json(schema.schema).decode()


def _structured_output(model: ModelConfig, schema: OutputSchema | None) -> dict[str, Any]:
    if schema is None or model.structured_output == "none":
        return {}
    if model.structured_output == "json_schema" and is_supported(schema.schema):
        return {
            "output_config": {"format": {"type": "json_schema", "schema": supported_schema(schema.schema)}}
        }
    return _by_tool(schema)


def _by_tool(schema: OutputSchema) -> dict[str, Any]:
    """Servers without structured output know tools, and a tool that must be called has the same effect. It
    takes every schema, also those that structured output does not."""
    described = {"description": schema.description} if schema.description else {}
    return {
        "tools": [{"name": schema.name, **described, "input_schema": schema.schema}],
        "tool_choice": {"type": "tool", "name": schema.name},
    }


def _answer(data: dict[str, Any], request: Request, model: ModelConfig) -> Answer:
    text = _text(objects_in(data, "content"))
    reason = data.get("stop_reason")
    usage = object_in(data, "usage")
    return Answer(
        text=text,
        usage=_usage(usage, request, text),
        model=text_in(data, "model") or model.model,
        finish_reason=_finish_reason(reason),
        refusal=(text or "the model declined to answer") if reason == "refusal" else None,
        service_tier=text_in(usage, "service_tier"),
    )


def _text(blocks: list[dict[str, Any]]) -> str:
    for block in blocks:
        if block.get("type") == "tool_use":
            return encode_json(object_in(block, "input")).decode()
    return "".join(text_in(block, "text") or "" for block in blocks if block.get("type") == "text")


def _usage(usage: dict[str, Any], request: Request, text: str) -> Usage:
    cached = count_in(usage, "cache_read_input_tokens")
    written = count_in(usage, "cache_creation_input_tokens")
    fresh = known_count_in(usage, "input_tokens")
    output = known_count_in(usage, "output_tokens")
    knows_input = fresh is not None and fresh + cached + written > 0
    knows_output = output is not None and (output > 0 or not text)
    return Usage(
        input_tokens=(fresh or 0) + cached + written if knows_input else _estimated_input(request) + cached,
        cached_tokens=cached,
        cache_write_tokens=written if knows_input else 0,
        output_tokens=output if output is not None and knows_output else estimate_tokens(text),
        is_estimated=not (knows_input and knows_output),
    )


def _estimated_input(request: Request) -> int:
    assert isinstance(request, ChatRequest)
    schema = request.output_schema
    texts = [message.content for message in request.messages]
    return sum(map(estimate_tokens, texts)) + (len(encode_json(schema.schema)) if schema else 0)


def _finish_reason(reason: Any) -> Literal["stop", "length", "content_filter"]:
    if reason in _CUT_OFF:
        return "length"
    return "content_filter" if reason == "refusal" else "stop"
