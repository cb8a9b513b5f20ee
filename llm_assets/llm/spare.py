"""What a client holds in the budget's ledger beyond its calls on the wire, so that most calls need not
ask it.

It is worth a few calls and no more, for with a client that is killed it is lost. What a call held and did not
cost serves the next ones, so even a busy client uses it up slowly. Asked for before it runs out, given back
once nobody needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_assets.llm.ledger import NOTHING, Settled, Spending

# Worth as many calls of late as are on the wire, and no more than this. Who finds too little asks for all who
# wait, so more would spare little.
_MOST_CALLS = 16
# A call counts for this part of what calls are like of late.
_LATE_PART = 8


@dataclass(slots=True)
class Spare:
    """Amounts are whole billionths of a dollar, and tokens."""

    accounts: tuple[str, ...] = ()
    nano_usd: int = 0
    tokens: int = 0
    _usual_nano_usd: int = 0
    _usual_tokens: int = 0
    _is_used: bool = False
    _since: float = 0.0
    _may_run_out: bool = False

    def has(self, worst: Spending, accounts: tuple[str, ...]) -> bool:
        """Whether there is as much, in these accounts."""
        return accounts == self.accounts and worst[0] <= self.nano_usd and worst[1] <= self.tokens

    def take(self, worst: Spending) -> None:
        """Take what there is."""
        self.nano_usd -= worst[0]
        self.tokens -= worst[1]
        self.learn(worst)

    def learn(self, worst: Spending) -> None:
        """What one more call may cost at most."""
        self._usual_nano_usd -= (self._usual_nano_usd - worst[0]) // _LATE_PART
        self._usual_tokens -= (self._usual_tokens - worst[1]) // _LATE_PART
        self._is_used = True

    def keep(self, nano_usd: int, tokens: int, accounts: tuple[str, ...]) -> bool:
        """Keep what a call held and did not cost for the next ones. Whether it is of use here."""
        if accounts != self.accounts:
            return False
        self.nano_usd += nano_usd
        self.tokens += tokens
        return True

    def runs_out(self, on_the_wire: int) -> bool:
        """Whether less than half is left, so that it is time to ask for more. True once for each answer."""
        if not self._may_run_out:
            return False
        half = (min(on_the_wire, _MOST_CALLS) + 1) // 2
        if self.nano_usd >= half * self._usual_nano_usd and self.tokens >= half * self._usual_tokens:
            return False
        self._may_run_out = False
        return True

    def missing(self, on_the_wire: int) -> Spending:
        """What there is to ask for beside what is left."""
        nano_usd, tokens = self._wanted(on_the_wire)
        return Spending(max(nano_usd - self.nano_usd, 0), max(tokens - self.tokens, 0))

    def add(self, amount: Spending, accounts: tuple[str, ...]) -> None:
        """Hold more, in the same accounts or where nothing was held."""
        self.accounts = accounts
        self.nano_usd += amount.nano_usd
        self.tokens += amount.tokens
        self._may_run_out = amount != NOTHING

    def give_back(self) -> list[Settled]:
        """Everything."""
        accounts, amount = self.accounts, Spending(self.nano_usd, self.tokens)
        self.accounts, self.nano_usd, self.tokens, self._may_run_out = (), 0, 0, False
        return [Settled(accounts, amount, NOTHING)] if accounts else []

    def give_back_unused(self, now: float, idle_seconds: float, on_the_wire: int) -> list[Settled]:
        """What is more than it should be, and everything when nobody needed it for as long."""
        if now - self._since >= idle_seconds:
            is_used, self._is_used, self._since = self._is_used, False, now
            if not is_used:
                return self.give_back()
        nano_usd, tokens = self._wanted(on_the_wire)
        more = Spending(max(self.nano_usd - nano_usd, 0), max(self.tokens - tokens, 0))
        self.nano_usd -= more.nano_usd
        self.tokens -= more.tokens
        return [Settled(self.accounts, more, NOTHING)] if more != NOTHING else []

    def _wanted(self, on_the_wire: int) -> Spending:
        calls = min(max(on_the_wire, 1), _MOST_CALLS)
        return Spending(calls * self._usual_nano_usd, calls * self._usual_tokens)
