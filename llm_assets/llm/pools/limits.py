"""Which limits hold: those that clients configured, and which of them a header speaks of."""

from __future__ import annotations

from llm_assets.llm.models import Limits
from llm_assets.llm.pools.bucket import DAY_SECONDS, MINUTE_SECONDS, Bucket, Kind, configure, new_bucket
from llm_assets.llm.pools.headers import period_of
from llm_assets.llm.pools.state import Pool
from llm_assets.llm.pools.values import Client
from llm_assets.llm.providers.base import DimensionReport

PERIOD_SECONDS = {
    "requests_per_minute": MINUTE_SECONDS,
    "tokens_per_minute": MINUTE_SECONDS,
    "requests_per_day": DAY_SECONDS,
    "tokens_per_day": DAY_SECONDS,
}


def kind_of(name: str) -> Kind:
    return "requests" if name.startswith("requests") else "tokens"


def configure_buckets(
    pool: Pool,
    buckets: dict[str, Bucket],
    client: Client,
    limits: Limits | None,
    headroom: float,
    now: float,
) -> tuple[str, float, float] | None:
    """Of what living clients configured the smallest holds. Returns what of ours does not, and what does."""
    votes = pool.setdefault("limits", {})
    for client_id in [key for key, (until, _) in votes.items() if until < now]:
        del votes[client_id]
    ours = {} if limits is None else {name: value for name, value in limits if value is not None}
    if ours:
        votes[client.id] = [now + client.lease_seconds, ours]
    overruled = None
    for name, period in PERIOD_SECONDS.items():
        told = [vote[name] for _, vote in votes.values() if name in vote]
        if not told:
            continue
        limit = min(told)
        if ours.get(name, 0) > limit:
            overruled = (name, ours[name], limit)
        if name not in buckets:
            buckets[name] = new_bucket(limit, period, headroom, now, configured=True)
        elif buckets[name].configured != limit:
            configure(buckets[name], limit, headroom)
    return overruled


def name_for(buckets: dict[str, Bucket], kind: Kind, report: DimensionReport) -> str:
    """Which bucket a header speaks of: the known one with that limit, else the period it gives away."""
    names = [name for name in buckets if kind_of(name) == kind]
    for name in names:
        if report.limit and report.limit in (buckets[name].server_limit, buckets[name].configured):
            return name
    if len(names) == 1 and report.reset_seconds is None:
        return names[0]
    suffix = "per_day" if period_of(report) == DAY_SECONDS else "per_minute"
    return f"{kind}_{suffix}"
