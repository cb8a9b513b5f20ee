"""Processes that share a state: each answer is paid for once, priorities hold, and any of them may end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer, answer, scripted_server

from llm_assets.llm.client import LLMClient
from llm_assets.llm.databases.base import Database
from llm_assets.llm.databases.sql import SqlDatabase
from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.journal import Journal
from llm_assets.llm.journal_contents import Intent, open_contents
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.journal_rows import AskedElsewhere
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import Answer, ChatRequest, Message
from llm_assets.llm.state import State
from llm_assets.usage import Usage

LONG_ENOUGH_SECONDS = 120.0
"""What takes longer than this hangs."""
SOON_SECONDS = 30.0
"""Half of the lease, after which a dead process would not be waited for in any case."""

# Opens a client, waits for a line, asks, and writes a line for each answer.
WORKER = """
import asyncio, json, sys
from contextlib import nullcontext
from llm_assets import ChatRequest, ClientConfig, LLMClient, Message, stop_on_sigterm
from llm_assets.llm.pools import line

async def main(config, keys, stops_on_sigterm, grace_seconds=None, **more):
    line._TURN_GRACE_SECONDS = grace_seconds or line._TURN_GRACE_SECONDS
    with stop_on_sigterm() if stops_on_sigterm else nullcontext():
        async with LLMClient(ClientConfig.model_validate(config), **more) as client:
            print("ready", flush=True)
            sys.stdin.readline()
            requests = (
                ChatRequest(key=key, messages=(Message("user", key),), max_output_tokens=50) for key in keys
            )
            async for outcome in client.run(requests):
                text = outcome.answer.text if outcome.answer else str(outcome.error)
                print(json.dumps([outcome.key, text, outcome.from_journal]), flush=True)

