"""What limits and budget promise, whatever is asked in whatever order, on every store they can live in.

The operations are the real ones and run inside the stores' own transactions. Only their time is made up, so
that hours pass in milliseconds and every store sees the same moments.
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, Literal, TypeVar

import pytest
from honest_server import CAPACITY, CLIENTS, LIMITS, PER_SECOND, HonestServer, Told, asks
from hypothesis import assume, example, given
from hypothesis import strategies as st
from shared_stores import START, Do, Shared, on_stores, play_on_a_dict, purely, spent_in
from virtual_time import LoopClock, run_virtual

from llm_assets.errors import RateLimited, StateUnavailable
from llm_assets.llm.budget import Budget
from llm_assets.llm.ledger import NOTHING, Answer, Cap, Settled, Spending, book
from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import BudgetConfig, Limits
from llm_assets.llm.pools.exchange import exchange
from llm_assets.llm.pools.values import Client, Grant, Return, Turn, Want
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.quota.base import Operation
from llm_assets.llm.quota.memory import MemoryQuota

Result = TypeVar("Result")

# Floats of seconds since the epoch are a quarter of a microsecond apart; an exchange waits no less than this.
A_MOMENT = 0.001

# ---------------------------------------------------------------------------------------------- limits


@dataclass(frozen=True)
class Step:
    """After `seconds`, a client asks for `sizes`, or its oldest grant comes back `how`.

    The first `unsent` of what it is granted come back at once, never sent.
    """

    seconds: float
    client: int
    sizes: tuple[int, ...] = ()
    unsent: int = 0
    how: Literal["headers at admission", "headers at answer", "silent", "no answer"] | None = None


# Shorter than what makes an exchange doubt what it knows.
pauses = st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 45))
sizes = st.lists(st.one_of(st.integers(1, 300), st.integers(1, 6000)), max_size=4).map(tuple)
answers = st.sampled_from(["headers at admission", "headers at answer", "silent", "no answer"])
steps = st.lists(
    st.one_of(
        st.builds(Step, pauses, st.integers(0, 2), sizes, st.integers(-4, 2)),
        st.builds(Step, pauses, st.integers(0, 2), how=answers),
    ),
    min_size=8,
    max_size=40,
)
without_headers = steps.map(
    lambda script: [
        replace(step, how="silent") if (step.how or "").startswith("headers") else step for step in script
    ]
)


async def with_an_honest_server(
    do: Do, script: Sequence[Step], full: float = 1.0, *, has_headers: bool = True
) -> HonestServer:
    """Play the script after a first answer. What is granted is sent at once."""
    server, now = HonestServer(full), START
    probe = Want(1, 10)
    (grant,) = (await do(asks(CLIENTS[0], [probe]), now, 0)).grants
    headers = server.admit(probe, now)
    now += 0.1
    first = Return(grant=grant, reports=headers if has_headers else None)
    await do(asks(CLIENTS[0], returned=[first]), now, 0)
    sent: dict[int, list[tuple[Grant, Told]]] = {0: [], 1: [], 2: []}
    for step in script:
        now += step.seconds
        client, number = CLIENTS[step.client], step.client
        if step.how is not None:
            back = [_came_back(step, *sent[number].pop(0), server, now)] if sent[number] else []
            await do(asks(client, returned=back), now, number)
            continue
        turn: Turn = await do(asks(client, [Want(1, size) for size in step.sizes]), now, number)
        unsent = max(step.unsent, 0)
        sent[number].extend((given, server.admit(given.want, now)) for given in turn.grants[unsent:])
        back = [Return(grant=given, answered=False, unsent=True) for given in turn.grants[:unsent]]
        await do(asks(client, returned=back), now, number)
    return server


def _came_back(step: Step, grant: Grant, at_admission: Told, server: HonestServer, now: float) -> Return:
    if step.how == "headers at admission":
        return Return(grant=grant, reports=at_admission)
    if step.how == "headers at answer":
        return Return(grant=grant, reports=server.report(now))
    return Return(grant=grant, answered=step.how == "silent", failed=None if step.how == "silent" else "x")


@on_stores
@given(script=steps, full=st.floats(0.1, 1))
def test_no_window_holds_more_than_the_limit(shared: Shared, script: list[Step], full: float) -> None:
    """In any stretch of time at most what a full bucket holds and its refill; so no server has to refuse."""
    server = shared.play(lambda do: with_an_honest_server(do, script, full))
    for first, (began, _) in enumerate(server.admitted):
        requests = tokens = 0.0
        for moment, want in server.admitted[first:]:
            requests, tokens = requests + want.requests, tokens + want.tokens
            assert requests <= CAPACITY["requests"] + (moment - began) * PER_SECOND["requests"] + 1e-3
            assert tokens <= CAPACITY["tokens"] + (moment - began) * PER_SECOND["tokens"] + 1e-3


@purely
@given(script=steps, full=st.floats(0.1, 1))
def test_an_honest_server_refuses_nothing(script: list[Step], full: float) -> None:
    """The same without a store, so that many more orders are tried."""
    play_on_a_dict(lambda do: with_an_honest_server(do, script, full))


def test_a_header_of_before_the_burst_is_no_news() -> None:
    """An answer took 45 s. In the last 15 of them a full bucket was used up: what it said is long gone."""
    server, state, now = HonestServer(1.0), dict[str, Any](), START
    alone = partial(exchange, state, client=CLIENTS[0], limits=LIMITS, headroom=0.0)

    def start(tokens: int) -> tuple[Grant, Told]:
        (grant,) = alone(now, returned=[], wanted=[Want(1, tokens)]).grants
        return grant, server.admit(grant.want, now)

    def come_back(grant: Grant, told: Told) -> None:
        alone(now, returned=[Return(grant=grant, reports=told)], wanted=[])

    come_back(*start(10))
    now += 5
    slow = start(600)
    now += 30
    while (turn := alone(now, returned=[], wanted=[Want(1, 200)])).grants:
        server.admit(turn.grants[0].want, now)
    now += 15
    come_back(*slow)
    while (turn := alone(now, returned=[], wanted=[Want(1, 200)])).grants:
        server.admit(turn.grants[0].want, now)


@purely
@given(script=without_headers)
def test_a_server_that_tells_nothing_is_not_asked_for_more_than_its_limit(script: list[Step]) -> None:
    """Where the limits are configured and no header confirms them, they hold all the same."""
    play_on_a_dict(lambda do: with_an_honest_server(do, script, has_headers=False))


def test_a_daily_limit_that_is_used_up_stays_used_up() -> None:
    """A minute without questions refills a minute's limit, and not a day's."""
    limits = Limits(requests_per_day=3)
    state: dict[str, Any] = {}
    now, granted = START, 0
    for _ in range(20):
        turn = exchange(state, now, CLIENTS[0], [], [Want(1, 0)], limits, 0.0)
        for grant in turn.grants:
            granted += 1
            told = DimensionReport(3, max(3 - granted, 0), granted * 28_800)
            exchange(state, now, CLIENTS[0], [Return(grant=grant, reports={"requests": told})], [], limits, 0)
        exchange(state, now, CLIENTS[0], [], [], limits, 0.0)  # it gave up waiting
        now += 61.0
    assert granted <= 3 + (now - START) / 28_800


async def _known(do: Do, tokens_left: float) -> float:
    """A pool whose buckets are known, with so many tokens in it and nothing on the wire; the time by then."""
    (grant,) = (await do(asks(CLIENTS[0], [Want(1, 1)]), START, 0)).grants
    told: Told = {"requests": DimensionReport(60, 59, 1), "tokens": DimensionReport(6000, tokens_left, 1)}
    await do(asks(CLIENTS[0], returned=[Return(grant=grant, reports=told)]), START, 0)
    return START


@on_stores
@given(left=st.integers(0, 6000), size=st.integers(1, 6000), pause=st.floats(0, 40))
@example(left=0, size=5995, pause=0.0)  # a minute's wait
def test_a_wait_is_as_long_as_needed(shared: Shared, left: int, size: int, pause: float) -> None:
    """Who comes back when it was told gets its grant, and who comes earlier does not."""

    async def scenario(do: Do) -> None:
        now = await _known(do, left) + pause
        turn: Turn = await do(asks(CLIENTS[0], [Want(1, size)]), now, 0)
        if turn.grants:
            return
        assert turn.wait_seconds is not None
        assert turn.wait_seconds >= A_MOMENT, "a wait of nothing is polling"
        ready = now + turn.wait_seconds
        if turn.wait_seconds > 2 * A_MOMENT:
            early: Turn = await do(asks(CLIENTS[0], [Want(1, size)]), ready - A_MOMENT, 0)
            assert early.grants == []
        on_time: Turn = await do(asks(CLIENTS[0], [Want(1, size)]), ready, 0)
        if not on_time.grants:  # rounded to the other side
            assert on_time.wait_seconds == A_MOMENT
            on_time = await do(asks(CLIENTS[0], [Want(1, size)]), ready + A_MOMENT, 0)
        assert len(on_time.grants) == 1

    shared.play(scenario)


@on_stores
@given(
    large=st.integers(1000, 5900),
    small=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 500), st.integers(1, 3)), max_size=20),
)
def test_a_large_request_is_not_overtaken_for_ever(
    shared: Shared, large: int, small: list[tuple[float, int, int]]
) -> None:
    """Whatever others ask meanwhile, it starts when it was first told that it may."""
    others = [Client(id=f"other {number}") for number in range(4)]

    async def scenario(do: Do) -> None:
        now = await _known(do, 0)
        turn: Turn = await do(asks(CLIENTS[0], [Want(1, large)]), now, 0)
        assert turn.wait_seconds is not None
        ready = now + turn.wait_seconds
        for share, size, other in sorted(small):
            moment = now + share * (turn.wait_seconds - A_MOMENT)
            await do(asks(others[other], [Want(1, size)]), moment, other)
        for _ in range(3):
            again: Turn = await do(asks(CLIENTS[0], [Want(1, large)]), ready, 0)
            if again.grants:
                return
            assert again.wait_seconds is not None
            ready += again.wait_seconds
        pytest.fail(f"{ready - now:.3f} s later it still waits, though it was told {turn.wait_seconds} s")

    shared.play(scenario)


@dataclass(frozen=True)
class Waiting:
    """A client with one request, that comes at `at` and asks again exactly when it is told to."""

    at: float
    size: int
    priority: int


waiting_clients = st.lists(
    st.builds(Waiting, st.floats(0, 60), st.integers(1, 6000), st.integers(0, 1)), min_size=2, max_size=10
)


async def stand_in_line(do: Do, clients: Sequence[Waiting]) -> tuple[list[float], list[float], list[float]]:
    """When each client started, when it first had to wait (infinite: never), and all waits it was told."""
    now = await _known(do, 6000)
    started, queued = [float("inf")] * len(clients), [float("inf")] * len(clients)
    waits: list[float] = []
    agenda = [(now + client.at, number) for number, client in enumerate(clients)]
    heapq.heapify(agenda)
    while agenda:
        moment, number = heapq.heappop(agenda)
        waiting = clients[number]
        client = Client(id=str(number), priority=waiting.priority)
        turn: Turn = await do(asks(client, [Want(1, waiting.size)]), moment, number)
        if turn.grants:
            started[number] = moment
            continue
        assert turn.wait_seconds is not None
        queued[number] = min(queued[number], moment)
        waits.append(turn.wait_seconds)
        heapq.heappush(agenda, (moment + turn.wait_seconds, number))
        assert len(waits) < 5000, "they ask again and again"
    return started, queued, waits


@on_stores
@given(clients=waiting_clients)
def test_first_in_first_out_among_equals(shared: Shared, clients: list[Waiting]) -> None:
    """Of the same priority, who waited first starts first, everybody starts, and nobody polls."""
    started, queued, waits = shared.play(lambda do: stand_in_line(do, clients))
    assert max(started) < START + 60 + sum(client.size for client in clients) / 100 + 60
    assert min(waits, default=1) >= A_MOMENT
    for first, one in enumerate(clients):
        for second, other in enumerate(clients):
            arrived = START + other.at
            if one.priority == other.priority and queued[first] < arrived < started[first]:
                assert started[first] <= started[second]


@on_stores
@given(clients=waiting_clients)
def test_a_higher_priority_waits_only_for_its_equals(shared: Shared, clients: list[Waiting]) -> None:
    """While a more urgent request waits, no other that is less urgent starts."""
    started, queued, _ = shared.play(lambda do: stand_in_line(do, clients))
    for first, one in enumerate(clients):
        for second, other in enumerate(clients):
            if one.priority > other.priority and queued[first] < started[first]:
                assert not queued[first] < started[second] < started[first]


@pytest.mark.parametrize("how", ["waited for too long", "was cancelled", "was closed"])
def test_who_gives_up_leaves_the_line(how: str) -> None:
    """A large request that somebody no longer waits for is not in the way of what others ask."""

    async def scenario() -> None:
        store, loop = MemoryQuota(LoopClock()), asyncio.get_running_loop()
        one, other = (Limiter(store, Client(id=name)) for name in ("one", "other"))
        grant = await one.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=10)
        full: Told = {"tokens": DimensionReport(6000, 5990, 1)}
        one.settle("m", Return(grant=grant, reports=full))
        await asyncio.sleep(1)
        await one.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        if how == "waited for too long":
            with pytest.raises(RateLimited):
                await one.acquire("m", Want(1, 5000), LIMITS, max_wait_seconds=10)
        else:
            waiting = asyncio.create_task(one.acquire("m", Want(1, 5000), LIMITS, max_wait_seconds=999))
            await asyncio.sleep(0.5)
            waiting.cancel()
            await asyncio.wait([waiting])
            if how == "was closed":
                await one.aclose()
        before = loop.time()
        await other.acquire("m", Want(1, 200), LIMITS, max_wait_seconds=999)
        assert loop.time() - before < 3

    run_virtual(scenario())


def test_a_client_that_lives_keeps_its_requests_counted() -> None:
    """While the first answer, which tells the limits, takes minutes, others go one at a time, and seldom."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        slow, other = (Limiter(store, Client(id=name)) for name in ("slow", "other"))
        grant = await slow.acquire("m", Want(1, 10), None, max_wait_seconds=10)
        waiting = [
            asyncio.create_task(other.acquire("m", Want(1, 10), None, max_wait_seconds=999))
            for _ in range(100)
        ]
        await asyncio.sleep(200)
        assert 35 <= sum(task.done() for task in waiting) <= 40
        slow.settle("m", Return(grant=grant))
        await asyncio.wait(waiting)

    run_virtual(scenario())


