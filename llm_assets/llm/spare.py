"""What a client holds in the budget's ledger beyond its calls on the wire, so that most calls need
not ask it.

It follows the latest demand: asked for before it runs out, given back once nobody needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_assets.llm.ledger import NOTHING, Settled, Spending

# What is used within this time is what is used lately.
_WINDOW_SECONDS = 0.045


@dataclass(slots=True)
class Spare:
    """Amounts are whole billionths of a dollar, and tokens."""

    accounts: tuple[str, ...] = ()
    nano_usd: int = 0
    tokens: int = 0
    _used_nano_usd: int = 0
    _used_tokens: int = 0
    _used_before: Spending = NOTHING
    _since: float = 0.0
    _may_run_out: bool = False

    def has(self, worst: Spending, accounts: tuple[str, ...]) -> bool:
        """Whether there is as much, in these accounts."""
        return accounts == self.accounts and worst[0] <= self.nano_usd and worst[1] <= self.tokens

    def take(self, worst: Spending) -> None:
        """Take what there is."""
        nano_usd, tokens = worst
        self.nano_usd -= nano_usd
        self.tokens -= tokens
        self._used_nano_usd += nano_usd
        self._used_tokens += tokens

    def runs_out(self) -> bool:
        """Whether less is left than was used lately, so that it is time to ask for more. True once."""
        before = self._used_before
        if not self._may_run_out or (self.nano_usd >= before.nano_usd and self.tokens >= before.tokens):
            return False
        self._may_run_out = False
        return True

    def wanted(self, worst: Spending) -> Spending:
        """Twice as much as was used lately: few questions while there is much to do, little held idle."""
        lately = self._lately()
        self._used_nano_usd += worst.nano_usd
        self._used_tokens += worst.tokens
        return lately + lately

    def missing(self) -> Spending:
        """What there is to ask for beside what is left."""
        lately = self._lately()
        return Spending(max(2 * lately.nano_usd - self.nano_usd, 0), max(2 * lately.tokens - self.tokens, 0))

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

    def give_back_unused(self, now: float) -> list[Settled]:
        """Everything, when nobody needed it lately."""
        if now - self._since < _WINDOW_SECONDS:
            return []
        self._since = now
        self._used_before = Spending(self._used_nano_usd, self._used_tokens)
        self._used_nano_usd = self._used_tokens = 0
        return self.give_back() if self._used_before == NOTHING else []

    def _lately(self) -> Spending:
        before = self._used_before
        return Spending(max(self._used_nano_usd, before.nano_usd), max(self._used_tokens, before.tokens))
