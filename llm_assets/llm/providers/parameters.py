"""What a model's configuration adds to a request: its own parameters, the output limit, a schema in words."""

from __future__ import annotations

from typing import Any

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import ChatRequest, Message


def own_parameters(model: ModelConfig, reserved: frozenset[str]) -> dict[str, Any]:
    """The model's parameters. Raises ConfigurationError when they set what only a request may set."""
    clash = reserved & model.parameters.keys()
    if clash:
        raise ConfigurationError(
            f"model {model.model}: its parameters cannot set {', '.join(sorted(clash))}; the client sets them"
        )
    return dict(model.parameters)


def output_limit(request: ChatRequest, model: ModelConfig) -> int | None:
    """The most output tokens a request may cost: the smaller of the request's and the model's limit."""
    asked, most = request.max_output_tokens, model.max_output_tokens
    if asked is None or most is None:
        return most if asked is None else asked
    return asked if asked < most else most


def with_schema(messages: tuple[Message, ...], schema: str) -> tuple[Message, ...]:
    """The messages with a JSON schema told in the system message, for servers that cannot be held to one."""
    demand = f"Answer with one JSON object that satisfies this JSON schema:\n{schema}"
    first, rest = messages[:1], messages[1:]
    if first and first[0].role == "system":
        return (Message("system", f"{first[0].content}\n\n{demand}"), *rest)
    return (Message("system", demand), *messages)
