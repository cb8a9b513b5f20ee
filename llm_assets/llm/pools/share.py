"""How much of the refill reaches us: somebody else may use the same key, and nobody is told.

Measured from one header to another one some time later: what is left now, less what was left then, and what
was sent in between. Our own count is no part of it, so an error in it does not feed on itself.
"""

from __future__ import annotations

from llm_assets.llm.pools.bucket import KNOWN, NOTHING_TOLD, Bucket, Sent

_WINDOW_SECONDS = 2.0
_LEAST_SHARE = 0.02
# To count on too much costs refusals. To count on too little costs next to nothing, since headers raise
# the level again. So what is counted on rises slower than it falls.
_GAIN_UP = 0.5
# What leaves more open than this part of the refill, as a header of a burst does, is no measurement yet.
_CLEAR = 0.5


def measure_refill(bucket: Bucket, remaining: float, sent: Sent, now: float) -> bool:
    """Take in what a header says of the refill since an earlier one. True if it was long enough ago."""
    if bucket.told == NOTHING_TOLD or bucket.told_overflowed != bucket.overflowed:
        _remember(bucket, remaining, sent, now)  # of what was lost at a full bucket nothing can be told
        return False
    elapsed, elapsed_at_answer = sent.at - bucket.told_at, now - bucket.told_when
    if min(elapsed, elapsed_at_answer) < _WINDOW_SECONDS:
        return False
    more = remaining - bucket.told
    at_admission = (more + sent.mark - bucket.told_mark) / elapsed
    at_answer = (more + bucket.sent - bucket.told_sent) / elapsed_at_answer
    # A whole number may be anything up to the next one; a refused request may have been charged or not.
    unsure = 1.0 / elapsed if remaining == int(remaining) else 0.0
    if bucket.as_of >= KNOWN:
        at_answer = at_admission
    elif bucket.as_of <= -KNOWN:
        at_admission = at_answer
    least = min(at_admission, at_answer) - unsure - bucket.told_unsure / elapsed
    _approach(bucket, least, max(at_admission, at_answer) + unsure)
    _remember(bucket, remaining, sent, now)
    return True


def _remember(bucket: Bucket, remaining: float, sent: Sent, now: float) -> None:
    bucket.told, bucket.told_overflowed, bucket.told_unsure = remaining, sent.overflowed, 0.0
    bucket.told_at, bucket.told_mark = sent.at, sent.mark
    bucket.told_when, bucket.told_sent = now, bucket.sent


def _approach(bucket: Bucket, least: float, most: float) -> None:
    nominal = bucket.capacity / bucket.period_seconds
    nearest = min(max(bucket.share, least / nominal), most / nominal)
    if most - least < _CLEAR * nominal:
        bucket.measured = 1.0
    gain = _GAIN_UP if nearest > bucket.share else 1.0
    bucket.share = min(max(bucket.share + gain * (nearest - bucket.share), _LEAST_SHARE), 1.0)