# ---------------------------------------------------------------------------------------------- budget

LEASE_SECONDS = 60.0
OWNERS = ("a", "b", "c")


@dataclass(frozen=True)
class Booking:
    """After `seconds`, a client reserves `worst` (and a `spare`), or settles one of its calls for a `share`.

    `which` says which of its open calls it is; `twice` that the settlement is handed in again.
    """

    seconds: float
    owner: int
    worst: tuple[int, int] | None = None
    spare: tuple[int, int] = (0, 0)
    which: int = 0
    share: float = 1.0
    twice: bool = False


amounts = st.tuples(st.integers(0, 500), st.integers(0, 500))
gaps = st.one_of(st.just(0.0), st.floats(0, 30), st.floats(60, 200))


def bookings(*, twice: st.SearchStrategy[bool]) -> st.SearchStrategy[list[Booking]]:
    owners = st.integers(0, len(OWNERS) - 1)
    reserve = st.builds(Booking, gaps, owners, amounts, st.one_of(st.just((0, 0)), amounts))
    settle = st.builds(Booking, gaps, owners, which=st.integers(0, 9), share=st.floats(0, 1), twice=twice)
    return st.lists(st.one_of(reserve, settle), min_size=8, max_size=40)


caps_for_all = st.fixed_dictionaries(
    {"day usd": st.integers(0, 2000), "day tokens": st.integers(0, 2000), "run tokens": st.integers(0, 2000)}
)


