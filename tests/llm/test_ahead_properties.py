"""What leave taken ahead promises, whoever uses what of it and whoever dies with it, on every store."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from honest_server import CLIENTS, HonestServer, Told, asks
from hypothesis import given
from hypothesis import strategies as st
from shared_stores import START, Do, Shared, on_stores, play_on_a_dict, purely

from llm_assets.llm.ahead import Ahead
from llm_assets.llm.pools.bucket import Bucket
from llm_assets.llm.pools.values import Client, Grant, Return, Turn, Want


@dataclass(frozen=True)
class Step:
    """After `seconds` a client sends `sizes`, as far as it may; then what it has on the wire is answered, or
    it dies with all it holds and another one with its name begins anew.
    """

    seconds: float
    client: int
    sizes: tuple[int, ...]
    then: Literal["answered", "answered late", "dies", None]


def scripts(*fates: Any) -> st.SearchStrategy[list[Step]]:
    """Mostly moments between two requests, as leave is good for no more than a tenth of a second."""
    pauses = st.one_of(st.just(0.0), st.floats(0, 0.09), st.floats(0, 0.3), st.floats(0, 30))
    sizes = st.lists(st.integers(1, 150), max_size=6).map(tuple)
    step = st.builds(Step, pauses, st.integers(0, 2), sizes, st.sampled_from([*fates, None, None]))
    return st.lists(step, min_size=8, max_size=40)


@dataclass
class Caller:
    """One client with its leave, and what it has on the wire."""

    client: Client
    number: int
    ahead: Ahead = field(default_factory=Ahead)
    sent: list[tuple[Grant, Told]] = field(default_factory=list[tuple[Grant, Told]])
    from_stock: int = 0

    async def send(self, do: Do, server: HonestServer, size: int, now: float) -> None:
        """As a limiter does it: from the leave there is, else by an exchange that asks for more ahead."""
        want = Want(1, size)
        self.ahead.use(want)
        grant = self.ahead.take(want, now)
        if grant is not None:
            self.from_stock += 1
            self.sent.append((grant, server.admit(want, now)))
            return
        lapsed = self.ahead.give_back_all()
        turn: Turn = await do(
            asks(self.client, [want], lapsed, ahead=self.ahead.wanted(now)), now, self.number
        )
        self.ahead.add(turn.ahead, now)
        self.sent.extend((given, server.admit(given.want, now)) for given in turn.grants)

    async def hand_in(self, do: Do, reports: Sequence[Told], now: float) -> None:
        back = [
            Return(grant=grant, reports=told) for (grant, _), told in zip(self.sent, reports, strict=True)
        ]
        self.sent = []
        await do(asks(self.client, returned=[*back, *self.ahead.give_back_all()]), now, self.number)


@dataclass
class Played:
    server: HonestServer
    callers: list[Caller]
    state: dict[str, Any]
    now: float


async def play(do: Do, script: Sequence[Step], full: float) -> Played:
    """The script after a first answer; at its end everybody who lives hands in all there is."""
    server, now = HonestServer(full), START
    callers = [Caller(client, number) for number, client in enumerate(CLIENTS)]
    await callers[0].send(do, server, 10, now)
    await callers[0].hand_in(do, [server.report(now)], now)
    for step in script:
        now += step.seconds
        caller = callers[step.client]
        for size in step.sizes:
            await caller.send(do, server, size, now)
        if step.then == "dies":
            callers[step.client] = Caller(caller.client, caller.number, from_stock=caller.from_stock)
        elif step.then is not None:
            late = server.report(now)
            told = [late if step.then == "answered late" else at_admission for _, at_admission in caller.sent]
            await caller.hand_in(do, told, now)
    for caller in callers:
        await caller.hand_in(do, [told for _, told in caller.sent], now)
    state = await do(lambda state, _: copy.deepcopy(state), now, 0)
    return Played(server, callers, state, now)


answered = scripts("answered", "answered late")


@on_stores
@given(script=answered, full=st.floats(0.3, 1))
def test_each_request_is_charged_once(shared: Shared, script: list[Step], full: float) -> None:
    """The parts that were used and the rests that went back add up, and nothing stays on the wire."""
    played = shared.play(lambda do: play(do, script, full))
    assert_charged_once(played)


@purely
@given(script=answered, full=st.floats(0.3, 1))
def test_no_order_charges_a_request_twice_or_not_at_all(script: list[Step], full: float) -> None:
    """The same without a store, so that many more orders are tried."""
    assert_charged_once(play_on_a_dict(lambda do: play(do, script, full)))


def assert_charged_once(played: Played) -> None:
    requests, tokens = (played.state["buckets"][f"{kind}_per_minute"] for kind in ("requests", "tokens"))
    assert charged(requests) == len(played.server.admitted)
    assert abs(charged(tokens) - sum(want.tokens for _, want in played.server.admitted)) < 1e-3
    assert played.state["flight"] == {}


def charged(bucket: list[float]) -> float:
    return Bucket(*bucket).sent


@on_stores
@given(script=scripts("answered", "answered late", "dies"), full=st.floats(0.3, 1))
def test_an_honest_server_refuses_nothing_that_was_taken_ahead(
    shared: Shared, script: list[Step], full: float
) -> None:
    """The server itself refuses what it cannot hold, also where a client has died with what it had taken."""
    shared.play(lambda do: play(do, script, full))


@purely
@given(script=scripts("answered", "answered late", "dies"), full=st.floats(0.3, 1))
def test_no_order_of_leave_passes_a_limit(script: list[Step], full: float) -> None:
    """The same without a store, so that many more orders are tried."""
    play_on_a_dict(lambda do: play(do, script, full))


def test_leave_is_taken_and_used() -> None:
    """The scripts above would prove nothing if no request ever came out of a stock."""
    script = [Step(0.01, 0, (10, 10, 10, 10), None)] * 5
    (caller, *_) = play_on_a_dict(lambda do: play(do, script, 1.0)).callers
    assert caller.from_stock >= 5


@on_stores
@given(used=st.integers(1, 3), dies_in_line=st.booleans())
def test_who_dies_with_leave_in_hand_holds_nobody_up(shared: Shared, used: int, dies_in_line: bool) -> None:
    """What it held counts as sent and comes back with the refill: nobody waits longer than behind one that
    lives, and in the end its place and its flight are forgotten.
    """

    async def scenario(do: Do) -> None:
        played = await play(do, [], 1.0)
        now, dying = played.now + 1, played.callers[0]
        for _ in range(used + 1):
            await dying.send(do, played.server, 50, now)
        assert dying.ahead
        if dies_in_line:
            await do(asks(dying.client, [Want(1, 5999)]), now, 0)
        heir, dead_at, ready = Client(id="heir"), now, now
        while True:
            turn: Turn = await do(asks(heir, [Want(1, 5900)]), ready, 1)
            if turn.grants:
                break
            assert turn.wait_seconds is not None
            ready += turn.wait_seconds
        spent = 10 + 3 * 50 + 6000 / 16 + (5999 if dies_in_line else 0)
        assert ready - dead_at <= (spent + 5900 - 6000) / 100 + 1
        later = dead_at + dying.client.lease_seconds + 1
        await do(asks(heir), later, 1)
        state = await do(lambda state, _: copy.deepcopy(state), later, 1)
        assert dying.client.id not in state["flight"]
        assert dying.client.id not in state["queue"]

    shared.play(scenario)
