"""Leave that a client has taken from a pool ahead of need, so that most requests need not ask the store.

It is charged like any other leave, so a limit is kept; the pool gives it only while it is far from empty and
nobody waits. It lapses within moments: what of it is not used by then goes back. Each request gets its
own part of the charge, as if it had been charged alone and in its turn.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from llm_assets.llm.pools.bucket import Sent
from llm_assets.llm.pools.values import Grant, Return, Want

# As long as a request may take to the server: what is known of the pool is no older than for one under way.
_GOOD_FOR_SECONDS = 0.1
# What is used within this time is taken ahead for the next, and as much again until the store has answered.
_WINDOW_SECONDS = 0.05
_MORE = 2.0
NOTHING = Want(0, 0.0)


class _Side(NamedTuple):
    """What a grant was charged in one bucket."""

    bucket: str
    counts_tokens: bool
    charge: Sent


@dataclass(slots=True)
class _Stock:
    grant: Grant
    requests: float
    tokens: float
    taken_at: float
    sides: list[_Side]


class Ahead:
    """The leave one client holds for one pool. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self._stocks: deque[_Stock] = deque()
        self._used_requests = self._used_tokens = 0.0
        self._before = NOTHING
        self._since = 0.0
        self._may_run_out = False

    def __bool__(self) -> bool:
        return bool(self._stocks)

    def use(self, want: Want) -> None:
        """Count a request, whether or not there is leave for it here."""
        self._used_requests += want.requests
        self._used_tokens += want.tokens

    def take(self, want: Want, now: float) -> Grant | None:
        """Leave for one request; None when there is none that is fresh and large enough."""
        for stock in self._stocks:
            age = now - stock.taken_at
            if age < _GOOD_FOR_SECONDS and want.requests <= stock.requests and want.tokens <= stock.tokens:
                stock.requests -= want.requests
                stock.tokens -= want.tokens
                return _part(stock, want, age)
        return None

    def runs_out(self) -> bool:
        """Whether less than half is left, so that it is time to ask for more. True once for each grant."""
        if not self._may_run_out:
            return False
        stock = self._stocks[-1]
        whole = stock.grant.want
        if stock.requests * 2 >= whole.requests and stock.tokens * 2 >= whole.tokens:
            return False
        self._may_run_out = False
        return True

    def wanted(self, now: float) -> Want:
        """How much to ask for, by what was used lately."""
        requests = max(self._used_requests, self._before.requests) * _MORE
        tokens = max(self._used_tokens, self._before.tokens) * _MORE
        if now - self._since > _WINDOW_SECONDS:
            self._before, self._since = Want(self._used_requests, self._used_tokens), now
            self._used_requests = self._used_tokens = 0.0
        requests -= sum(stock.requests for stock in self._stocks)
        tokens -= sum(stock.tokens for stock in self._stocks)
        return Want(int(requests), tokens) if requests >= 1 and tokens >= 0 else NOTHING

    def add(self, grant: Grant | None, now: float) -> None:
        """What the pool gave; `now` is when it was asked."""
        if grant is not None:
            sides = [_Side(name, name.startswith("tokens"), charge) for name, charge in grant.sent.items()]
            self._stocks.append(_Stock(grant, grant.want.requests, grant.want.tokens, now, sides))
            self._may_run_out = True

    def give_back(self, now: float) -> list[Return]:
        """What has lapsed, or everything if nothing was used lately."""
        if not self._used_requests and not self._before.requests:
            return self.give_back_all()
        lapsed = [stock for stock in self._stocks if now - stock.taken_at >= _GOOD_FOR_SECONDS]
        for stock in lapsed:
            self._stocks.remove(stock)
        self._may_run_out = self._may_run_out and bool(self._stocks)
        return [_rest(stock) for stock in lapsed]

    def give_back_all(self) -> list[Return]:
        rest = [_rest(stock) for stock in self._stocks]
        self._stocks.clear()
        self._may_run_out = False
        return rest


def _part(stock: _Stock, want: Want, age: float) -> Grant:
    """The part of the charge that is the next request's: what is left in stock is charged after it."""
    at = stock.grant.at + age
    sent: dict[str, Sent] = {}
    for bucket, counts_tokens, charge in stock.sides:
        amount, left = (want.tokens, stock.tokens) if counts_tokens else (want.requests, stock.requests)
        in_transit = charge.in_transit + (charge.amount - left - amount)
        sent[bucket] = Sent(
            amount, charge.mark - left, at, in_transit, charge.overflowed, left, charge.raised, charge.unsent
        )
    return Grant(want, sent, at)


def _rest(stock: _Stock) -> Return:
    left = Want(stock.requests, stock.tokens)
    sent = {
        bucket: charge._replace(amount=left.tokens if counts_tokens else left.requests)
        for bucket, counts_tokens, charge in stock.sides
    }
    return Return(grant=Grant(left, sent, stock.grant.at), answered=False, unsent=True)