@dataclass
class Books:
    """What became of a script: every answer, the ledger after each step, and what calls really cost."""

    answers: list[Answer] = field(default_factory=list)
    ledgers: list[dict[str, Any]] = field(default_factory=list)
    cost: dict[str, list[int]] = field(default_factory=dict)
    open: dict[int, list[Settled]] = field(default_factory=lambda: {0: [], 1: [], 2: []})
    ended_at: float = START


def caps_of(owner: int, most: dict[str, int]) -> tuple[Cap, ...]:
    """A day that all share, and a run of the owner's own."""
    return (
        Cap("day:d", "usd", most["day usd"], "usd_per_day"),
        Cap("day:d", "tokens", most["day tokens"], "tokens_per_day"),
        Cap(f"run:{OWNERS[owner]}", "tokens", most["run tokens"], "tokens_per_run"),
    )


async def keep_books(do: Do, script: Sequence[Booking], most: dict[str, int]) -> Books:
    books, now = Books(), START
    for step in script:
        now += step.seconds
        caps = caps_of(step.owner, most)
        accounts = tuple({cap.account: None for cap in caps})
        base = partial(book, owner=OWNERS[step.owner], lease_seconds=LEASE_SECONDS)
        if step.worst is not None:
            worst, spare = Spending(*step.worst), Spending(*step.spare)
            operation = partial(base, accounts=accounts, caps=caps, worst=worst, spare=spare)
            answer: Answer = await do(operation, now, step.owner)
            books.answers.append(answer)
            if answer.verdict == "reserved":
                books.open[step.owner].append(Settled(accounts, worst, NOTHING))
                if answer.spare != NOTHING:
                    books.open[step.owner].append(Settled(accounts, answer.spare, NOTHING))
        elif books.open[step.owner]:
            held = books.open[step.owner].pop(step.which % len(books.open[step.owner]))
            spent = Spending(int(held.released.nano_usd * step.share), int(held.released.tokens * step.share))
            settled = [Settled(held.accounts, held.released, spent)]
            for account in held.accounts:
                real = books.cost.setdefault(account, [0, 0])
                real[0] += spent.nano_usd
                real[1] += spent.tokens
            for _ in range(2 if step.twice else 1):
                books.answers.append(await do(partial(base, settled=settled), now, step.owner))
        books.ledgers.append(await do(lambda state, _: copy.deepcopy(state), now, step.owner))
    books.ended_at = now
    return books