asyncio.run(main(**json.loads(sys.argv[1])))
"""


@dataclass(frozen=True)
class HandedOn:
    key: str
    text: str
    from_journal: bool


@dataclass
class Worker:
    """A process that asks, as the one who started it sees it."""

    process: asyncio.subprocess.Process
    handed_on: list[HandedOn] = field(default_factory=list)
    warned: asyncio.Event = field(default_factory=asyncio.Event)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: list[asyncio.Task[None]] = field(default_factory=list)

    async def is_ready(self) -> None:
        assert self.process.stdout is not None
        assert await self.process.stdout.readline() == b"ready\n"
        self._reading = [asyncio.create_task(self._read()), asyncio.create_task(self._read_warnings())]

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    async def has_handed_on(self, count: int) -> None:
        while len(self.handed_on) < count:
            self._came.clear()
            await self._came.wait()

    async def ended(self) -> int:
        """Its exit status, once all that it wrote is read."""
        await asyncio.wait(self._reading)
        return await self.process.wait()

    @property
    def paid(self) -> set[str]:
        return {each.key for each in self.handed_on if not each.from_journal}

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.handed_on.append(HandedOn(*json.loads(line)))
            self._came.set()

    async def _read_warnings(self) -> None:
        assert self.process.stderr is not None
        async for _ in self.process.stderr:
            self.warned.set()


@asynccontextmanager
async def workers(
    server: ScriptedServer, state: Path, *each: dict[str, Any], **config: Any
) -> AsyncIterator[list[Worker]]:
    """Processes that are ready to ask. None of them outlives the context, which ends before long."""
    async with AsyncExitStack() as stack:
        started: list[Worker] = []
        for settings in each:
            pipe = asyncio.subprocess.PIPE
            given = {"config": _config(server, state, **config), "stops_on_sigterm": False, **settings}
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WORKER, json.dumps(given)), stdin=pipe, stdout=pipe, stderr=pipe
            )
            stack.push_async_callback(_end, process)
            started.append(Worker(process))
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            for worker in started:
                await worker.is_ready()
            yield started


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _config(server: ScriptedServer, state: Path, **more: Any) -> dict[str, Any]:
    return {"chat": ["gpt-6-luna"], "base_url": server.base_url, "state": str(state), **more}


async def answer_one(server: ScriptedServer, state: Path) -> None:
    """One answer, so that every client knows that the server sets no limits."""
    async with LLMClient(ClientConfig.model_validate(_config(server, state))) as client:
        await client.call(ChatRequest(messages=(Message("user", "the first"),), max_output_tokens=50))
    server.requests.clear()


def asked(server: ScriptedServer) -> list[str]:
    return [request["messages"][0]["content"] for request in server.requests]


async def intents(state: Path) -> list[Intent]:
    async with open_contents(str(state)) as contents:
        return await contents.open_intents()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


# ------------------------------------------------------------------------------- the same at the same time


async def test_two_processes_that_ask_the_same_pay_once(state: Path) -> None:
    """Each request is sent by one of them; the other waits for that answer and takes it from the journal."""
    keys = [f"row {number}" for number in range(20)]
    async with scripted_server(lambda request, number: answer(f"answer {number}")) as server:
        await answer_one(server, state)
        server.gate = asyncio.Event()
        async with workers(server, state, {"keys": keys}, {"keys": keys}) as (one, other):
            one.go()
            other.go()
            await server.asked(len(keys))
            server.gate.set()
            assert [await worker.ended() for worker in (one, other)] == [0, 0]
    assert sorted(asked(server)) == sorted(keys)
    assert one.paid | other.paid == set(keys)
    assert not one.paid & other.paid
    answers = {each.key: each.text for each in one.handed_on}
    assert len(set(answers.values())) == len(keys)
    assert answers == {each.key: each.text for each in other.handed_on}


async def test_who_comes_while_another_waits_for_the_answer_waits_too(state: Path) -> None:
    """Nothing is sent a second time as long as the first process lives, and its answer serves both."""
    async with scripted_server() as server:
        await answer_one(server, state)
        server.gate = asyncio.Event()
        async with workers(server, state, {"keys": ["same"]}, {"keys": ["same", "another"]}) as (one, other):
            one.go()
            await server.asked(1)
            other.go()
            await server.asked(2)
            assert asked(server) == ["same", "another"]
            server.gate.set()
            assert [await worker.ended() for worker in (one, other)] == [0, 0]
    assert len(server.requests) == 2
    assert (one.paid, other.paid) == ({"same"}, {"another"})


async def test_a_killed_process_is_not_waited_for(state: Path) -> None:
    """What it had sent is asked again at once, and stays listed as perhaps billed."""
    async with scripted_server() as server:
        await answer_one(server, state)
        server.gate = asyncio.Event()
        async with workers(server, state, {"keys": ["same"]}, {"keys": ["same"]}) as (one, other):
            one.go()
            await server.asked(1)
            one.process.kill()
            await one.ended()
            other.go()
            async with asyncio.timeout(SOON_SECONDS):
                await server.asked(2)
            (lost, sent) = await intents(state)
            assert (lost.is_alive, sent.is_alive) == (False, True)
            server.gate.set()
            assert await other.ended() == 0
    assert other.paid == {"same"}
    assert [intent.is_alive for intent in await intents(state)] == [False]


async def test_who_waits_for_a_process_that_is_killed_goes_on(state: Path) -> None:
    """It was already waiting for the other's answer when the other died: it asks itself, within a moment."""
    async with scripted_server() as server:
        await answer_one(server, state)
        server.gate = asyncio.Event()
        keys = ["same", "another"]
        async with workers(server, state, {"keys": ["same"]}, {"keys": keys}) as (one, other):
            one.go()
            await server.asked(1)
            other.go()
            await server.asked(2)  # the other one's second request, so it has met the first
            one.process.kill()
            async with asyncio.timeout(SOON_SECONDS):
                await server.asked(3)
            server.gate.set()
            assert await other.ended() == 0
    assert asked(server) == ["same", "another", "same"]
    assert other.paid == {"same", "another"}


# ------------------------------------------------------------------------------- the lease


@dataclass
class Hands:
    """A clock that is set by hand."""

    now: float = 1_790_000_000.0


@pytest.fixture(params=["sqlite", "postgres"])
async def journals(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Journal, Journal, Hands]]:
    """Two journals on one state, as two processes have them, with a lease of a minute and a clock of ours."""
    clock = Hands()

    class ClockedFile(SqliteDatabase):
        def now(self) -> float:
            return clock.now

    class ClockedServer(SqlDatabase):
        def now(self) -> float:
            return clock.now

    def database() -> Database:
        if request.param == "sqlite":
            return ClockedFile(str(tmp_path / "state.sqlite"))
        return ClockedServer(request.getfixturevalue("postgres_url"))

    async with AsyncExitStack() as stack:
        opened: list[Journal] = []
        for owner in ("one", "other"):
            state = stack.enter_context(State(database()))
            for table in ("intents", "clients", "answers"):
                if owner == "one":
                    await state.run(
                        lambda transaction, table=table: transaction.execute(f"DELETE FROM {table}")
                    )
            journal = Journal(state, run_id="r", owner=owner, lease_seconds=60.0)
            opened.append(await stack.enter_async_context(journal))
        yield opened[0], opened[1], clock


