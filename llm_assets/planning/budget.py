"""Whether a budget bears what is planned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from llm_assets.llm.models import BudgetConfig

Cost = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """What is planned for the models of a resource, beside what it may spend.

    `cost_usd` is from least to most, None when a price is unknown; `spent_today_usd` is that of all runs
    under the cap per day; `runs` is in how many runs the days are materialized. `uncounted` recordings will
    be asked about too, and nobody knows yet what they cost.
    """

    resource: str
    budget: BudgetConfig
    cost_usd: Cost | None
    spent_today_usd: Decimal
    runs: int
    uncounted: int = 0

    @property
    def left_today_usd(self) -> Decimal | None:
        """None without a cap per day."""
        per_day = self.budget.usd_per_day
        return None if per_day is None else max(per_day - self.spent_today_usd, Decimal(0))

    @property
    def bears(self) -> Literal["yes", "perhaps", "no", "unknown"]:
        """Whether it is enough today. The runs are taken to be of the same size."""
        caps = self._caps()
        if not caps:
            return "yes"
        if self.cost_usd is None:
            return "yes" if self.budget.allow_unknown_prices and not self.uncounted else "unknown"
        least, most = self.cost_usd
        if least > min(caps):
            return "no"
        if self.uncounted:
            return "unknown"
        return "yes" if most <= min(caps) else "perhaps"

    @property
    def days(self) -> tuple[int, int] | None:
        """Over how many days the cap per day spreads the cost, at least and at most; None without an end
        or while something is not counted.
        """
        left, per_day = self.left_today_usd, self.budget.usd_per_day
        if left is None or not per_day or self.cost_usd is None or self.uncounted:
            return None
        least, most = (1 + max(math.ceil((cost - left) / per_day), 0) for cost in self.cost_usd)
        return least, most

    def numbers(self) -> dict[str, Any]:
        """As JSON takes it."""
        caps = {"usd_per_run": self.budget.usd_per_run, "usd_per_day": self.budget.usd_per_day}
        return {
            "resource": self.resource,
            **{name: None if cap is None else float(cap) for name, cap in caps.items()},
            "spent_today_usd": float(self.spent_today_usd),
            "left_today_usd": None if self.left_today_usd is None else float(self.left_today_usd),
            "runs": self.runs,
            "recordings_not_counted": self.uncounted,
            "bears": self.bears,
            "days": self.days,
        }

    def _caps(self) -> list[Decimal]:
        caps = [] if self.left_today_usd is None else [self.left_today_usd]
        if self.budget.usd_per_run is not None:
            caps.append(self.budget.usd_per_run * self.runs)
        return caps
