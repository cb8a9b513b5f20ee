"""The bucket arithmetic, without a server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_assets.emulator.config import EmulatorConfig, QuotaLimits
from llm_assets.emulator.error_answer import rate_limited
from llm_assets.emulator.quota import Quota, Refusal, format_duration

START = 1000.0


def quota(limits: dict[str, int], **config: Any) -> Quota:
    return Quota(QuotaLimits(**limits), EmulatorConfig(**config), START)


def refused(quota: Quota, tokens: int, now: float) -> Refusal:
    refusal = quota.admit(tokens, now)
    assert refusal is not None
    return refusal


def test_a_full_minute_bucket_lets_a_minutes_worth_go_at_once() -> None:
    """60 requests a minute are 60 at once, and then none."""
    bucket = quota({"requests_per_minute": 60})
    assert all(bucket.admit(0, START) is None for _ in range(60))
    assert bucket.admit(0, START) is not None


def test_refill_is_continuous() -> None:
    """At 60 a minute there is one more every second, not sixty every minute."""
    bucket = quota({"requests_per_minute": 60}, initial_level=0, charge_refused="nothing")
    assert bucket.admit(0, START + 0.9) is not None
    assert bucket.admit(0, START + 1.0) is None
    assert bucket.admit(0, START + 1.5) is not None


def test_the_wait_is_openais_formula() -> None:
    """Limit 200000, Used 198469, Requested 7607: try again in 1.822 s."""
    bucket = quota({"tokens_per_minute": 200_000})
    assert bucket.admit(198_469, START) is None
    refusal = refused(bucket, 7607, START)
    message = rate_limited(refusal, "gpt-4o", with_retry_after=True).message
    assert message.startswith(
        "Rate limit reached for gpt-4o in organization org-emulator on tokens per min (TPM): "
        "Limit 200000, Used 198469, Requested 7607. Please try again in 1.822s."
    )
    assert refusal.wait_seconds == pytest.approx((198469 + 7607 - 200000) / 200000 * 60)


def test_waiting_as_told_is_enough() -> None:
    """Whoever waits as long as the refusal says is admitted, unless somebody else came before."""
    bucket = quota({"tokens_per_minute": 10_000, "requests_per_minute": 100})
    assert bucket.admit(9_000, START) is None
    wait = refused(bucket, 5_000, START).wait_seconds
    assert wait is not None
    assert bucket.admit(5_000, START + wait * 0.99) is not None
    assert bucket.admit(5_000, START + wait) is None


def test_a_refused_request_costs_a_request() -> None:
    """Hammering an empty bucket keeps it empty: a try every half second at one a second never passes."""
    bucket = quota({"requests_per_minute": 60}, initial_level=0)
    assert all(bucket.admit(0, START + 0.5 * turn) is not None for turn in range(1, 100))


def test_refusals_can_be_free() -> None:
    """With `charge_refused` nothing, the same hammering passes every other time."""
    bucket = quota({"requests_per_minute": 60}, initial_level=0, charge_refused="nothing")
    passed = [bucket.admit(0, START + 0.5 * turn) is None for turn in range(1, 101)]
    assert sum(passed) == 50


def test_the_longest_wait_is_told() -> None:
    """Of two limits that are hit, the refusal names the one that takes longer."""
    bucket = quota({"requests_per_minute": 60, "tokens_per_minute": 600}, charge_refused="nothing")
    for _ in range(60):
        bucket.admit(10, START)
    assert refused(bucket, 100, START).dimension.field == "tokens_per_minute"


def test_a_request_larger_than_the_bucket_is_told_that_waiting_is_no_use() -> None:
    """It is refused with 429 like OpenAI's, but without a time to try again."""
    bucket = quota({"tokens_per_minute": 1000})
    refusal = refused(bucket, 1001, START)
    error = rate_limited(refusal, "gpt-4o", with_retry_after=True)
    assert refusal.wait_seconds is None
    assert error.message.startswith("Request too large")
    assert not error.headers


