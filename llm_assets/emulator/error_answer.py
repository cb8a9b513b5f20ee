"""Errors as OpenAI words them: an HTTP status and a body `{"error": {message, type, param, code}}`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from llm_assets.emulator.quota import Refusal, format_duration

INVALID_REQUEST = "invalid_request_error"
_ORGANIZATION = "org-emulator"
_RATE_LIMITS = "Visit https://platform.openai.com/account/rate-limits to learn more."


class ErrorAnswer(Exception):
    """Ends a request with an error body. `headers` go out with it."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(status, message, kind, code, param)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param
        self.headers: Mapping[str, str] = {}

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ErrorAnswer:
    return ErrorAnswer(400, message, INVALID_REQUEST, code, param)


def missing(param: str) -> ErrorAnswer:
    return bad_request(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def invalid_value(param: str, value: object, supported: Iterable[str]) -> ErrorAnswer:
    listed = ", ".join(repr(name) for name in supported)
    return bad_request(f"Invalid value: '{value}'. Supported values are: {listed}.", param, "invalid_value")


def not_emulated(param: str) -> ErrorAnswer:
    """OpenAI knows it, this server does not; to ignore it silently would be a trap."""
    message = f"Unsupported parameter: the emulator does not know '{param}'."
    return bad_request(message, param, "unsupported_parameter")


def no_key() -> ErrorAnswer:
    return ErrorAnswer(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
    )


def wrong_key(key: str) -> ErrorAnswer:
    """The message shows no more of the key than OpenAI's: its ends."""
    shown = f"{key[:3]}{'*' * 8}{key[-4:]}" if len(key) > 12 else "*" * len(key)
    return ErrorAnswer(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")


def unknown_model(name: str) -> ErrorAnswer:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ErrorAnswer(404, message, code="model_not_found")


def insufficient_quota() -> ErrorAnswer:
    return ErrorAnswer(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information "
        "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        "insufficient_quota",
    )


def rate_limited(refusal: Refusal, model: str, with_retry_after: bool) -> ErrorAnswer:
    """429 for a refused admission, with the wait in its headers unless waiting cannot help."""
    where = f"for {model} in organization {_ORGANIZATION} on {refusal.dimension.label}: Limit {refusal.limit}"
    if refusal.wait_seconds is None:
        message = (
            f"Request too large {where}, Requested {refusal.requested}. The input or output tokens must be "
            f"reduced in order to run successfully. {_RATE_LIMITS}"
        )
    else:
        message = (
            f"Rate limit reached {where}, Used {refusal.used}, Requested {refusal.requested}. "
            f"Please try again in {_cut(refusal.wait_seconds)}. {_RATE_LIMITS}"
        )
    error = ErrorAnswer(429, message, refusal.dimension.unit, "rate_limit_exceeded")
    if with_retry_after and refusal.wait_seconds is not None:
        error.headers = _retry_after(refusal.wait_seconds)
    return error


def _cut(seconds: float) -> str:
    """The message cuts the wait to milliseconds, as OpenAI's does; the headers round it up."""
    return format_duration(math.floor(seconds * 1000 + 1e-6) / 1000)


def _retry_after(seconds: float) -> dict[str, str]:
    milliseconds = max(1, math.ceil(seconds * 1000 - 1e-6))
    return {"retry-after-ms": str(milliseconds), "retry-after": str(math.ceil(milliseconds / 1000))}