MODEL = ModelConfig(model="gpt-6-luna")
ENTRY = Entry(
    provider="openai",
    endpoint="chat",
    model=MODEL.model,
    answer=Answer(text="hello", usage=Usage(100, 0, 10), model=MODEL.model),
    cost_usd=None,
    latency_seconds=1.0,
    finished_at=datetime(2026, 11, 25, tzinfo=UTC),
)
Journals = tuple[Journal, Journal, Hands]


async def begin(journal: Journal, key: bytes) -> Entry | None:
    """A process is about to send a request that only one model could answer."""
    return await journal.begin(key, [key], "chat", MODEL)


async def test_nobody_is_waited_for_longer_than_the_lease(journals: Journals) -> None:
    """A process that shows no sign of life blocks what it has sent for its lease, and no longer."""
    silent, other, clock = journals
    assert await begin(silent, b"same") is None
    clock.now += 59
    assert await other.is_asked_elsewhere(b"same")
    with pytest.raises(AskedElsewhere):
        await begin(other, b"same")
    clock.now += 2
    assert not await other.is_asked_elsewhere(b"same")
    assert await begin(other, b"same") is None


async def test_a_sign_of_life_prolongs_the_lease(journals: Journals) -> None:
    """An answer that takes minutes is waited for as long as the process that asked shows up."""
    slow, other, clock = journals
    assert await begin(slow, b"same") is None
    for _ in range(10):
        clock.now += 50
        await slow.show_alive()
        assert await other.is_asked_elsewhere(b"same")
    await slow.record(b"same", ENTRY, "server")
    assert not await other.is_asked_elsewhere(b"same")
    assert await begin(other, b"same") == ENTRY


async def test_what_failed_or_was_left_behind_is_free_at_once(journals: Journals) -> None:
    """A request that failed unbilled, and one of a client that has closed, may be asked by others."""
    one, other, _ = journals
    for key in (b"failed", b"left behind"):
        assert await begin(one, key) is None
        assert await other.is_asked_elsewhere(key)
    await one.withdraw(b"failed")
    assert await begin(other, b"failed") is None
    await one.__aexit__(None, None, None)
    assert await begin(other, b"left behind") is None


async def test_an_answer_of_somebody_who_seemed_dead_counts(journals: Journals) -> None:
    """The first answer that is kept is the one: it serves both, and the later one changes nothing."""
    slow, other, clock = journals
    assert await begin(slow, b"same") is None
    clock.now += 61
    assert await begin(other, b"same") is None
    await slow.record(b"same", ENTRY, "server")
    assert await other.find([b"same"]) == ENTRY
    later = ENTRY._replace(latency_seconds=9.0)
    await other.record(b"same", later, "server")
    assert await slow.find([b"same"]) == ENTRY


# ------------------------------------------------------------------------------- priorities


async def between_the_urgent(server: ScriptedServer, state: Path, priority: int) -> tuple[int, int]:
    """How many of a backfill's requests came between the first and the last of 20 urgent ones, and after.

    The backfill has more than it can ask meanwhile, however late a busy machine lets the urgent begin.
    """
    per_second = 10.0
    level, at = 1.0, asyncio.get_running_loop().time()

    def script(request: dict[str, Any], number: int) -> dict[str, Any]:
        nonlocal level, at
        now = asyncio.get_running_loop().time()
        level, at = level + (now - at) * per_second - 1, now
        server.headers = {
            "x-ratelimit-limit-requests": str(int(per_second * 60)),
            "x-ratelimit-remaining-requests": str(max(int(level), 0)),
            "x-ratelimit-reset-requests": "60s",
        }
        return answer()

    server.script = script
    grace = {"grace_seconds": LONG_ENOUGH_SECONDS}  # a busy machine holds processes up: nobody is passed over
    backfill = {"keys": [f"backfill {number}" for number in range(500)], "priority": -1, **grace}
    daily = {"keys": [f"daily {number}" for number in range(20)], "priority": priority, **grace}
    limits = {"gpt-6-luna": {"requests_per_minute": int(per_second * 60)}}
    async with workers(server, state, backfill, daily, limits=limits) as (low, high):
        low.go()
        await server.asked(5)
        high.go()
        assert await high.ended() == 0
        await server.asked(len(server.requests) + 5)
    order = [text.split()[0] for text in asked(server)]
    assert order.count("daily") == 20
    first, last = order.index("daily"), len(order) - order[::-1].index("daily")
    return order[first:last].count("backfill"), order[last:].count("backfill")


