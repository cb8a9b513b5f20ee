"""What a budget has to say while calls go on, each of it once."""

from __future__ import annotations

from collections.abc import Callable

from llm_assets.errors import BudgetExceeded, RequestTooDear
from llm_assets.llm.ledger import Answer, Cap

# Whoever waits longer than this for others' calls wants to know what for.
_SILENT_WAIT_SECONDS = 5.0


class BudgetWarnings:
    """`warn` is called with each of them. A cap is nearly used up at the share `warn_at` of it."""

    def __init__(self, warn: Callable[[str], None], *, warn_at: float, lease_seconds: float) -> None:
        self._warn = warn
        self._warn_at = warn_at
        self._lease_seconds = lease_seconds
        self._said: set[tuple[str, str]] = set()

    def nearly_used_up(self, answer: Answer) -> None:
        """Once per cap, as far as the ledger says so."""
        cap = answer.cap
        if cap is not None and answer.fullest_share >= self._warn_at:
            self._say(
                ("cap", cap.name),
                f"{answer.fullest_share:.0%} of the budget {cap.name} is used or reserved: "
                f"{cap.shown(answer.used)} of {cap.shown(cap.most)}",
            )

    def passed_over(self, model: str, error: BudgetExceeded | RequestTooDear) -> None:
        """Once per model: the budget does not bear it and something cheaper answers instead."""
        self._say(("passed over", model), f"{model} is passed over: {error}")

    def overbilled(self, model: str, times: float) -> None:
        """Once per model: a call cost more than by the price list it could."""
        self._say(
            ("overbilled", model),
            f"{model} bills more than it can by its price and the request: from now on {times:.2f} times "
            "as much is reserved for its calls; a cap may be passed by those on their way until now",
        )

    def waiting(self, seconds: float, cap: Cap | None) -> None:
        """Calls wait for what others hold under a cap, when they have waited for long."""
        if cap is None or seconds <= _SILENT_WAIT_SECONDS:
            return
        message = f"calls wait, for calls on their way hold the rest of the budget {cap.name}"
        if cap.is_of_the_day:
            message += (
                ", of this run or of others; what a run that died held counts as spent after "
                f"{self._lease_seconds:.0f} s"
            )
        self._say(("waiting", cap.name), message)

    def _say(self, what: tuple[str, str], message: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._warn(message)