def used(ledger: dict[str, Any], cap: Cap) -> int:
    """What was spent and what is held of a cap's account."""
    account = ledger.get("accounts", {}).get(cap.account)
    if account is None:
        return 0
    entries = [account["spent"], *account["held"].values()]
    return sum(cap.of(Spending(*entry[:2])) for entry in entries)


def all_caps(most: dict[str, int]) -> set[Cap]:
    return {cap for owner in range(len(OWNERS)) for cap in caps_of(owner, most)}


def assert_no_cap_is_passed(books: Books, most: dict[str, int]) -> None:
    for ledger in books.ledgers:
        for cap in all_caps(most):
            assert used(ledger, cap) <= cap.most, f"{cap.name}: {json.dumps(ledger)}"


once = bookings(twice=st.just(False))


@on_stores
@given(script=once, most=caps_for_all)
def test_what_is_spent_and_held_never_passes_a_cap(
    shared: Shared, script: list[Booking], most: dict[str, int]
) -> None:
    """Whoever reserves, settles, dies or comes back late, in whatever order."""
    assert_no_cap_is_passed(shared.play(lambda do: keep_books(do, script, most)), most)


@purely
@given(script=once, most=caps_for_all)
def test_no_order_of_bookings_passes_a_cap(script: list[Booking], most: dict[str, int]) -> None:
    """The same without a store, so that many more orders are tried."""
    assert_no_cap_is_passed(play_on_a_dict(lambda do: keep_books(do, script, most)), most)