async def test_the_more_urgent_process_goes_first(state: Path) -> None:
    """A backfill waits for its quota with many requests; what a daily run asks later goes before them.

    Of equals each would go in its turn, 19 of the backfill between 20.
    """
    async with scripted_server() as server:
        between, after = await between_the_urgent(server, state, priority=0)
    assert between <= 5
    assert after >= 5, "there was nothing left to go before"


async def test_processes_of_one_priority_take_turns(state: Path) -> None:
    """The same without a priority, so that the figure above means something."""
    async with scripted_server() as server:
        between, _ = await between_the_urgent(server, state, priority=-1)
    assert between > 9


# ------------------------------------------------------------------------------- ending in the middle

ANSWERED, HELD = 6, 4
KEYS = [f"row {number}" for number in range(30)]


@asynccontextmanager
async def in_the_middle(server: ScriptedServer, state: Path, **settings: Any) -> AsyncIterator[Worker]:
    """A worker with answers that it has handed on, and others that the server holds back."""
    await answer_one(server, state)
    settings = {"keys": KEYS, "drain_seconds": 1.0, **settings}
    async with workers(server, state, settings, max_concurrency=HELD) as (worker,):

        def script(request: dict[str, Any], number: int) -> dict[str, Any]:
            if number > ANSWERED and server.gate is None:
                server.gate = asyncio.Event()
            return answer(f"answer {number}")

        server.script = script
        worker.go()
        await worker.has_handed_on(ANSWERED)
        await server.asked(ANSWERED + HELD)
        yield worker


async def seconds_to_end(worker: Worker) -> float:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await worker.ended()
    return loop.time() - before


async def from_the_journal(server: ScriptedServer, state: Path) -> set[str]:
    """Which of the rows the next run need not ask; it asks the others once each."""
    if server.gate is not None:
        server.gate.set()
    server.requests.clear()
    async with workers(server, state, {"keys": KEYS}) as (worker,):
        worker.go()
        assert await worker.ended() == 0
    found = {each.key for each in worker.handed_on if each.from_journal}
    assert sorted(asked(server)) == sorted(set(KEYS) - found)
    return found


ENDS = pytest.mark.parametrize(
    ("end", "stops_on_sigterm"),
    [(signal.SIGINT, False), (signal.SIGTERM, True), (signal.SIGTERM, False)],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM unprepared"],
)


@ENDS
async def test_an_ended_process_has_lost_no_answer_that_came(
    state: Path, end: signal.Signals, stops_on_sigterm: bool
) -> None:
    """It ends within two or three seconds, whatever the server holds back, and what was answered is kept."""
    async with scripted_server() as server:
        async with in_the_middle(server, state, stops_on_sigterm=stops_on_sigterm) as worker:
            worker.process.send_signal(end)
            assert await seconds_to_end(worker) < 3.0
            assert worker.process.returncode != 0
            handed_on = {each.key for each in worker.handed_on}
            open_before = await intents(state)
        assert len(handed_on) == ANSWERED
        assert [intent.is_alive for intent in open_before] == [False] * HELD
        assert await from_the_journal(server, state) == handed_on


@pytest.mark.parametrize(
    ("end", "stops_on_sigterm"), [(signal.SIGINT, False), (signal.SIGTERM, True)], ids=["Ctrl-C", "SIGTERM"]
)
async def test_answers_on_their_way_are_waited_for_and_kept(
    state: Path, end: signal.Signals, stops_on_sigterm: bool
) -> None:
    """What the server answers while the process is closing is in the journal, and then it ends at once."""
    async with scripted_server() as server:
        settings = {"stops_on_sigterm": stops_on_sigterm, "drain_seconds": 20.0}
        async with in_the_middle(server, state, **settings) as worker:
            worker.process.send_signal(end)
            await worker.warned.wait()  # it says that it waits
            assert server.gate is not None
            asyncio.get_running_loop().call_later(0.5, server.gate.set)
            assert await seconds_to_end(worker) < 3.5
            assert await intents(state) == []
        kept = await from_the_journal(server, state)
        assert len(kept) == ANSWERED + HELD


async def test_a_second_ctrl_c_ends_at_once(state: Path) -> None:
    """Whoever presses it again does not want to wait for what may be billed; what was answered is kept."""
    async with scripted_server() as server:
        async with in_the_middle(server, state, drain_seconds=60.0) as worker:
            worker.process.send_signal(signal.SIGINT)
            await worker.warned.wait()
            worker.process.send_signal(signal.SIGINT)
            assert await seconds_to_end(worker) < 3.0
            assert len(await intents(state)) == HELD
        assert len(await from_the_journal(server, state)) == ANSWERED
