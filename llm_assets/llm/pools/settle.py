"""What came back: charges that are corrected, and what answers, headers and refusals say of the buckets."""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.llm.pools import breaker
from llm_assets.llm.pools.bucket import Bucket, Kind, Sent, give_back, give_back_unsent, new_bucket
from llm_assets.llm.pools.headers import observe, observe_refusal, observe_silence
from llm_assets.llm.pools.limits import PERIOD_SECONDS, kind_of, name_for
from llm_assets.llm.pools.state import Pool
from llm_assets.llm.pools.values import Grant, Return
from llm_assets.llm.providers.base import DimensionReport

# What comes back with most answers, but for the grant.
_PLAIN = Return(grant=None)[1:]


def settle(
    pool: Pool, buckets: dict[str, Bucket], returned: Sequence[Return], headroom: float, now: float
) -> None:
    """One by one, but for answers without a word on the limits: those add up."""
    silent: dict[str, float] = {}
    for item in returned:
        if item.grant is None:
            breaker.open_breaker(pool, item, now)
        elif item[1:] != _PLAIN:
            _settle(pool, buckets, item, item.grant, headroom, now)
        else:
            pool["seen"], pool["failures"] = True, 0
            for name, sent in item.grant.sent.items():
                silent[name] = silent.get(name, 0.0) + sent.amount
    for name, amount in silent.items():
        if name in buckets:
            observe_silence(buckets[name], amount)


def _settle(
    pool: Pool, buckets: dict[str, Bucket], item: Return, grant: Grant, headroom: float, now: float
) -> None:
    if item.unsent:
        for name, sent in _known(buckets, grant):
            give_back_unsent(buckets[name], sent)
        return
    breaker.count(pool, item, now)
    if not item.answered:
        return
    if item.tokens is not None:
        _correct_charge(buckets, grant, item.tokens)
    if item.reports:
        for kind, report in item.reports.items():
            _observe_report(buckets, grant, kind, report, headroom, now)
    _observe_without_report(buckets, item, grant)


def _known(buckets: dict[str, Bucket], grant: Grant) -> list[tuple[str, Sent]]:
    """What was charged to buckets that are still there: a store may lose its data meanwhile."""
    return [(name, sent) for name, sent in grant.sent.items() if name in buckets]


def _correct_charge(buckets: dict[str, Bucket], grant: Grant, tokens: float) -> None:
    for name, sent in _known(buckets, grant):
        if kind_of(name) == "tokens":
            give_back(buckets[name], sent.amount - tokens)


def _observe_report(
    buckets: dict[str, Bucket],
    grant: Grant,
    kind: Kind,
    report: DimensionReport,
    headroom: float,
    now: float,
) -> None:
    name = name_for(buckets, kind, report)
    if name not in buckets:
        if report.limit is None:
            return
        buckets[name] = new_bucket(report.limit, PERIOD_SECONDS[name], headroom, now, configured=False)
    bucket = buckets[name]
    amount = grant.want.tokens if kind == "tokens" else grant.want.requests
    # A bucket learned from this very answer has not counted the requests before it: they are all in flight.
    sent = grant.sent.get(name) or Sent(
        amount, bucket.sent, now, 0.0, bucket.overflowed, raised=bucket.raised, unsent=bucket.unsent
    )
    observe(bucket, report, sent, headroom, now)


def _observe_without_report(buckets: dict[str, Bucket], item: Return, grant: Grant) -> None:
    reported = item.reports or {}
    for name, sent in _known(buckets, grant):
        kind = kind_of(name)
        if item.refused:
            if item.refused_kind in (kind, None) and name.endswith("minute"):
                observe_refusal(buckets[name], sent)
        elif kind not in reported and buckets[name].hidden:
            observe_silence(buckets[name], sent.amount)