@purely
@given(script=once, most=caps_for_all)
def test_the_dead_have_spent_what_they_held_until_they_come_back(
    script: list[Booking], most: dict[str, int]
) -> None:
    """After a lease without a sign of life what is held counts as spent; late settlements put it right."""

    async def scenario(do: Do) -> None:
        books = await keep_books(do, script, most)
        later = books.ended_at + LEASE_SECONDS + 1
        await do(partial(book, owner="somebody", lease_seconds=LEASE_SECONDS), later, 0)
        dead = await do(lambda state, _: copy.deepcopy(state), later, 0)
        for name, account in dead.get("accounts", {}).items():
            assert account["held"] == {}
            worst = [0, 0]
            for held in [item for items in books.open.values() for item in items if name in item.accounts]:
                worst[0] += held.released.nano_usd
                worst[1] += held.released.tokens
            cost = books.cost.get(name, [0, 0])
            assert spent_in(dead, name) == Spending(cost[0] + worst[0], cost[1] + worst[1])
        for number, owner in enumerate(OWNERS):
            late = [Settled(held.accounts, held.released, NOTHING) for held in books.open[number]]
            await do(partial(book, owner=owner, lease_seconds=LEASE_SECONDS, settled=late), later, number)
        corrected = await do(lambda state, _: copy.deepcopy(state), later, 0)
        for name in corrected.get("accounts", {}):
            assert spent_in(corrected, name) == Spending(*books.cost.get(name, [0, 0]))

    assume(sum(step.seconds for step in script) < 6 * 3600)  # after that a run is over and forgotten
    play_on_a_dict(scenario)


