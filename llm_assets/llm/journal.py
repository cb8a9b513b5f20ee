"""Every answer paid for, written durably before anybody sees it, keyed by everything that shaped it.

The key leaves out what does not change the answer (who asked, when, the caller's own name for the
request), so a later run that asks the same gets the same answer for nothing. Intents are written before
a request is sent: after a crash they show what may have been billed without an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Self

from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.journal_entry import Entry, dump_entry, load_entry
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import Endpoint
from llm_assets.llm.state import State

_KEYS_PER_QUERY = 500  # SQLite takes 999 values in older builds


class AskedElsewhere(Exception):
    """Another living process has sent the very same request and has no answer yet."""


class Journal:
    """The journal in the state. `owner` is the process, `run_id` the run that its entries name.

    An async context manager: while it is open, others wait for what this process has sent.
    """

    def __init__(self, state: State, *, run_id: str, owner: str, lease_seconds: float = 60.0) -> None:
        self._state = state
        self._run_id = run_id
        self._owner = owner
        self._lease_seconds = lease_seconds

    async def __aenter__(self) -> Self:
        self._state.show_alive(self._owner)
        await self.show_alive()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        owner = {"owner": self._owner}
        await self._state.run(lambda transaction: transaction.execute(_LEAVE, owner).rowcount)

    async def show_alive(self) -> None:
        """Others wait for what this process has sent as long as it shows up within the lease."""

        def operation(transaction: Transaction) -> None:
            until = transaction.now() + self._lease_seconds
            transaction.execute(_SHOW_ALIVE, {"owner": self._owner, "until": until})

        await self._state.run(operation)

    async def find(self, keys: Sequence[bytes]) -> Entry | None:
        """The entry under the first of `keys` that has one; counts as a hit."""
        text = await self._state.run_together(_found, keys)
        return None if text is None else load_entry(text)

    async def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of `keys` that have an answer; no hit, since nobody takes it."""

        def operation(transaction: Transaction) -> set[bytes]:
            found: set[bytes] = set()
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                values = {f"key{number}": key for number, key in enumerate(some)}
                statement = f"SELECT key FROM answers WHERE key IN (:{', :'.join(values)})"  # noqa: S608 - names of ours
                found.update(bytes(row[0]) for row in transaction.execute(statement, values).fetchall())
            return found

        return await self._state.run(operation)

    async def look(self, keys: Sequence[bytes]) -> Entry | None:
        """The entry under the first of `keys` that has one; no hit, since nobody takes it."""
        entries = await self._state.run(lambda transaction: _entries(transaction, keys))
        first = next((entries[key] for key in keys if key in entries), None)
        return None if first is None else load_entry(first)

    async def known_subjects(
        self, subjects: Sequence[str], models: Sequence[tuple[ModelConfig, str]]
    ) -> set[str]:
        """Those of `subjects` about which one of the models, on its server, has answered something."""
        names = {_subject_at(server, subject): subject for _, server in models for subject in subjects}
        wanted, asked = list(names), {(model.model, server) for model, server in models}

        def operation(transaction: Transaction) -> set[str]:
            found: set[str] = set()
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                some = wanted[start : start + _KEYS_PER_QUERY]
                values = {f"subject{number}": each for number, each in enumerate(some)}
                statement = f"SELECT subject, model FROM answers WHERE subject IN (:{', :'.join(values)})"  # noqa: S608 - names of ours
                for subject, model in transaction.execute(statement, values).fetchall():
                    if (model, subject.partition("\n")[0]) in asked:
                        found.add(names[subject])
            return found

        return await self._state.run(operation)

    async def find_latest(self, subject: str, servers: Collection[str]) -> Entry | None:
        """The last answer that one of `servers` gave for the same subject, by whichever model."""

        def operation(transaction: Transaction) -> str | None:
            rows = [
                transaction.execute(_LATEST, {"subject": _subject_at(server, subject)}).fetchone()
                for server in servers
            ]
            found = [row for row in rows if row is not None]
            return max(found, key=lambda row: row[1])[0] if found else None

        text = await self._state.run(operation)
        return None if text is None else load_entry(text)

    def begin(
        self, key: bytes, keys: Sequence[bytes], endpoint: Endpoint, model: ModelConfig
    ) -> Awaitable[Entry | None]:
        """Note that the request under `key` is about to be sent; that is so once this has been waited for.

        An entry: there is an answer under one of `keys`, so send nothing; it counts as a hit.
        Raises AskedElsewhere when another living process has sent the same and has no answer yet.
        """
        intent = (key, self._owner, endpoint, model.provider, model.model, self._run_id)
        return self._state.run_together(_begin, (keys, intent))

    async def is_asked_elsewhere(self, key: bytes) -> bool:
        """Whether another living process has sent the same request and has no answer yet."""
        values: dict[str, Any] = {"key": key, "owner": self._owner}

        def operation(transaction: Transaction) -> bool:
            return _found(transaction, [[key]]) == [None] and _is_asked_elsewhere(transaction, values)

        return await self._state.run(operation)

    def record(self, key: bytes, entry: Entry, server: str) -> Awaitable[None]:
        """Keep an answer of `server`. It survives a power cut once this has been waited for."""
        answer = (
            key,
            None if entry.subject is None else _subject_at(server, entry.subject),
            entry.endpoint,
            entry.provider,
            entry.model,
            entry.run_id,
            None if entry.cost_usd is None else float(entry.cost_usd),
            dump_entry(entry),
            entry.finished_at.timestamp(),
        )
        return self._state.run_together(_record, (answer, self._owner), durable=True)

    async def withdraw(self, key: bytes) -> None:
        """The request failed without an answer: nothing was billed, nothing is open."""
        values = {"key": key, "owner": self._owner}
        await self._state.run(lambda transaction: transaction.execute(_WITHDRAW, values).rowcount)