def test_a_limit_can_be_enforced_by_the_second() -> None:
    """With a window of one second, 60 a minute is one a second from the start."""
    bucket = quota({"requests_per_minute": 60}, quota_window_seconds=1, charge_refused="nothing")
    assert bucket.admit(0, START) is None
    assert bucket.admit(0, START) is not None
    assert bucket.admit(0, START + 1) is None


def test_a_neighbour_takes_its_share_of_the_refill() -> None:
    """With half of the refill gone, two seconds' refill admits one request where two were promised."""
    bucket = quota(
        {"requests_per_minute": 60}, initial_level=0, neighbour_share=0.5, charge_refused="nothing"
    )
    assert bucket.admit(0, START + 2) is None
    assert bucket.admit(0, START + 2) is not None


def test_a_lowered_limit_takes_effect_at_once() -> None:
    """The level is cut to the new bucket, and the refill is the new one."""
    bucket = quota({"requests_per_minute": 600})
    bucket.change(QuotaLimits(requests_per_minute=60), 0.0, START)
    assert bucket.headers(START)["x-ratelimit-remaining-requests"] == "60"
    assert bucket.headers(START)["x-ratelimit-limit-requests"] == "60"


def test_headers_tell_the_day_for_requests_and_the_minute_for_tokens() -> None:
    """As on accounts that have both, one request out of 10,000 a day is back after 8.64 s."""
    bucket = quota({"requests_per_minute": 500, "requests_per_day": 10_000, "tokens_per_minute": 30_000})
    assert bucket.admit(300, START) is None
    assert bucket.headers(START) == {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "8.64s",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29700",
        "x-ratelimit-reset-tokens": "600ms",
    }


def test_ideal_time_counts_what_the_full_bucket_gave_for_free() -> None:
    """90 requests out of a bucket of 60 that refills one a second take 30 s at best."""
    bucket = quota({"requests_per_minute": 60}, charge_refused="nothing")
    admitted = sum(bucket.admit(0, START + turn / 10) is None for turn in range(301))
    assert admitted == 90
    assert bucket.ideal_seconds() == pytest.approx(30)


def test_ideal_time_follows_a_limit_that_changes() -> None:
    """10 s at ten a second, then two a second: 120 requests from an empty bucket take 10 + 10 s."""
    bucket = quota({"requests_per_minute": 600}, initial_level=0, charge_refused="nothing")
    admitted = sum(bucket.admit(0, START + turn / 20) is None for turn in range(201))
    bucket.change(QuotaLimits(requests_per_minute=120), 0.0, START + 10)
    admitted += sum(bucket.admit(0, START + 10 + turn / 20) is None for turn in range(201))
    assert admitted == 120
    assert bucket.ideal_seconds() == pytest.approx(20)


@given(
    limit=st.integers(1, 10_000),
    level=st.floats(0, 1),
    charge=st.sampled_from(["requests", "all", "nothing"]),
    arrivals=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 500)), max_size=60),
)
def test_never_more_than_the_limit_and_never_below_zero(
    limit: int, level: float, charge: str, arrivals: list[tuple[float, int]]
) -> None:
    """Whatever comes when: what is admitted fits the start plus the refill, and no level is negative."""
    bucket = quota({"tokens_per_minute": limit}, initial_level=level, charge_refused=charge)
    now, admitted = START, 0
    for pause, tokens in arrivals:
        now += pause
        admitted += tokens if bucket.admit(tokens, now) is None else 0
        assert admitted <= limit * level + (now - START) * limit / 60 + 1e-3
        assert all(left >= 0 for left in bucket.levels(now).values())
        assert bucket.ideal_seconds() <= now - START + 1e-3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.06, "60ms"),
        (1, "1s"),
        (1.822, "1.822s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (62.5, "1m2.5s"),
        (72_000, "20h"),
        (86_391.36, "23h59m51.36s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    """Every form that its headers are known to take."""
    assert format_duration(seconds) == text


@given(st.floats(0, 200_000))
def test_durations_are_never_rounded_down(seconds: float) -> None:
    """A wait that is told a little too short would be refused again."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", format_duration(seconds))
    told = sum(float(number) * units[unit] for number, unit in parts)
    assert seconds - 1e-6 <= told <= seconds + 0.0011
