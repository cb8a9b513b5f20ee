"""What a model's configuration adds to a request: its own parameters and the output limit."""

from __future__ import annotations

from typing import Any

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import ChatRequest


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
    limits = [limit for limit in (request.max_output_tokens, model.max_output_tokens) if limit is not None]
    return min(limits, default=None)
