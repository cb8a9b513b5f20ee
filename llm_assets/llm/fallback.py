"""What errors say about the next model of a chain: whether it may do better, and why it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llm_assets.errors import (
    BudgetExceeded,
    CallFailed,
    ContextTooLong,
    LLMAssetsError,
    RequestRejected,
    RequestTooDear,
    RequestTooLarge,
    RunStopped,
    SchemaTooComplex,
)
from llm_assets.llm.requests import ChatRequest, Request
from llm_assets.llm.waiting import ModelCooling

FORBIDDEN = 403  # by a region or a policy of one model or proxy: another may do it
_NOT_FOUND = (404, 405)  # no such model, or no such address
BEYOND_BUDGET = (BudgetExceeded, RequestTooDear)
# What a 4xx says about the model rather than about the request.
_UNKNOWN_MODEL_CODES = ("model_not_found", "model_not_available")
_MODEL_CODES = (*_UNKNOWN_MODEL_CODES, "unsupported_model", "unsupported_parameter")


def another_model_may_help(error: CallFailed) -> bool:
    if isinstance(error, RunStopped):
        return False
    if isinstance(error, SchemaTooComplex):
        return True
    if not isinstance(error, RequestRejected) or error.http_status == FORBIDDEN:
        return True
    return is_not_served(error) or (error.code or "") in _MODEL_CODES


def is_not_served(error: LLMAssetsError) -> bool:
    """Whether the server knows no such model or address, whatever is asked."""
    return isinstance(error, RequestRejected) and (
        error.http_status in _NOT_FOUND or is_about_the_model(error)
    )


def is_about_the_model(error: CallFailed) -> bool:
    """Whether the server says by its code that it is the model that it does not know."""
    return (error.code or "") in _UNKNOWN_MODEL_CODES


_REASONS: tuple[tuple[type[LLMAssetsError], str], ...] = (
    (BudgetExceeded, "budget"),
    (ModelCooling, "cooling_down"),
    (RequestTooDear, "budget"),
    (ContextTooLong, "context_too_long"),
    (RequestTooLarge, "larger_than_limit"),
)


def fallback_reason(request: Request, errors: Sequence[LLMAssetsError]) -> str | None:
    """Why the first model did not answer, in a word that can be counted, or the error's own name."""
    if isinstance(request, ChatRequest) and request.after_model is not None:
        return request.after_reason or "no_use"
    if not errors:
        return None
    first = errors[0]
    for kind, word in _REASONS:
        if isinstance(first, kind):
            return word
    name = type(first).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def worst(errors: Sequence[LLMAssetsError]) -> LLMAssetsError:
    """What to tell: a budget that is spent stops the run, a model that cools down is waited for.

    A model that is not served says nothing about the request, so any other model's error is told before.
    """
    kinds: tuple[Callable[[LLMAssetsError], bool], ...] = (
        lambda error: isinstance(error, BudgetExceeded),
        lambda error: isinstance(error, ModelCooling),
    )
    for is_kind in kinds:
        for error in errors:
            if is_kind(error):
                return error
    return next((error for error in reversed(errors) if not is_not_served(error)), errors[-1])