_Intent = tuple[bytes, str, Endpoint, str, str, str]
"""Key, owner, endpoint, provider, model and run of a request that is about to be sent."""


def _begin(
    transaction: Transaction, beginnings: list[tuple[Sequence[bytes], _Intent]]
) -> list[Entry | AskedElsewhere | None]:
    """For each of them the answer under one of its keys, or else whether it may be sent: noted, then."""
    owner, now = beginnings[0][1][1], transaction.now()
    found = _found(transaction, [keys for keys, _ in beginnings])
    has_others = transaction.execute(_OTHERS, {"owner": owner, "now": now}).fetchone() is not None
    outcomes: list[Entry | AskedElsewhere | None] = []
    intents: list[tuple[Any, ...]] = []
    for text, (_, intent) in zip(found, beginnings, strict=True):
        if text is not None:
            outcomes.append(load_entry(text))
        elif has_others and _is_asked_elsewhere(transaction, {"key": intent[0], "owner": owner}):
            outcomes.append(AskedElsewhere())
        else:
            outcomes.append(None)
            intents.append((*intent, now))
    if intents:
        transaction.execute_many(_INTEND, intents)
    return outcomes


def _record(transaction: Transaction, answers: list[tuple[tuple[Any, ...], str]]) -> list[None]:
    """Keep answers, each with the owner of the intent that it closes."""
    transaction.execute_many(_RECORD, [answer for answer, _ in answers])
    transaction.execute_many(_WITHDRAW, [(answer[0], owner) for answer, owner in answers])
    return [None] * len(answers)


def _found(transaction: Transaction, wanted: Sequence[Sequence[bytes]]) -> list[str | None]:
    """For each of `wanted` the entry under the first of its keys that has one; counts as a hit."""
    entries = _entries(transaction, [key for some in wanted for key in some])
    if not entries:
        return [None] * len(wanted)
    firsts = [next((key for key in some if key in entries), None) for some in wanted]
    transaction.execute_many(_HIT, [(key,) for key in firsts if key is not None])
    return [None if key is None else entries[key] for key in firsts]


def _entries(transaction: Transaction, keys: Sequence[bytes]) -> dict[bytes, str]:
    entries: dict[bytes, str] = {}
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        some = keys[start : start + _KEYS_PER_QUERY]
        values = {f"key{number}": key for number, key in enumerate(some)}
        rows = transaction.execute(_entries_under(len(some)), values).fetchall()
        entries.update((bytes(key), entry) for key, entry in rows)
    return entries


@cache
def _entries_under(count: int) -> str:
    names = ", ".join(f":key{number}" for number in range(count))
    return f"SELECT key, entry FROM answers WHERE key IN ({names})"  # noqa: S608 - names of ours


def _is_asked_elsewhere(transaction: Transaction, values: dict[str, Any]) -> bool:
    """Whether a client that lives has sent the same request."""
    values["now"] = transaction.now()
    while (row := transaction.execute(_ASKING, values).fetchone()) is not None:
        if not transaction.is_gone(row[0]):
            return True
        transaction.execute(_LEAVE, {"owner": row[0]})
    return False


_LEAVE = "DELETE FROM clients WHERE owner = :owner"
_SHOW_ALIVE = """
INSERT INTO clients (owner, alive_until) VALUES (:owner, :until)
ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until
"""
_HIT = "UPDATE answers SET hits = hits + 1 WHERE key = :key"
_ASKING = """
SELECT intents.owner FROM intents JOIN clients ON clients.owner = intents.owner
WHERE intents.key = :key AND intents.owner <> :owner AND clients.alive_until > :now LIMIT 1
"""
_OTHERS = "SELECT 1 FROM clients WHERE owner <> :owner AND alive_until > :now LIMIT 1"
_INTEND = """
INSERT INTO intents (key, owner, endpoint, provider, model, run_id, started_at)
VALUES (:key, :owner, :endpoint, :provider, :model, :run_id, :now)
ON CONFLICT (key, owner) DO UPDATE SET started_at = excluded.started_at
"""
_RECORD = """
INSERT INTO answers (key, subject, endpoint, provider, model, run_id, cost_usd, entry, created_at, hits)
VALUES (:key, :subject, :endpoint, :provider, :model, :run_id, :cost_usd, :entry, :created_at, 0)
ON CONFLICT (key) DO NOTHING
"""
_LATEST = "SELECT entry, created_at FROM answers WHERE subject = :subject ORDER BY created_at DESC LIMIT 1"
_WITHDRAW = "DELETE FROM intents WHERE key = :key AND owner = :owner"


def _subject_at(server: str, subject: str) -> str:
    """Subjects of different servers are apart: an emulator's answer must never pass for a model's."""
    named = subject.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    return f"{server}\n{named}"  # what no database can store must not cost an answer