def test_who_seems_dead_twice_is_corrected_twice() -> None:
    """A laptop that slept twice has settled two calls late, and both count at what they cost."""
    state: dict[str, Any] = {}
    at_work = partial(book, state, owner="sleeper", lease_seconds=LEASE_SECONDS)
    others = partial(book, state, owner="other", lease_seconds=LEASE_SECONDS)
    cap = Cap("day:d", "tokens", 1000, "tokens_per_day")
    for now, tokens in ((START, 50), (START + 200, 30)):
        at_work(now, accounts=("day:d",), caps=(cap,), worst=Spending(0, tokens))
        others(now + 100)
    assert spent_in(state, "day:d").tokens == 80
    late = [Settled(("day:d",), Spending(0, tokens), Spending(0, 1)) for tokens in (50, 30)]
    at_work(START + 400, settled=late)
    assert spent_in(state, "day:d").tokens == 2


class ForgetfulStore:
    """Does what it is asked, and at the first time it is told to, loses the answer on the way back."""

    def __init__(self) -> None:
        self.kept = MemoryQuota(LoopClock())
        self.loses_the_next = False

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        result = await self.kept.transact(key, operation)
        if self.loses_the_next:
            self.loses_the_next = False
            raise StateUnavailable("the answer was lost")
        return result


