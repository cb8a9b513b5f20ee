"""`llm-assets journal` says what is kept, what that saved, what may have been billed, and forgets by age."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from llm_assets.cli import main as command_line
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.journal import Journal
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import Answer
from llm_assets.llm.state import State
from llm_assets.usage import Usage

T = TypeVar("T")
CHEAP, DEAR = "gpt-6-luna", "gpt-6.1-sol"
LONG_NAME = "somebody/a-model-whose-name-says-how-it-was-made-and-when-2026-11-01"

# A process that has sent a request and waits for its answer.
ASKING = """
import asyncio, sys
from llm_assets.llm.databases.select import make_database
from llm_assets.llm.journal import Journal
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.state import State

async def main():
    with State(make_database(sys.argv[1])) as state:
        async with Journal(state, run_id="died", owner="died") as journal:
            await journal.begin(b"asked", [b"asked"], "chat", ModelConfig(model="gpt-6-luna"))
            print("sent", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`llm-assets journal …` in a terminal of `width` columns, with `typed` on the keyboard."""

    def run(*arguments: str, typed: str = "", width: int = 120) -> Result:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = command_line.run(["journal", *arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(params=["sqlite", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty state is, in a file and at a server."""
    if request.param == "sqlite":
        yield str(tmp_path / "state.sqlite")
    else:
        url = request.getfixturevalue("postgres_url")
        with_journal(url, empty)
        yield url


def with_journal(state: str, use: Callable[[State, Journal], Awaitable[T]]) -> T:
    """What `use` does with a journal that is opened for it, as a client of its own would."""

    async def opened() -> T:
        with State(make_database(state)) as database:
            async with Journal(database, run_id="a-run-with-a-long-name", owner="test") as journal:
                return await use(database, journal)

    return asyncio.run(opened())


async def empty(state: State, journal: Journal) -> None:
    for table in ("answers", "intents"):
        await state.run(lambda transaction, table=table: transaction.execute(f"DELETE FROM {table}").rowcount)


def answer(model: str = CHEAP, *, days_old: int = 0, cost_usd: str | None = "0.25") -> Entry:
    return Entry(
        provider="openai",
        endpoint="chat",
        model=model,
        answer=Answer(text="hello", usage=Usage(100, 0, 10), model=model),
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
        latency_seconds=1.0,
        finished_at=datetime.now(UTC) - timedelta(days=days_old),
    )


async def send(journal: Journal, key: bytes, model: str = CHEAP) -> None:
    """Note that a request is on its way."""
    await journal.begin(key, [key], "chat", ModelConfig(model=model))


def keep(state: str, entries: Sequence[Entry], *, hits: Sequence[int] = ()) -> None:
    """Put answers into the journal, and take those numbered in `hits` out of it again."""

    async def use(database: State, journal: Journal) -> None:
        for number, entry in enumerate(entries):
            await journal.record(b"%d" % number, entry, "server")
        for number in hits:
            assert await journal.find([b"%d" % number]) is not None

    with_journal(state, use)


def kept(run: Run, state: str) -> int:
    return run("--state", state, "--json").json["entries"]


def test_it_says_what_is_kept_and_what_that_saved(run: Run, state: str) -> None:
    """By model, the one with most answers first: answers, hits, cost, savings, age; then the sum."""
    keep(
        state,
        [answer(DEAR, cost_usd="2.50"), *[answer(days_old=number) for number in range(3)]],
        hits=[0, 0, 1],
    )
    result = run("--state", state)
    head, first, second, _, total = result.out.splitlines()
    today, oldest = datetime.now(UTC), datetime.now(UTC) - timedelta(days=2)
    assert result.code == 0
    assert head.split() == ["model", "answers", "hits", "cost", "saved", "size", "oldest", "newest"]
    assert first.split()[:5] == [CHEAP, "3", "1", "$0.75", "$0.25"]
    assert first.split()[-2:] == [f"{oldest:%Y-%m-%d}", f"{today:%Y-%m-%d}"]
    assert second.split()[:5] == [DEAR, "1", "2", "$2.50", "$5.00"]
    assert total == "4 answers, of use again 3 times, which saved $5.25."
    assert result.err == ""


def test_scripts_get_the_same_as_json(run: Run, state: str) -> None:
    """Plain numbers, moments with their time zone, totals and models; nothing else is printed."""
    keep(state, [answer(DEAR, cost_usd="2.50"), answer(), answer(cost_usd=None)], hits=[0, 2])
    result = run("--state", state, "--json")
    totals = {name: result.json[name] for name in ("entries", "hits", "cost_usd", "saved_usd", "intents")}
    assert totals == {"entries": 3, "hits": 2, "cost_usd": 2.75, "saved_usd": 2.5, "intents": 0}
    assert [model["model"] for model in result.json["models"]] == [CHEAP, DEAR]
    assert result.json["bytes"] == sum(model["bytes"] for model in result.json["models"]) > 100
    moment = datetime.fromisoformat(result.json["models"][0]["newest"])
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_sums_for_scripts_have_no_noise(run: Run, state: str) -> None:
    """Ten answers for a tenth of a dollar cost one dollar, and not almost one."""
    keep(state, [answer(cost_usd="0.1") for _ in range(10)], hits=[0, 1, 2])
    found = run("--state", state, "--json").json
    assert [found["cost_usd"], found["models"][0]["cost_usd"]] == [1.0, 1.0]
    assert [found["saved_usd"], found["models"][0]["saved_usd"]] == [0.3, 0.3]


def test_a_journal_without_answers_is_no_error(run: Run, state: str) -> None:
    """A run that has just begun has a state and no answers yet."""
    with_journal(state, empty)
    assert run("--state", state) == Result(0, "The journal is empty.\n", "")
    assert run("--state", state, "--json").json["models"] == []


@pytest.mark.parametrize("width", [200, 120, 80, 60])
def test_no_figure_is_cut_however_narrow_the_terminal(run: Run, tmp_path: Path, width: int) -> None:
    """A name may be cut to make room, down to what still tells which it is. A figure that is cut is wrong."""
    state = str(tmp_path / "state.sqlite")
    keep(state, [answer(LONG_NAME, cost_usd="1234.5"), answer(cost_usd="0.0123")], hits=[0, 1])
    table = run("--state", state, width=width).out.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= width
    for name, cost in ((LONG_NAME, "$1,234.50"), (CHEAP, "$0.012")):
        (line,) = [line for line in table if name[:8] in line]
        assert line.split()[3:5] == [cost, cost]
        assert "…" not in line.partition(" ")[2]
        if width >= 80:
            assert f"{datetime.now(UTC):%Y-%m-%d}" in line


def test_a_real_terminal_has_the_width_it_has(tmp_path: Path) -> None:
    """Without COLUMNS in the environment the terminal itself is asked: a name that fits is whole."""
    state = str(tmp_path / "state.sqlite")
    keep(state, [answer(LONG_NAME)])
    assert LONG_NAME in shown_in_a_terminal(state, columns=200)
    narrow = shown_in_a_terminal(state, columns=90)
    assert LONG_NAME not in narrow
    assert max(len(line) for line in narrow.splitlines() if "$" in line) <= 90


def shown_in_a_terminal(state: str, columns: int) -> str:
    """What `llm-assets journal` writes to a pseudo-terminal of that width, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "llm_assets.cli.main", "journal", "--state", state]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65_536):
            written += piece
    except OSError:  # how Linux says that nobody holds the other end any more
        pass
    os.close(ours)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode()).replace("\r", "")


def test_a_state_that_does_not_exist_is_3(run: Run, tmp_path: Path) -> None:
    """Nobody has run anything yet: the path is named, and looking at it makes no file."""
    state = tmp_path / "state.sqlite"
    for arguments in ([], ["intents"], ["prune", "--older-than", "1d", "--yes"]):
        result = run("--state", str(state), *arguments)
        assert (result.code, result.out) == (3, "")
        assert str(state) in result.err
        assert len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["text", "folder", "newer", "another program's"])
def test_a_state_that_cannot_be_used_is_1(run: Run, tmp_path: Path, kind: str) -> None:
    """A file of something else is said at once, in a line that names it, and is left as it is."""
    path = tmp_path / "state.sqlite"
    if kind == "text":
        path.write_text("The quick brown fox jumps over the lazy dog. " * 50)
    elif kind == "folder":
        path.mkdir()
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA user_version = 99" if kind == "newer" else "CREATE TABLE users (name TEXT)"
        )
        connection.close()
    before = path.read_bytes() if path.is_file() else b""
    result = run("--state", str(path))
    assert (result.out, len(result.err.splitlines())) == ("", 1)
    assert str(path) in result.err
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert result.code == 1


def test_a_server_that_cannot_be_reached_is_1_and_shows_no_password(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens on port 1. The line names the server."""
    monkeypatch.setattr("llm_assets.llm.journal_contents._PATIENCE_SECONDS", 0.2)
    result = run("--state", "postgresql://me:hidden@127.0.0.1:1/llm_assets")
    assert "127.0.0.1:1/llm_assets" in result.err
    assert "hidden" not in result.out + result.err
    assert result.code == 1


def test_a_database_of_another_kind_is_1(run: Run) -> None:
    """The line says what a state can be."""
    result = run("--state", "mysql://db/llm_assets")
    assert result.code == 1
    assert "SQLite" in result.err
    assert "postgresql://" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("prune",),
        ("prune", "--older-than", "soon"),
        ("prune", "--older-than", "3x"),
        ("prune", "--older-than", "-1d"),
        ("prune", "--older-than", "3000y"),
        ("prune", "--older-than", "99999999999d"),
        ("nonsense",),
        ("--nonsense",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What was typed wrongly is said, and nothing is forgotten."""
    state = str(tmp_path / "state.sqlite")
    keep(state, [answer(days_old=1000)])
    result = run("--state", state, *arguments)
    assert (result.code, result.out) == (2, "")
    assert "Error: " in result.err
    assert kept(run, state) == 1


def test_a_dry_run_only_counts(run: Run, state: str) -> None:
    """It says how many would go, asks nothing, and all of them stay."""
    keep(state, [answer(days_old=days) for days in (1, 40, 100, 400)])
    assert run("--state", state, "prune", "--older-than", "90d", "--dry-run") == Result(
        0, "Would forget 2 answers.\n", ""
    )
    as_json = run("--state", state, "--json", "prune", "--older-than", "90d", "--dry-run").json
    assert (as_json["answers"], as_json["pruned"]) == (2, False)
    assert kept(run, state) == 4


@pytest.mark.parametrize(("age", "stay"), [("90d", 2), ("4w", 1), ("6m", 3), ("1Y", 3), ("2y", 4)])
def test_only_what_is_older_is_forgotten(run: Run, state: str, age: str, stay: int) -> None:
    """Days, weeks, months and years; `--yes` asks nothing, and the rest stays."""
    keep(state, [answer(days_old=days) for days in (1, 40, 100, 400)])
    result = run("--state", state, "prune", "--older-than", age, "--yes")
    assert result == Result(0, f"Forgot {4 - stay} answers.\n", "")
    assert kept(run, state) == stay


def test_an_answer_that_was_forgotten_is_not_found_any_more(run: Run, state: str) -> None:
    """Asking the same again costs money again, while what stayed is still there for nothing."""
    keep(state, [answer(days_old=400), answer(days_old=1)])
    run("--state", state, "prune", "--older-than", "90d", "--yes")

    async def find(database: State, journal: Journal) -> list[bool]:
        return [await journal.find([key]) is not None for key in (b"0", b"1")]

    assert with_journal(state, find) == [False, True]


@pytest.mark.parametrize("typed", ["n\n", "\n", ""], ids=["no", "enter", "nobody there"])
def test_without_a_yes_nothing_is_forgotten(run: Run, state: str, typed: str) -> None:
    """The question says how many and from when. No answer is no: a script that was not told `--yes` stops."""
    keep(state, [answer(days_old=400), answer(days_old=1)])
    result = run("--state", state, "prune", "--older-than", "90d", typed=typed)
    before = datetime.now(UTC) - timedelta(days=90)
    assert f"Forget 1 answers from before {before:%Y-%m-%d}" in result.err
    assert result.out == ""
    assert "Interrupted" not in result.err
    assert ("--yes" in result.err) == (typed == "")
    assert result.code == 4
    assert kept(run, state) == 2


def test_options_may_stand_behind_the_subcommand(run: Run, state: str) -> None:
    """Where people look for them last."""
    keep(state, [answer(days_old=400), answer(days_old=1)])
    assert run("intents", "--state", state, "--json").json == []
    pruned = run("prune", "--older-than", "90d", "--dry-run", "--json", "--state", state)
    assert pruned.json["answers"] == 1
    assert run("--state", "nowhere.sqlite", "intents", "--state", state).code == 0


def test_a_yes_forgets_and_json_stays_json(run: Run, state: str) -> None:
    """The question goes to stderr, so that what a script reads is only the result."""
    keep(state, [answer(days_old=400), answer(days_old=1)])
    result = run("--state", state, "--json", "prune", "--older-than", "90d", typed="y\n")
    assert "Forget 1 answers" in result.err
    assert (result.code, result.json["answers"], result.json["pruned"]) == (0, 1, True)
    assert kept(run, state) == 1


def test_nothing_to_forget_is_not_asked_for(run: Run, state: str) -> None:
    """With nothing older there is no question."""
    keep(state, [answer(days_old=1)])
    assert run("--state", state, "prune", "--older-than", "90d") == Result(0, "Forgot 0 answers.\n", "")


def test_what_is_open_is_under_way_or_may_have_been_billed(run: Run, tmp_path: Path) -> None:
    """Of two requests without an answer, one's process is alive, and the other's was killed."""
    state = str(tmp_path / "state.sqlite")
    died = subprocess.Popen([sys.executable, "-c", ASKING, state], stdout=subprocess.PIPE)
    assert died.stdout is not None
    assert died.stdout.readline() == b"sent\n"
    died.kill()
    died.communicate()

    async def ask(database: State, journal: Journal) -> list[Result]:
        await send(journal, b"another", DEAR)
        commands = (["intents"], ["--json", "intents"], [], ["--json"])
        return [await asyncio.to_thread(run, "--state", state, *command) for command in commands]

    table, listed, summary, counted = with_journal(state, ask)
    head, first, second = table.out.splitlines()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert head.split() == ["sent", "(UTC)", "model", "endpoint", "run", "state"]
    assert first.split()[2:] == [CHEAP, "chat", "died", "maybe", "billed"]
    assert second.split()[2:] == [DEAR, "chat", "a-run-wi", "under", "way"]
    assert first.startswith(today)
    assert [(intent["run_id"], intent["is_alive"]) for intent in listed.json] == [
        ("died", False),
        ("a-run-with-a-long-name", True),
    ]
    assert re.search(r"\b1 request\w* \w+ under way; 1 \w+ left behind", summary.out)
    assert "may have been billed (llm-assets journal intents)" in summary.out
    assert counted.json["intents"] == 2
    assert {result.code for result in (table, listed, summary, counted)} == {0}


@pytest.mark.parametrize("width", [120, 80, 60])
def test_open_requests_fit_the_terminal(run: Run, tmp_path: Path, width: int) -> None:
    """When each was sent and what became of it stay whole; a name is cut to what still tells which it is."""

    async def ask(database: State, journal: Journal) -> None:
        await send(journal, b"key", LONG_NAME)

    state = str(tmp_path / "state.sqlite")
    with_journal(state, ask)
    result = run("--state", state, "intents", width=width)
    assert max(map(len, result.out.splitlines())) <= width
    words = result.out.split()
    assert LONG_NAME[:8] in result.out
    assert {f"{datetime.now(UTC):%Y-%m-%d}", "chat", "a-run-wi"} <= set(words)
    assert "maybe billed" in result.out
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d", word) for word in words)


def test_nothing_open_is_said(run: Run, state: str) -> None:
    """An answer, and a failure that was not billed, leave nothing open."""

    async def ask(database: State, journal: Journal) -> None:
        for key in (b"answered", b"failed"):
            await send(journal, key)
        await journal.record(b"answered", answer(), "server")
        await journal.withdraw(b"failed")

    with_journal(state, ask)
    assert run("--state", state, "intents").out.startswith("Nothing is open")
    assert run("--state", state, "--json", "intents").json == []


def test_what_died_long_ago_is_forgotten_with_the_answers(run: Run, tmp_path: Path) -> None:
    """Open requests older than the age go too."""
    state = str(tmp_path / "state.sqlite")

    async def ask(database: State, journal: Journal) -> None:
        await send(journal, b"asked")

    with_journal(state, ask)
    assert len(run("--state", state, "--json", "intents").json) == 1
    assert run("--state", state, "prune", "--older-than", "0d", "--yes").code == 0
    assert run("--state", state, "--json", "intents").json == []


def test_the_state_is_the_projects_own_unless_it_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--state`, else LLM_ASSETS_STATE, from the project's root; else data/state.sqlite there."""
    (tmp_path / "workspace.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("LLM_ASSETS_STATE", raising=False)
    states = {"data/state.sqlite": 1, "elsewhere/other.sqlite": 2, "named.sqlite": 3}
    for path, answers in states.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        keep(str(tmp_path / path), [answer() for _ in range(answers)])

    assert run("--json").json["entries"] == 1
    monkeypatch.setenv("LLM_ASSETS_STATE", "elsewhere/other.sqlite")
    assert run("--json").json["entries"] == 2
    monkeypatch.setenv("LLM_ASSETS_STATE", str(tmp_path / "elsewhere/other.sqlite"))
    assert run("--json").json["entries"] == 2
    assert run("--json", "--state", str(tmp_path / "named.sqlite")).json["entries"] == 3
    monkeypatch.setenv("LLM_ASSETS_STATE", "nowhere.sqlite")
    missing = run()
    assert missing.code == 3
    assert str(tmp_path / "nowhere.sqlite") in missing.err


def test_the_state_may_be_a_server_in_the_environment(
    run: Run, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LLM_ASSETS_STATE takes the URL of a database as well."""
    with_journal(postgres_url, empty)
    keep(postgres_url, [answer(), answer()])
    monkeypatch.setenv("LLM_ASSETS_STATE", postgres_url)
    assert run("--json").json["entries"] == 2


def test_help_names_the_exit_codes_and_examples(run: Run) -> None:
    """Whoever writes a script finds them where the options are."""
    result = run("--help")
    for words in ("0 done", "1 the state cannot be used", "2 wrong usage", "3 there is no state", "prune"):
        assert words in result.out
