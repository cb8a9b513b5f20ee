"""Limits and waits as servers write them into response headers.

All of it is read on every answer, so the common forms come first. A header that cannot be read is taken
as absent: a wrong number would steer the limiter, a missing one does not.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from llm_assets.llm.providers.base import DimensionReport, LimitReport

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_MINUTE_SECONDS, _DAY_SECONDS = 60.0, 86_400.0
# Less than a millisecond is cut off.
_CUT_OFF_SECONDS = 0.001
_ANTHROPIC_KINDS = ("limit", "remaining", "reset")


def number(text: str | None) -> float | None:
    """A finite number, None when there is none."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# Told with every answer, and mostly the same: taking `6m0s` apart is half of reading all headers.
@lru_cache(maxsize=256)
def duration_seconds(text: str | None) -> float | None:
    """Seconds from `1s`, `6m0s`, `60ms`, `1m2.5s`, `20h`, `1.822s` or a plain number of seconds."""
    if not text:
        return None
    if text.endswith("ms"):
        milliseconds = number(text[:-2])
        if milliseconds is not None:
            return max(milliseconds / 1000, 0.0)
    plain = number(text.removesuffix("s"))
    if plain is not None:
        return max(plain, 0.0)
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(f"{value}{unit}" for value, unit in parts) != text:
        return None
    return sum(float(value) * _UNITS[unit] for value, unit in parts)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The least wait the server asked for: `retry-after-ms`, else `retry-after` in seconds or as a date."""
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(milliseconds / 1000, 0.0)
    text = headers.get("retry-after")
    seconds = number(text)
    if seconds is None and text:
        moment = _http_date(text)
        seconds = None if moment is None else moment - _server_now(headers)
    return None if seconds is None else max(seconds, 0.0)


def openai_limits(headers: Mapping[str, str]) -> LimitReport | None:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens,project-tokens}`."""
    requests = with_fraction(
        _dimension(
            headers.get("x-ratelimit-limit-requests"),
            headers.get("x-ratelimit-remaining-requests"),
            headers.get("x-ratelimit-reset-requests"),
        )
    )
    tokens = _dimension(
        headers.get("x-ratelimit-limit-tokens"),
        headers.get("x-ratelimit-remaining-tokens"),
        headers.get("x-ratelimit-reset-tokens"),
    )
    if "x-ratelimit-limit-project-tokens" in headers or "x-ratelimit-remaining-project-tokens" in headers:
        project_tokens = _dimension(
            headers.get("x-ratelimit-limit-project-tokens"),
            headers.get("x-ratelimit-remaining-project-tokens"),
            headers.get("x-ratelimit-reset-project-tokens"),
        )
        tokens = _tighter(tokens, project_tokens)
    return None if requests is None and tokens is None else LimitReport(requests, tokens)


def with_fraction(report: DimensionReport | None) -> DimensionReport | None:
    """What is left to a fraction, where the time until the limit is full again tells it.

    OpenAI writes whole requests and milliseconds: 198 of 200 a day, full in 11m32.334s, are 198.397. With
    few requests a second the fraction is a noticeable part of what is left. Where the two do not fit, or the
    time is in whole seconds, nothing is known of it.
    """
    if report is None or not report.limit or report.remaining is None or not report.reset_seconds:
        return report
    used = report.limit - report.remaining
    if report.reset_seconds % 1 == 0 or used <= 0:
        return report
    is_daily = report.reset_seconds * report.limit / used > 10 * _MINUTE_SECONDS
    period_seconds = _DAY_SECONDS if is_daily else _MINUTE_SECONDS
    fraction = used - (report.reset_seconds + _CUT_OFF_SECONDS) * report.limit / period_seconds
    return report._replace(remaining=report.remaining + fraction) if 0 < fraction < 1 else report


def anthropic_limits(headers: Mapping[str, str]) -> LimitReport | None:
    """`anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`.

    `tokens` is input and output together, so the two halves add up where only they are told.
    """
    requests = _anthropic_dimension(headers, "requests")
    tokens = _anthropic_dimension(headers, "tokens") or _together(
        _anthropic_dimension(headers, "input-tokens"), _anthropic_dimension(headers, "output-tokens")
    )
    return None if requests is None and tokens is None else LimitReport(requests, tokens)


def _dimension(limit: str | None, remaining: str | None, reset: str | None) -> DimensionReport | None:
    if limit is None and remaining is None:
        return None
    return _report(number(limit), number(remaining), duration_seconds(reset))


def _report(limit: float | None, remaining: float | None, reset: float | None) -> DimensionReport | None:
    # Some servers send a limit of zero for "none" and a remaining count below zero for "overdrawn".
    if (limit is None and remaining is None) or (limit is not None and limit <= 0):
        return None
    return DimensionReport(limit, None if remaining is None else max(remaining, 0.0), reset)


def _tighter(one: DimensionReport | None, other: DimensionReport | None) -> DimensionReport | None:
    """Two buckets that are charged together, as the one that both of them allow."""
    if one is None or other is None:
        return one or other
    return DimensionReport(
        _known(min, one.limit, other.limit),
        _known(min, one.remaining, other.remaining),
        _known(max, one.reset_seconds, other.reset_seconds),
    )


def _together(one: DimensionReport | None, other: DimensionReport | None) -> DimensionReport | None:
    if one is None or other is None:
        return one or other
    return DimensionReport(
        _known(_plus, one.limit, other.limit),
        _known(_plus, one.remaining, other.remaining),
        _known(max, one.reset_seconds, other.reset_seconds),
    )


def _plus(one: float, other: float) -> float:
    return one + other


def _known(pick: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return pick(one, other)


def _anthropic_dimension(headers: Mapping[str, str], what: str) -> DimensionReport | None:
    limit, remaining, reset = (headers.get(f"anthropic-ratelimit-{what}-{kind}") for kind in _ANTHROPIC_KINDS)
    if limit is None and remaining is None:
        return None
    return _report(number(limit), number(remaining), _seconds_until(reset, headers))


def _seconds_until(text: str | None, headers: Mapping[str, str]) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment.timestamp() - _server_now(headers), 0.0)


def _server_now(headers: Mapping[str, str]) -> float:
    """The moment of the answer by the server's own clock, so that a clock that is off does no harm."""
    date = _http_date(headers.get("date") or "")
    return time.time() if date is None else date


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