def test_a_settlement_whose_answer_was_lost_counts_once() -> None:
    """The client hands it in again, for it may have been lost on the way there; that spends nothing more."""

    async def scenario() -> None:
        store = ForgetfulStore()
        now = asyncio.get_running_loop().time
        budget = Budget(store, BudgetConfig(tokens_per_run=100), run_id="r", owner="a", now=now)
        one, other = await budget.reserve(Spending(0, 50)), await budget.reserve(Spending(0, 40))
        assert one is not None
        assert other is not None
        budget.settle(one, Spending(0, 10))
        store.loses_the_next = True
        with pytest.raises(StateUnavailable):
            await budget.flush()
        await budget.flush()
        assert await store.transact("budget", lambda state, _: spent_in(state, "run:r")) == Spending(0, 10)
        assert await budget.reserve(Spending(0, 51)) is None, "the other call still holds its 40"
        store.loses_the_next = True
        with pytest.raises(StateUnavailable):
            await budget.flush()
        budget.settle(other, Spending(0, 30))
        await budget.aclose()
        assert await store.transact("budget", lambda state, _: spent_in(state, "run:r")) == Spending(0, 40)

    run_virtual(scenario())


@on_stores
@given(script=once, most=caps_for_all)
def test_little_is_held_ahead(shared: Shared, script: list[Booking], most: dict[str, int]) -> None:
    """The spare is at most what was asked for, and at most a sixteenth of what is left."""

    async def scenario(do: Do) -> None:
        now = START
        for step in script:
            now += step.seconds
            if step.worst is None:
                continue
            caps = caps_of(step.owner, most)
            accounts = tuple({cap.account: None for cap in caps})
            worst, wanted = Spending(*step.worst), Spending(*step.spare)
            operation = partial(
                book,
                owner=OWNERS[step.owner],
                lease_seconds=1e9,
                accounts=accounts,
                caps=caps,
                worst=worst,
                spare=wanted,
            )
            before = await do(lambda state, _: copy.deepcopy(state), now, step.owner)
            answer: Answer = await do(operation, now, step.owner)
            if answer.verdict != "reserved":
                assert answer.spare == NOTHING
                continue
            assert 0 <= answer.spare.nano_usd <= wanted.nano_usd
            assert 0 <= answer.spare.tokens <= wanted.tokens
            for cap in caps:
                left = cap.most - used(before, cap) - cap.of(worst)
                assert cap.of(answer.spare) <= Fraction(left, 16)

    shared.play(scenario)


# ------------------------------------------------------------------------------------ the same everywhere


@dataclass(frozen=True)
class Anything:
    """Any exchange at all: wants of any size, and grants that come back in any way, true or not."""

    seconds: float
    client: int
    sizes: tuple[int, ...]
    comes_back: tuple[tuple[bool, bool, bool, float, float | None], ...]
    cool_down: float | None


reports = st.tuples(
    st.booleans(), st.booleans(), st.booleans(), st.floats(0, 5), st.one_of(st.none(), st.floats(0, 7000))
)
exchanges = st.lists(
    st.builds(
        Anything,
        st.one_of(st.floats(-1, 1), st.floats(0, 200)),
        st.integers(0, 2),
        st.lists(st.integers(0, 9000), max_size=4).map(tuple),
        st.lists(reports, max_size=3).map(tuple),
        st.one_of(st.none(), st.floats(0, 20)),
    ),
    min_size=8,
    max_size=25,
)


def returns(step: Anything, grants: list[Grant]) -> list[Return]:
    found: list[Return] = []
    for answered, refused, unsent, pause, remaining in step.comes_back:
        if not grants:
            break
        told: Told | None = None if remaining is None else {"tokens": DimensionReport(6000, remaining, 3.0)}
        found.append(
            Return(
                grant=grants.pop(0),
                answered=answered and not unsent,
                refused=refused,
                unsent=unsent,
                reports=told,
                pause_seconds=pause,
                failed="failed" if refused else None,
            )
        )
    if step.cool_down is not None:
        found.append(Return(grant=None, answered=False, failed="x", cool_down_seconds=step.cool_down))
    return found


async def exchange_anything(
    do: Do, script: Sequence[Anything], limits: Limits | None, headroom: float
) -> tuple[list[Turn], Any]:
    turns: list[Turn] = []
    grants: dict[int, list[Grant]] = {0: [], 1: [], 2: []}
    now = START
    for step in script:
        now += step.seconds
        number = step.client
        wanted = [Want(1, size) for size in step.sizes]
        operation = asks(CLIENTS[number], wanted, returns(step, grants[number]), limits, headroom)
        turn: Turn = await do(operation, now, number)
        grants[number].extend(turn.grants)
        turns.append(turn)
    return turns, await do(lambda state, _: copy.deepcopy(state), now, 0)


