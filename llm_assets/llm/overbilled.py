"""Providers that bill more than their price list says: how much more, so that a budget holds nevertheless.

The most a call can cost follows from the request and the prices. A provider that bills whole minutes, or has
a minimum, or is dearer than the list, passes that; from its first such answer on, that much more is reserved.
"""

from __future__ import annotations

from llm_assets.llm.ledger import Spending

# Whole numbers, as this is minded for every call.
_ONCE = 1000


class Overbilled:
    """By model, the largest bill in thousandths of the most it could have been, money and tokens."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def most(self, model: str, worst: Spending) -> Spending:
        """What to reserve for a call that by its prices costs `worst` at most."""
        seen = self._seen.get(model)
        if seen is None:
            return worst
        return Spending(-(-worst.nano_usd * seen[0] // _ONCE), -(-worst.tokens * seen[1] // _ONCE))

    def learn(self, model: str, worst: Spending, billed: Spending) -> float:
        """Remember a bill above `worst`. Returns how many times as much is reserved from now on."""
        money, tokens = self._seen.get(model, (_ONCE, _ONCE))
        money = max(money, _times(billed.nano_usd, worst.nano_usd))
        tokens = max(tokens, _times(billed.tokens, worst.tokens))
        self._seen[model] = money, tokens
        return max(money, tokens) / _ONCE


def _times(billed: int, worst: int) -> int:
    """Rounded up; where nothing could be foreseen nothing follows from it."""
    return -(-billed * _ONCE // worst) if worst else _ONCE
