"""What all calls of a client share, and what one call carries along."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from llm_assets.clock import Clock
from llm_assets.errors import ClientClosed
from llm_assets.llm.budget import Budget
from llm_assets.llm.concurrency import Window
from llm_assets.llm.http import HttpRequest
from llm_assets.llm.journal import Journal
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.limits import Limiter
from llm_assets.llm.metrics import Metrics
from llm_assets.llm.models import ClientConfig, Limits, ModelConfig
from llm_assets.llm.overbilled import Overbilled
from llm_assets.llm.providers.base import Provider
from llm_assets.llm.requests import Request
from llm_assets.llm.sizes import OutputSizes
from llm_assets.llm.transport import Transport


@dataclass(frozen=True, slots=True)
class Link:
    """One model of a chain, ready to be asked. `server` says whose answers these are, for the journal."""

    model: ModelConfig
    provider: Provider
    pool: str
    server: str
    limits: Limits | None


@dataclass(slots=True)
class Round:
    """The attempts of one call at one model, and whether it has waited an outage of that model out."""

    attempts: int = 0
    has_waited: bool = False

    def wait_out(self, *, again: bool = False) -> None:
        """The model is left alone: who has failed at it counts this as its wait, and starts anew after it."""
        if self.attempts and (again or not self.has_waited):
            self.attempts, self.has_waited = 0, True


@dataclass(slots=True)
class Tally:
    """What one logical call has been through so far, over all attempts and models.

    `on_the_wire` while its request is sent and nothing but the answer is waited for. `may_be_billed` when it
    was sent and no whole answer came. `same_as` are the journal keys of another call's request while this one
    waits for its answer.
    """

    started_at: float
    give_up_at: float
    attempts: int = 0
    rate_limited: int = 0
    wait_seconds: float = 0.0
    http_status: int | None = None
    request_id: str | None = None
    latency_seconds: float = 0.0
    uninformed_refusals: int = 0
    on_the_wire: bool = False
    may_be_billed: bool = False
    same_as: tuple[bytes, ...] = ()
    sent_at: float = 0.0
    rounds: dict[str, Round] | None = None

    def round_at(self, pool: str) -> Round:
        if self.rounds is None:  # nothing went wrong so far, as with most calls
            self.rounds = {}
        return self.rounds.setdefault(pool, Round())

    def send(self, now: float) -> None:
        """One more attempt begins."""
        self.attempts += 1
        self.http_status = self.request_id = None
        self.sent_at = now

    def receive(self, status: int, request_id: str | None, now: float) -> None:
        """Its answer came, whatever it says."""
        self.latency_seconds = now - self.sent_at
        self.http_status, self.request_id = status, request_id


class Exchange(Protocol):
    """A request on the wire. At `give_up_at` its answer is no longer waited for."""

    give_up_at: float

    @property
    def task(self) -> asyncio.Task[None]: ...


@dataclass(slots=True)
class Services:
    """What all models of a client share. `on_the_wire` are the exchanges that have been sent, by the journal
    key of the request: no key is there twice.

    `answered` says whether any model has answered this client yet, `forbidden` counts the calls
    that ended with 403 until then. `unanswered` counts what may have been billed although no whole answer
    came, and `unanswered_for` says why, of the last one. `closing` says that nothing new is sent.
    """

    config: ClientConfig
    clock: Clock
    transport: Transport
    limiter: Limiter
    budget: Budget
    journal: Journal
    metrics: Metrics
    run_id: str
    sizes: OutputSizes = field(default_factory=OutputSizes)
    overbilled: Overbilled = field(default_factory=Overbilled)
    windows: dict[str, Window] = field(default_factory=dict[str, Window])
    on_the_wire: dict[bytes, Exchange] = field(default_factory=dict[bytes, Exchange])
    answered: bool = False
    forbidden: int = 0
    unanswered: int = 0
    unanswered_for: str = ""
    closing: bool = False

    def require_open(self, tally: Tally | None = None) -> None:
        """Raises ClientClosed once the client is closing; a call's `tally` tells whether it was sent."""
        if not self.closing:
            return
        if tally is not None and tally.may_be_billed:
            raise ClientClosed(
                "this was sent and no whole answer came before the client closed, so it may have been "
                "billed (`llm-assets journal intents` lists such requests); asking again may pay twice"
            )
        if tally is not None and any(key in self.on_the_wire for key in tally.same_as):
            raise ClientClosed(
                "the client is closing, and another call has sent the same: its answer, if it comes, is in "
                "the journal; ask again with another client, which pays for it only if it did not come"
            )
        raise ClientClosed("the client is closing, so this was not sent; ask again with another client")

    def waited(self, tally: Tally, cause: str, seconds: float) -> None:
        """A call has waited for `cause`, which is one of those that the metrics tell apart."""
        tally.wait_seconds += max(seconds, 0.0)
        self.metrics.waited(cause, seconds)

    def window(self, link: Link) -> Window:
        window = self.windows.get(link.pool)
        if window is None:
            window = self.windows[link.pool] = Window(self.config.max_concurrency)
            if link.limits is not None:
                window.open()
        return window


class Call(NamedTuple):
    """One request to one model. `reason` says why it is not the chain's first model.

    `key` is its journal key, `keys` those of all models of the chain: any of their answers will do.
    """

    link: Link
    request: Request
    wire: HttpRequest
    key: bytes
    keys: tuple[bytes, ...]
    tally: Tally
    reason: str | None


class Found(NamedTuple):
    """An entry of the journal: new, or paid for by an earlier call."""

    entry: Entry
    from_journal: bool
