"""The wire format of `/chat/completions`, as OpenAI and everybody compatible with it speak it.

Of a run's requests only the messages differ. So what model and schema add to the body is encoded once and
joined to the messages as bytes.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.parameters import output_limit, own_parameters, with_schema
from llm_assets.llm.providers.wire import (
    count_in,
    encode_json,
    encode_plain,
    known_count_in,
    object_in,
    objects_in,
    text_in,
)
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.requests import Answer, ChatRequest, Message, OutputSchema
from llm_assets.llm.tokens import estimate_tokens
from llm_assets.usage import Usage

FinishReason = Literal["stop", "length", "content_filter"]

CHARACTERS_PER_TOKEN = 4  # what OpenAI's limiter counts with, from its guide on rate limits
_OURS = frozenset({"model", "messages", "stream", "n"})


class ChatCompletions:
    """Builds bodies and reads answers of chat requests."""

    def __init__(self) -> None:
        self._parts = Remembered(_fixed_parts)
        self._schemas = Remembered(_schema_text)

    def body(self, request: ChatRequest, model: ModelConfig) -> bytes:
        """The JSON body that asks `model`."""
        head, tail = self._parts.of(model, request.output_schema)
        limit = output_limit(request, model)
        if limit is None or model.output_limit_parameter in model.parameters:
            limited = b""
        else:
            limited = b',"%s":%d' % (model.output_limit_parameter.encode(), limit)
        return b"".join((head, _encoded(self._messages(request, model)), limited, tail))

    def characters(self, request: ChatRequest) -> int:
        """How many characters the provider's limiter sees."""
        schema = request.output_schema
        characters = len(self._schemas.of(schema)) if schema else 0
        for message in request.messages:
            characters += len(message.content)
        return characters

    def answer(self, data: dict[str, Any], request: ChatRequest, model: ModelConfig) -> Answer | None:
        """The answer in a decoded body, None when it holds none."""
        choices = objects_in(data, "choices")
        message = object_in(choices[0], "message") if choices else {}
        if not message:
            return None
        text = _content(message)
        return Answer(
            text=text,
            usage=self._usage(data, request, text),
            model=text_in(data, "model") or model.model,
            finish_reason=_finish_reason(choices[0].get("finish_reason")),
            refusal=text_in(message, "refusal"),
            service_tier=text_in(data, "service_tier"),
        )

    def _messages(self, request: ChatRequest, model: ModelConfig) -> tuple[Message, ...]:
        schema = request.output_schema
        if schema is None or model.structured_output == "json_schema":
            return request.messages
        return with_schema(request.messages, self._schemas.of(schema))

    def _usage(self, data: dict[str, Any], request: ChatRequest, text: str) -> Usage:
        usage = object_in(data, "usage")
        input_tokens = known_count_in(usage, "prompt_tokens")
        output_tokens = known_count_in(usage, "completion_tokens")
        # Counting nothing would bill nothing. What a server keeps to itself is estimated upwards.
        knows_output = output_tokens is not None and (output_tokens > 0 or not text)
        is_estimated = not input_tokens or not knows_output
        input_tokens = input_tokens or self._estimated_input(request)
        output_tokens = output_tokens if output_tokens is not None and knows_output else estimate_tokens(text)
        details = object_in(usage, "prompt_tokens_details")
        cached = min(count_in(details, "cached_tokens"), input_tokens) if details else 0
        written = min(count_in(details, "cache_write_tokens"), input_tokens - cached) if details else 0
        return Usage(input_tokens, cached, output_tokens, 0.0, written, is_estimated)

    def _estimated_input(self, request: ChatRequest) -> int:
        schema = request.output_schema
        asked = "\n".join(message.content for message in request.messages)
        return estimate_tokens(asked) + (estimate_tokens(self._schemas.of(schema)) if schema else 0)


def _encoded(messages: tuple[Message, ...]) -> bytes:
    return encode_plain([{"role": turn.role, "content": turn.content} for turn in messages])


def _fixed_parts(model: ModelConfig, schema: OutputSchema | None) -> tuple[bytes, bytes]:
    """What stands before the messages and what stands behind them."""
    head = b'{"model":%s,"messages":' % encode_json(model.model)
    fixed = encode_json(_response_format(model, schema) | own_parameters(model, _OURS))
    return head, (b"," if len(fixed) > 2 else b"") + fixed[1:]


def _response_format(model: ModelConfig, schema: OutputSchema | None) -> dict[str, Any]:
    if schema is None or model.structured_output == "none":
        return {}
    if model.structured_output == "json_object":
        return {"response_format": {"type": "json_object"}}
    described = {"description": schema.description} if schema.description else {}
    named = {"name": schema.name, **described, "schema": schema.schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _schema_text(schema: OutputSchema) -> str:
    return encode_json(schema.schema).decode()


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):  # some servers answer in parts, as requests may be written
        parts = objects_in(cast("dict[str, Any]", {"parts": content}), "parts")
        return "".join(text_in(part, "text") or "" for part in parts)
    return content if isinstance(content, str) else ""


def _finish_reason(reason: Any) -> FinishReason:
    return reason if reason in ("length", "content_filter") else "stop"