@purely
@given(script=exchanges, limits=st.sampled_from([LIMITS, Limits(tokens_per_minute=600)]))
def test_who_is_not_told_to_come_again_stands_in_no_line(script: list[Anything], limits: Limits) -> None:
    """Whatever was asked before, also where the model is left alone: nobody waits for it."""

    async def scenario(do: Do) -> None:
        now, number = START, 0
        (probe,) = (await do(asks(CLIENTS[0], [Want(1, 10)], limits=limits), now, number)).grants
        for step in script:
            now, number = now + step.seconds, step.client
            back = [Return(grant=probe, answered=False, failed="x")] * 5 + returns(step, [])
            wanted = [Want(1, size) for size in step.sizes]
            turn: Turn = await do(asks(CLIENTS[number], wanted, back, limits), now, number)
            in_line: Any = await do(lambda state, _: list(state["queue"]), now, number)
            assert turn.wait_seconds is not None or CLIENTS[number].id not in in_line

    play_on_a_dict(scenario)


@on_stores
@given(
    script=exchanges,
    limits=st.sampled_from([None, LIMITS, Limits(requests_per_day=20), Limits(tokens_per_minute=600)]),
    headroom=st.sampled_from([0.0, 0.1]),
)
def test_every_store_gives_the_same_grants(
    shared: Shared, script: list[Anything], limits: Limits | None, headroom: float
) -> None:
    """The same questions in the same order get the same answers, and leave the same behind."""

    def scenario(do: Do) -> Coroutine[Any, Any, tuple[list[Turn], Any]]:
        return exchange_anything(do, script, limits, headroom)

    turns, state = shared.play(scenario)
    expected_turns, expected_state = play_on_a_dict(scenario)
    assert turns == expected_turns
    assert as_kept(state, expected_state) == as_kept(expected_state, expected_state)


@on_stores
@given(script=bookings(twice=st.booleans()), most=caps_for_all)
def test_every_store_keeps_the_same_books(
    shared: Shared, script: list[Booking], most: dict[str, int]
) -> None:
    """Every verdict, every spare and every ledger on the way is the same."""
    books = shared.play(lambda do: keep_books(do, script, most))
    expected = play_on_a_dict(lambda do: keep_books(do, script, most))
    assert books.answers == expected.answers
    for ledger, expected_ledger in zip(books.ledgers, expected.ledgers, strict=True):
        assert as_kept(ledger, expected_ledger) == as_kept(expected_ledger, expected_ledger)


@on_stores
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=30))
def test_what_comes_at_once_is_answered_in_its_order(shared: Shared, sizes: list[int]) -> None:
    """Operations that share one transaction see each other as if each had its own."""

    async def all_at_once(do: Do) -> list[Turn]:
        now = await _known(do, 6000)
        return await asyncio.gather(
            *(do(asks(Client(id=str(number)), [Want(1, size)]), now, 0) for number, size in enumerate(sizes))
        )

    async def one_by_one(do: Do) -> list[Turn]:
        now = await _known(do, 6000)
        return [
            await do(asks(Client(id=str(number)), [Want(1, size)]), now, 0)
            for number, size in enumerate(sizes)
        ]

    turns = shared.play(all_at_once)
    assert turns == play_on_a_dict(one_by_one)
    waits = [turn.wait_seconds or 0.0 for turn in turns]
    assert all(earlier <= later for earlier, later in pairwise(waits))


def as_kept(value: dict[str, Any], expected: dict[str, Any]) -> Any:
    """As JSON, which knows no tuples, without what a store keeps beside it for itself."""
    return json.loads(json.dumps({name: value.get(name) for name in expected}))
