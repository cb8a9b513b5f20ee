"""What is tried again, and after which wait: pure functions of the error, the attempt and a random number."""

from __future__ import annotations

from llm_assets.errors import (
    NOT_SENT,
    TOO_MUCH_SENT,
    CallFailed,
    ConnectionFailed,
    Overloaded,
    RateLimited,
    ServerFailed,
)
from llm_assets.llm.models import RetryConfig

_MENDABLE = (RateLimited, Overloaded, ServerFailed, ConnectionFailed)


def is_mendable(error: BaseException) -> bool:
    """Whether waiting can mend it. A refused key, an empty account or a bad request stays what it is."""
    return isinstance(error, _MENDABLE) and error.code != TOO_MUCH_SENT


def may_have_been_billed(error: BaseException) -> bool:
    """Whether the request may have been answered, and billed, without a usable answer reaching us."""
    if isinstance(error, ConnectionFailed):
        return error.code != NOT_SENT
    return isinstance(error, ServerFailed) and 200 <= (error.http_status or 0) < 300


def wait_seconds(attempt: int, error: CallFailed, config: RetryConfig, random: float) -> float:
    """The wait after `attempt` (from 1): doubling, with full jitter, never below what the server asked for.

    `random` is in [0, 1). What the server asks for is honoured up to `max_retry_after_seconds`, plus jitter
    of at most one first wait, so that everybody it asked does not come back at once.
    """
    ceiling = min(config.first_wait_seconds * 2 ** (attempt - 1), config.max_wait_seconds)
    if error.retry_after_seconds is not None:
        return pause_after(error, config) + random * min(ceiling, config.first_wait_seconds)
    return random * ceiling


def back_off_seconds(refusals: int, config: RetryConfig) -> float:
    """How long to leave a server alone that refuses without a word on when to come back."""
    return min(config.first_wait_seconds * 2.0 ** min(refusals - 1, 30), config.max_wait_seconds)


def pause_after(error: CallFailed, config: RetryConfig) -> float:
    """How long the server wants to be left alone, as far as that is honoured; 0 when it did not say."""
    return min(error.retry_after_seconds or 0.0, config.max_retry_after_seconds)
