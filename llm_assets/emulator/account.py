"""The emulated account: the quotas of its pools, what a neighbour takes of them, and its credit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_assets.clock import Clock
from llm_assets.emulator.config import EmulatorConfig, QuotaLimits
from llm_assets.emulator.quota import Quota


class Account:
    """Pools are made when they are first used, with the limits that hold then."""

    def __init__(self, config: EmulatorConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._limits: dict[str, QuotaLimits] = dict(config.limits_by_pool)
        self._default_limits = config.limits
        self._neighbour_share = config.neighbour_share
        self._quotas: dict[str, Quota] = {}
        self._admitted = 0

    def pool_of(self, model: str) -> str:
        """The pool that a model draws on: its own unless it is configured to share one."""
        return self._config.pools.get(model, model)

    def quota_of(self, pool: str) -> Quota:
        if pool not in self._quotas:
            limits = self._limits.get(pool, self._default_limits)
            quota = Quota(limits, self._config, self._clock.now())
            quota.change(limits, self._neighbour_share, self._clock.now())
            self._quotas[pool] = quota
        return self._quotas[pool]

    def has_credit(self) -> bool:
        """Spend one admitted request's worth; False when the account's credit is gone."""
        self._admitted += 1
        after = self._config.insufficient_quota_after
        return after is None or self._admitted <= after

    def change_limits(
        self, pool: str | None, changes: Mapping[str, int | None], neighbour_share: float | None
    ) -> None:
        """Other limits from now on for one pool, or for all pools of now and later.

        What is not named stays as it is. Raises ValueError for a limit that does not exist.
        """
        if pool is None:
            self._default_limits = _changed(self._default_limits, changes)
            self._neighbour_share = self._neighbour_share if neighbour_share is None else neighbour_share
        for name in [pool] if pool is not None else [*self._quotas]:
            quota = self.quota_of(name)
            self._limits[name] = _changed(quota.limits, changes)
            share = quota.neighbour_share if neighbour_share is None else neighbour_share
            quota.change(self._limits[name], share, self._clock.now())

    def reset(self) -> None:
        """Buckets as at the start, with the limits that hold now."""
        shares = {pool: quota.neighbour_share for pool, quota in self._quotas.items()}
        self._quotas.clear()
        self._admitted = 0
        for pool, share in shares.items():
            quota = self.quota_of(pool)
            quota.change(quota.limits, share, self._clock.now())

    @property
    def ideal_seconds(self) -> float:
        """The least time in which the quotas could have let through what they let through."""
        return max((quota.ideal_seconds() for quota in self._quotas.values()), default=0.0)

    def report(self) -> dict[str, Any]:
        """Every pool's limits, levels and ideal time as plain JSON values."""
        now = self._clock.now()
        return {
            pool: {
                "limits": quota.limits.model_dump(exclude_none=True),
                "levels": quota.levels(now),
                "neighbour_share": quota.neighbour_share,
                "ideal_seconds": round(quota.ideal_seconds(), 6),
            }
            for pool, quota in sorted(self._quotas.items())
        }


def _changed(limits: QuotaLimits, changes: Mapping[str, int | None]) -> QuotaLimits:
    return QuotaLimits.model_validate(limits.model_dump() | dict(changes))
