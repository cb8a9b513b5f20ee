"""What a chat request asks, and in which cases OpenAI refuses it.

Checked in OpenAI's order: messages, parameters, output format, length. What passes is a `ChatCall`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, cast

from llm_assets.emulator.catalog import EmulatedModel
from llm_assets.emulator.error_answer import ErrorAnswer, bad_request, invalid_value, missing, not_emulated
from llm_assets.emulator.schema.check import NAME, Schema, as_schema, strict_problem

CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_ROLES = ("system", "developer", "assistant", "user")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_FORMATS = ("json_object", "json_schema", "text")
_NOT_EMULATED = (
    "stream", "tools", "tool_choice", "functions", "function_call", "audio", "web_search_options", "logprobs",
)  # fmt: skip

Body = dict[str, Any]
Turn = tuple[str, str]
Format = Literal["text", "json_object", "json_schema"]


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A request that the model takes. A turn is a role and a text."""

    turns: tuple[Turn, ...]
    format: Format
    schema: Schema | None
    prompt_tokens: int
    max_tokens: int | None


def tokens_of(characters: int) -> int:
    """The estimate that OpenAI's limiter goes by, and this server's stand-in for a tokenizer."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def charged_tokens(body: Body, rule: Literal["larger", "sum"]) -> int:
    """What a request costs at admission, before anything else about it is looked at."""
    limit = max(_count(body.get("max_completion_tokens")), _count(body.get("max_tokens")))
    estimate = tokens_of(_characters(_turns(body), _schema(body)))
    return limit + estimate if rule == "sum" else max(limit, estimate)


def parse_chat(body: Body, model: EmulatedModel) -> ChatCall:
    """The call in a request's body. Raises ErrorAnswer in OpenAI's words."""
    if model.kind != "chat":
        raise ErrorAnswer(
            404,
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
            param="model",
        )
    turns, schema = _checked_turns(body), _schema(body)
    _check_parameters(body, model)
    output_format = _checked_format(body, turns)
    prompt_tokens = tokens_of(_characters(turns, schema)) + _TOKENS_PER_MESSAGE * len(turns)
    limit = _output_limit(body)
    _check_length(model, prompt_tokens, limit or 0)
    return ChatCall(turns, output_format, schema, prompt_tokens, limit)


def _check_length(model: EmulatedModel, prompt_tokens: int, output_limit: int) -> None:
    said = f"This model's maximum context length is {model.context_tokens} tokens. However, "
    if prompt_tokens > model.context_tokens:
        raise bad_request(
            f"{said}your messages resulted in {prompt_tokens} tokens. Please reduce the length of the "
            "messages.",
            "messages",
            "context_length_exceeded",
        )
    together = prompt_tokens + output_limit
    if together > model.context_tokens and not model.answers_beside:
        raise bad_request(
            f"{said}you requested {together} tokens ({prompt_tokens} in the messages, {output_limit} in the "
            "completion). Please reduce the length of the messages or completion.",
            "messages",
            "context_length_exceeded",
        )


def _turns(body: Body) -> tuple[Turn, ...]:
    messages = body.get("messages")
    listed = cast("list[object]", messages) if isinstance(messages, list) else []
    turns = (as_schema(message) for message in listed)
    return tuple((str(turn.get("role", "")), _content(turn.get("content"))) for turn in turns)


def _content(content: object) -> str:
    """A message's text, which may come in parts."""
    if isinstance(content, str):
        return content
    parts = cast("list[object]", content) if isinstance(content, list) else []
    texts = (as_schema(part).get("text") for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def _schema(body: Body) -> Schema | None:
    schema = as_schema(as_schema(body.get("response_format")).get("json_schema")).get("schema")
    return cast(Schema, schema) if isinstance(schema, dict) else None


def _characters(turns: tuple[Turn, ...], schema: Schema | None) -> int:
    spoken = sum(len(content) for _, content in turns)
    return spoken + (len(json.dumps(schema, ensure_ascii=False, separators=(",", ":"))) if schema else 0)


def _checked_turns(body: Body) -> tuple[Turn, ...]:
    if "messages" not in body:
        raise missing("messages")
    if not isinstance(body["messages"], list):
        raise bad_request("Invalid type for 'messages': expected an array.", "messages", "invalid_type")
    turns = _turns(body)
    if not turns:
        raise bad_request(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead.",
            "messages",
            "empty_array",
        )
    for index, (role, _) in enumerate(turns):
        if role not in _ROLES:
            raise invalid_value(f"messages[{index}].role", role, _ROLES)
    return turns


def _check_parameters(body: Body, model: EmulatedModel) -> None:
    for name in _NOT_EMULATED:
        if body.get(name):
            raise not_emulated(name)
    if body.get("n", 1) != 1:
        raise not_emulated("n")
    if model.reasoning:
        _check_reasoning(body)
    elif "reasoning_effort" in body:
        raise bad_request("Unrecognized request argument supplied: reasoning_effort")


def _check_reasoning(body: Body) -> None:
    effort = body.get("reasoning_effort", "medium")
    if effort not in _EFFORTS:
        raise invalid_value("reasoning_effort", effort, _EFFORTS)
    if body.get("max_tokens") is not None:
        raise bad_request(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    temperature = body.get("temperature")
    if effort != "none" and temperature not in (None, 1):
        raise bad_request(
            f"Unsupported value: 'temperature' does not support {temperature} with this model. Only the "
            "default (1) value is supported.",
            "temperature",
            "unsupported_value",
        )


def _output_limit(body: Body) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value: object = body.get(name)
        if value is None:
            continue
        if _count(value) < 1:
            raise bad_request(f"Invalid '{name}': expected an integer of at least 1.", name, "invalid_type")
        return _count(value)
    return None


def _count(value: object) -> int:
    """A whole number, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _checked_format(body: Body, turns: tuple[Turn, ...]) -> Format:
    wanted = as_schema(body.get("response_format"))
    kind: object = wanted.get("type", "text")
    if kind == "json_schema":
        _check_schema(as_schema(wanted.get("json_schema")))
        return "json_schema"
    if kind == "json_object":
        if not any("json" in content.lower() for _, content in turns):
            raise bad_request(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                "'json_object'.",
                "messages",
            )
        return "json_object"
    if kind != "text":
        raise invalid_value("response_format.type", kind, _FORMATS)
    return "text"


def _check_schema(described: dict[str, Any]) -> None:
    where = "response_format.json_schema"
    for part in ("name", "schema"):
        if part not in described:
            raise missing(f"{where}.{part}")
    name: object = described["name"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise bad_request(
            f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the "
            f"pattern '^{NAME.pattern}$'.",
            f"{where}.name",
            "invalid_value",
        )
    problem = strict_problem(described["schema"]) if described.get("strict") else None
    if problem is not None:
        raise bad_request(f"Invalid schema for response_format '{name}': {problem}", "response_format")
