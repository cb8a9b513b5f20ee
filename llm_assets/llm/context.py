"""Whether a request fits a model's context, known before a refusal is paid for."""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.errors import ContextTooLong
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import ChatRequest
from llm_assets.llm.sizes import framing_tokens, most_output_tokens, told_schema
from llm_assets.llm.tokens import TokenCounter


def surely_fits(request: ChatRequest, model: ModelConfig) -> bool:
    """Without counting: a token is at least one character of any text we know of."""
    if model.context_window is None:
        return True
    characters = framing_tokens(request) + len(told_schema(request))
    for message in request.messages:
        characters += len(message.content)
    # At least half of the window is for the input.
    return characters <= model.context_window // 2 or characters <= _most_input(request, model)


async def require_context(request: ChatRequest, model: ModelConfig, counter: TokenCounter) -> None:
    """Raise ContextTooLong when the count says that it cannot fit."""
    if model.context_window is None:
        return
    allowed = _most_input(request, model)
    text = "\n".join(message.content for message in request.messages)
    tokens = framing_tokens(request) + await counter.count(text, model.model)
    if schema := told_schema(request):
        tokens += await counter.count_schema(schema, model.model)
    if tokens > allowed:
        raise ContextTooLong(
            f"about {tokens:,} tokens do not fit {model.model}, which takes {allowed:,} beside the answer"
        )


def first_place(models: Sequence[str], after: str) -> int:
    """Where the models of a chain begin that come behind one of them; its end when that is not in it."""
    places = [place for place, model in enumerate(models, 1) if model == after]
    return places[-1] if places else len(models)


def _most_input(request: ChatRequest, model: ModelConfig) -> int:
    window = model.context_window
    assert window is not None
    return window - min(most_output_tokens(request, model), window // 2)
