"""What answers tell about a bucket: corrections of its level, of its limit, and of the refill to expect.

A header may be as old as the answer took, so it never replaces the level: it only bounds it (see
`_least` and `_most`), and inside the bounds our own count is the better figure.
"""

from __future__ import annotations

from typing import NamedTuple

from llm_assets.llm.pools.bucket import DAY_SECONDS, KNOWN, MINUTE_SECONDS, NOTHING_TOLD, Bucket, Sent, usable
from llm_assets.llm.pools.share import measure_refill
from llm_assets.llm.providers.base import DimensionReport

_MOST_EVIDENCE = 6.0
_MOST_MARGIN_SHARE = 0.02
# What is left of the distance kept after a refusal when headers have told the level for another window.
_MARGIN_KEPT = 0.7


def observe(bucket: Bucket, report: DimensionReport, sent: Sent, headroom: float, now: float) -> None:
    """Correct the level by a header, within what the requests on their way can explain."""
    _follow_limit(bucket, report, headroom, now)
    if report.remaining is None:
        return
    stories = _stories(bucket, report.remaining, sent, now)
    before = bucket.level
    if not bucket.confirmed_at:
        bucket.level, bucket.hidden = _least(bucket, stories, sent), 0.0
        bucket.offered = max(bucket.offered, bucket.sent + max(bucket.level, 0.0))
    else:
        _weigh(bucket, stories, sent)
        _clamp(bucket, _least(bucket, stories, sent), _most(bucket, stories, sent))
    bucket.raised += max(bucket.level - before, 0.0)
    if measure_refill(bucket, report.remaining, sent, stories.on_the_way, now):
        bucket.margin *= _MARGIN_KEPT
    bucket.confirmed_at = now


def observe_silence(bucket: Bucket, amount: float) -> None:
    """Answers without headers to what was charged `amount`: the bucket held as much, so open it further."""
    opened = min(bucket.hidden, amount)
    bucket.hidden -= opened
    bucket.offered += opened
    bucket.level = min(bucket.capacity, bucket.level + opened)


def observe_refusal(bucket: Bucket, sent: Sent) -> None:
    """The server had less than we thought: keep a small distance."""
    bucket.hidden = 0.0
    bucket.level = min(bucket.level, 0.0)
    bucket.told_unsure += sent.amount
    most = bucket.capacity * _MOST_MARGIN_SHARE
    bucket.margin = min(max(bucket.margin, sent.amount) + sent.amount * 0.5, max(most, sent.amount))


class _Stories(NamedTuple):
    """The level now, if a header was true when its request was let through, or at the answer.

    `on_the_way` is what may have been sent too late to be counted at the answer.
    """

    at_admission: float
    at_answer: float
    refilled: float
    on_the_way: float


def _stories(bucket: Bucket, remaining: float, sent: Sent, now: float) -> _Stories:
    """True at admission: refilled since, less everything sent after it. True at the answer: as it is."""
    refilled = (now - sent.at) * bucket.refill_per_second - (bucket.overflowed - sent.overflowed)
    own = sent.amount if sent.mark > bucket.sent_before else 0.0
    on_the_way = bucket.sent - bucket.sent_before - own
    return _Stories(remaining + refilled - (bucket.sent - sent.mark), remaining, refilled, on_the_way)


def _least(bucket: Bucket, stories: _Stories, sent: Sent) -> float:
    """The level is no less, whichever story is true, and whatever came to the server in another order."""
    # Given back since: if it was charged before this request, it is none of what was sent after it.
    unsent = bucket.unsent - sent.unsent
    # Until the refill has been measured, somebody else may have had all of it.
    in_doubt = 0.0 if bucket.measured else max(stories.refilled, 0.0)
    at_admission = stories.at_admission - sent.in_transit - unsent - in_doubt
    low = min(stories.at_answer - stories.on_the_way, at_admission)
    if bucket.overflowed > sent.overflowed:  # our count has been full since, so it is no less than the truth
        low = min(low, bucket.level)
    return min(low, bucket.capacity)


def _most(bucket: Bucket, stories: _Stories, sent: Sent) -> float:
    """The level is no more. A story that is known to be wrong says nothing here: to ask less is no harm."""
    if bucket.as_of >= KNOWN:
        high = stories.at_admission + sent.followed
    elif bucket.as_of <= -KNOWN:
        high = stories.at_answer
    else:
        high = max(stories.at_admission, stories.at_answer)
    return min(high, bucket.capacity)


def _weigh(bucket: Bucket, stories: _Stories, sent: Sent) -> None:
    """A header that fits only one of the stories tells when this server's headers are true."""
    unsure = (
        stories.on_the_way + sent.in_transit + sent.followed + max(stories.refilled, 0.0) + 2 * sent.amount
    )
    at_admission = abs(stories.at_admission - bucket.level) <= unsure
    at_answer = abs(stories.at_answer - bucket.level) <= unsure
    if at_admission != at_answer:
        bucket.as_of += 1.0 if at_admission else -1.0
        bucket.as_of = min(max(bucket.as_of, -_MOST_EVIDENCE), _MOST_EVIDENCE)


def _clamp(bucket: Bucket, low: float, high: float) -> None:
    # Where we use only a part of the server's limit its level says nothing about the floor of ours.
    low = low if bucket.capacity >= bucket.server_limit else min(low, bucket.level)
    bucket.level = min(max(bucket.level, low), high)


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
    bucket.told = NOTHING_TOLD


def period_of(report: DimensionReport, otherwise: float = MINUTE_SECONDS) -> float:
    """Whether a header speaks of a limit per minute or per day: the time to full gives it away."""
    if not report.limit or report.remaining is None or not report.reset_seconds:
        return otherwise
    used = report.limit - report.remaining
    if used <= 0:
        return otherwise
    seconds_to_refill_all = report.reset_seconds * report.limit / used
    return DAY_SECONDS if seconds_to_refill_all > 10 * MINUTE_SECONDS else MINUTE_SECONDS
