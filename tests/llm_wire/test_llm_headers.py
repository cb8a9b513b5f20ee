"""Limits and waits are read from headers in every form servers write them; what is unreadable is absent."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from llm_assets.llm.providers.base import DimensionReport, LimitReport
from llm_assets.llm.providers.headers import (
    anthropic_limits,
    duration_seconds,
    openai_limits,
    retry_after_seconds,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("60ms", 0.06),
        ("1m2.5s", 62.5),
        ("20h", 72000.0),
        ("1.822s", 1.822),
        ("1h2m3s", 3723.0),
        ("2d1h", 176400.0),
        ("0s", 0.0),
        ("17", 17.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("5 parsecs", None),
        ("1s or so", None),
        ("nans", None),
        ("infs", None),
    ],
)
def test_durations_are_read_in_every_form(text: str | None, seconds: float | None):
    """Every documented form of a reset header gives its seconds, anything else gives nothing."""
    assert duration_seconds(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        (
            {"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"},
            30.0,
        ),
        (
            {"retry-after": "Fri, 20 Nov 2026 10:00:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"},
            0.0,
        ),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "later"}, None),
        ({}, None),
    ],
)
def test_the_wait_a_server_asks_for(headers: dict[str, str], seconds: float | None):
    """Milliseconds go before seconds, a date counts from the server's own clock, and no wait is negative."""
    assert retry_after_seconds(CIMultiDict(headers)) == seconds


def test_openai_limits_are_read():
    """Both dimensions come with limit, rest and reset."""
    headers = CIMultiDict(
        {
            "X-RateLimit-Limit-Requests": "5000",
            "X-RateLimit-Remaining-Requests": "4999",
            "X-RateLimit-Reset-Requests": "12ms",
            "X-RateLimit-Limit-Tokens": "2000000",
            "X-RateLimit-Remaining-Tokens": "1999000",
            "X-RateLimit-Reset-Tokens": "30ms",
        }
    )
    assert openai_limits(headers) == LimitReport(
        DimensionReport(5000, 4999, pytest.approx(0.012)), DimensionReport(2e6, 1999000, pytest.approx(0.03))
    )


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "left"),
    [
        ("200", "198", "11m32.334s", 198.397),  # a limit a day, as OpenAI wrote it
        ("200", "196", "23m16.298s", 196.768),
        ("600", "0", "59.941s", 0.58),
        ("10000", "9999", "6ms", 9999),  # the whole of it is missing
        ("600", "599", "1s", 599),  # whole seconds may be rounded
        ("600", "500", "3.5s", 500),  # another bucket's time, or none that refills evenly
        ("600", "600", "0s", 600),
        ("600", "500", None, 500),
    ],
)
def test_the_time_to_full_tells_the_fraction_of_a_request(
    limit: str, remaining: str, reset: str | None, left: float
):
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    headers = {f"x-ratelimit-{kind}-requests": text for kind, text in told.items() if text is not None}
    report = openai_limits(headers)
    assert report is not None
    assert report.requests is not None
    assert report.requests.remaining == pytest.approx(left, abs=0.002)


def test_a_project_limit_is_taken_together_with_the_organisations():
    """Of two token buckets that are charged together, the smaller figures bind."""
    headers = {
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "10",
        "x-ratelimit-limit-project-tokens": "500",
        "x-ratelimit-remaining-project-tokens": "400",
        "x-ratelimit-reset-project-tokens": "6s",
    }
    report = openai_limits(headers)
    assert report is not None
    assert report.requests is None
    assert report.tokens == DimensionReport(500, 10, 6)


@pytest.mark.parametrize(
    ("headers", "requests"),
    [
        ({"x-ratelimit-remaining-requests": "7"}, DimensionReport(None, 7, None)),
        ({"x-ratelimit-limit-requests": "60"}, DimensionReport(60, None, None)),
        (
            {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "-4"},
            DimensionReport(60, 0, None),
        ),
    ],
)
def test_any_header_may_be_absent(headers: dict[str, str], requests: DimensionReport):
    """Half a report is a report, and an overdrawn limit has nothing left."""
    report = openai_limits(headers)
    assert report is not None
    assert report.requests == requests


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"x-ratelimit-limit-tokens": "0", "x-ratelimit-remaining-tokens": "0"},
        {"x-ratelimit-limit-tokens": "unlimited"},
    ],
)
def test_headers_that_say_nothing_give_no_report(headers: dict[str, str]):
    """No header, an unreadable one and a limit of zero tell nothing about limits."""
    assert openai_limits(headers) is None
    assert anthropic_limits(headers) is None


def test_anthropic_limits_are_read():
    """Resets are moments; seconds count from the server's own clock."""
    headers = {
        "date": "Fri, 20 Nov 2026 10:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-20T10:00:01Z",
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-remaining": "39000",
        "anthropic-ratelimit-tokens-reset": "2026-11-20T09:59:00Z",
    }
    assert anthropic_limits(headers) == LimitReport(
        DimensionReport(50, 49, 1.0), DimensionReport(40000, 39000, 0.0)
    )


def test_anthropic_halves_add_up():
    """Where only input and output tokens are told, the token limit is both together."""
    headers = {
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "20000",
        "anthropic-ratelimit-input-tokens-reset": "at noon",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
    }
    report = anthropic_limits(headers)
    assert report is not None
    assert report.tokens == DimensionReport(38000, 28000, None)
