"""What answers tell about a bucket: corrections of its level, of its limit, and of the refill to expect.

A header may be as old as the answer took, so it never replaces the level: it only bounds it (see
`_bounds`), and inside the bounds our own count is the better figure.
"""

from __future__ import annotations

from llm_assets.llm.pools.bucket import DAY_SECONDS, MINUTE_SECONDS, Bucket, Sent, usable
from llm_assets.llm.providers.base import DimensionReport

_LEAST_SHARE = 0.02
_DRIFT_WINDOW_SECONDS = 2.0
_MOST_MARGIN_SHARE = 0.02
# What is left of the distance kept after a refusal when headers have told the level for another window.
_MARGIN_KEPT = 0.7


def observe(bucket: Bucket, report: DimensionReport, sent: Sent, headroom: float, now: float) -> None:
    """Correct the level by a header, within what the requests on their way can explain."""
    _follow_limit(bucket, report, headroom, now)
    if report.remaining is None:
        return
    low, high = _bounds(bucket, report.remaining, sent, now)
    if not bucket.confirmed_at:
        bucket.level, bucket.hidden = low, 0.0
        bucket.offered = max(bucket.offered, bucket.sent + max(low, 0.0))
    else:
        _clamp(bucket, low, high)
        _learn_share(bucket, now)
    bucket.confirmed_at = now


def observe_silence(bucket: Bucket, amount: float) -> None:
    """Answers without headers to what was charged `amount`: the bucket held as much, so open it further."""
    opened = min(bucket.hidden, amount)
    bucket.hidden -= opened
    bucket.offered += opened
    bucket.level = min(bucket.capacity, bucket.level + opened)


def observe_refusal(bucket: Bucket, sent: Sent) -> None:
    """The server had less than we thought: keep a small distance, and expect less refill."""
    bucket.hidden = 0.0
    bucket.level = min(bucket.level, 0.0)
    most = bucket.capacity * _MOST_MARGIN_SHARE
    bucket.margin = min(max(bucket.margin, sent.amount) + sent.amount * 0.5, max(most, sent.amount))


def _bounds(bucket: Bucket, remaining: float, sent: Sent, now: float) -> tuple[float, float]:
    """The least and the greatest level now, from a figure that was true between sending and now.

    True at the answer: only what is still on its way to the server is missing in it. True at admission:
    refilled since, less everything sent after it, and what was sent just before may have come later.
    """
    at_answer = remaining - (bucket.sent - bucket.sent_before)
    refilled = (now - sent.at) * bucket.refill_per_second - (bucket.overflowed - sent.overflowed)
    at_admission = remaining + refilled - (bucket.sent - sent.mark)
    low = min(at_answer, at_admission - sent.in_transit)
    if bucket.overflowed > sent.overflowed:  # our count has been full since, so it is no less than the truth
        low = min(low, bucket.level)
    high = max(remaining, at_admission)
    return min(low, bucket.capacity), min(high, bucket.capacity)


def _clamp(bucket: Bucket, low: float, high: float) -> None:
    # Where we use only a part of the server's limit its level says nothing about the floor of ours.
    low = low if bucket.capacity >= bucket.server_limit else min(low, bucket.level)
    corrected = min(max(bucket.level, low), high)
    bucket.drift += corrected - bucket.level
    bucket.level = corrected


def _learn_share(bucket: Bucket, now: float) -> None:
    """Corrections that all point one way mean that the refill is not what we think it is."""
    elapsed = now - bucket.drift_since
    if elapsed < _DRIFT_WINDOW_SECONDS:
        return
    nominal = bucket.capacity / bucket.period_seconds
    bucket.share = min(max(bucket.share + 0.5 * bucket.drift / (nominal * elapsed), _LEAST_SHARE), 1.0)
    bucket.drift, bucket.drift_since = 0.0, now
    bucket.margin *= _MARGIN_KEPT


def _follow_limit(bucket: Bucket, report: DimensionReport, headroom: float, now: float) -> None:
    limit = report.limit
    if not limit or limit == bucket.server_limit:
        return
    bucket.server_limit = limit
    # A limit someone configured below the server's is meant; one above it is a mistake.
    allowed = min(limit, bucket.configured) if bucket.configured else limit
    before, bucket.capacity = bucket.capacity, usable(allowed, headroom)
    bucket.period_seconds = period_of(report, bucket.period_seconds)
    bucket.level = min(bucket.level * bucket.capacity / before, bucket.level, bucket.capacity)
    bucket.hidden = min(bucket.hidden, bucket.capacity)
    bucket.drift, bucket.drift_since = 0.0, now


def period_of(report: DimensionReport, otherwise: float = MINUTE_SECONDS) -> float:
    """Whether a header speaks of a limit per minute or per day: the time to full gives it away."""
    if not report.limit or report.remaining is None or not report.reset_seconds:
        return otherwise
    used = report.limit - report.remaining
    if used <= 0:
        return otherwise
    seconds_to_refill_all = report.reset_seconds * report.limit / used
    return DAY_SECONDS if seconds_to_refill_all > 10 * MINUTE_SECONDS else MINUTE_SECONDS
