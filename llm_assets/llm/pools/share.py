"""How much of the refill reaches us: somebody else may use the same key, and nobody is told.

Measured from one header to another one some time later: what is left now, less what was left then, and what
was sent in between. Our own count is no part of it, so an error in it does not feed on itself. What was sent
within a moment of either header may have come to the server before or after it: after a burst of several
processes that is more than what was refilled, so it is left open.
"""

from __future__ import annotations

from typing import NamedTuple

from llm_assets.llm.pools.bucket import KNOWN, NOTHING_TOLD, Bucket, Sent

_WINDOW_SECONDS = 2.0
_LEAST_SHARE = 0.02
# To count on too much costs refusals. To count on too little costs next to nothing, since headers raise
# the level again. So what is counted on rises slower than it falls.
_GAIN_UP = 0.5
# What leaves more open than this part of the refill, as a header of a burst does, is no measurement yet.
_CLEAR = 0.5


class _Refill(NamedTuple):
    """In units a second, if requests came to the server in the order that leaves least, or most, to it."""

    least: float
    most: float


def measure_refill(bucket: Bucket, remaining: float, sent: Sent, on_the_way: float, now: float) -> bool:
    """Take in what a header says of the refill since an earlier one. True if it was long enough ago."""
    if bucket.told == NOTHING_TOLD or bucket.told_overflowed != bucket.overflowed:
        # Of what was lost at a full bucket nothing can be told.
        _remember(bucket, remaining, sent, on_the_way, now)
        return False
    elapsed, elapsed_at_answer = sent.at - bucket.told_at, now - bucket.told_when
    if min(elapsed, elapsed_at_answer) < _WINDOW_SECONDS:
        return False
    more = remaining - bucket.told
    since, since_at_answer = more + sent.mark - bucket.told_mark, more + bucket.sent - bucket.told_sent
    at_admission = _Refill(
        (since - sent.in_transit - bucket.told_followed) / elapsed,
        (since + sent.followed + bucket.told_in_transit) / elapsed,
    )
    at_answer = _Refill(
        (since_at_answer - on_the_way) / elapsed_at_answer,
        (since_at_answer + bucket.told_on_the_way) / elapsed_at_answer,
    )
    # A whole number may be anything up to the next one; a refused request may have been charged or not.
    unsure = 1.0 / elapsed if remaining == int(remaining) else 0.0
    if bucket.as_of >= KNOWN:
        at_answer = at_admission
    elif bucket.as_of <= -KNOWN:
        at_admission = at_answer
    least = min(at_admission.least, at_answer.least) - unsure - bucket.told_unsure / elapsed
    _approach(bucket, least, max(at_admission.most, at_answer.most) + unsure)
    _remember(bucket, remaining, sent, on_the_way, now)
    return True


def _remember(bucket: Bucket, remaining: float, sent: Sent, on_the_way: float, now: float) -> None:
    bucket.told, bucket.told_overflowed, bucket.told_unsure = remaining, sent.overflowed, 0.0
    bucket.told_at, bucket.told_mark = sent.at, sent.mark
    bucket.told_when, bucket.told_sent = now, bucket.sent
    bucket.told_followed, bucket.told_in_transit = sent.followed, sent.in_transit
    bucket.told_on_the_way = on_the_way


def _approach(bucket: Bucket, least: float, most: float) -> None:
    nominal = bucket.capacity / bucket.period_seconds
    nearest = min(max(bucket.share, least / nominal), most / nominal)
    if most - least < _CLEAR * nominal:
        bucket.measured = 1.0
    gain = _GAIN_UP if nearest > bucket.share else 1.0
    bucket.share = min(max(bucket.share + gain * (nearest - bucket.share), _LEAST_SHARE), 1.0)
