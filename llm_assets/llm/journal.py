"""Every answer paid for, written durably before anybody sees it, keyed by everything that shaped it.

The key leaves out what does not change the answer (who asked, when, the caller's own name for the
request), so a later run that asks the same gets the same answer for nothing. Intents are written before
a request is sent: after a crash they show what may have been billed without an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from types import TracebackType
from typing import Any, Self

from llm_assets.llm import journal_rows as rows
from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.journal_entry import Entry, dump_entry, load_entry
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import Endpoint
from llm_assets.llm.state import State


class Journal:
    """The journal in the state. `owner` is the process, `run_id` the run that its entries name.

    An async context manager: while it is open, others wait for what this process has sent.
    """

    def __init__(self, state: State, *, run_id: str, owner: str, lease_seconds: float = 60.0) -> None:
        self._state = state
        self._run_id = run_id
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._left_open: set[bytes] = set()

    async def __aenter__(self) -> Self:
        self._state.show_alive(self._owner)
        await self.show_alive()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        owner = {"owner": self._owner}
        await self._state.run(lambda transaction: transaction.execute(rows.LEAVE, owner).rowcount)

    async def show_alive(self) -> None:
        """Others wait for what this process has sent as long as it shows up within the lease."""

        def operation(transaction: Transaction) -> None:
            until = transaction.now() + self._lease_seconds
            transaction.execute(_SHOW_ALIVE, {"owner": self._owner, "until": until})

        await self._state.run(operation)

    async def find(self, keys: Sequence[bytes]) -> Entry | None:
        """The entry under the first of `keys` that has one; counts as a hit."""
        text = await self._state.run_together(rows.take, keys)
        return None if text is None else load_entry(text)

    async def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of `keys` that have an answer; no hit, since nobody takes it."""

        def operation(transaction: Transaction) -> set[bytes]:
            found: set[bytes] = set()
            for start in range(0, len(keys), rows.KEYS_PER_QUERY):
                some = keys[start : start + rows.KEYS_PER_QUERY]
                values = {f"key{number}": key for number, key in enumerate(some)}
                statement = f"SELECT key FROM answers WHERE key IN (:{', :'.join(values)})"  # noqa: S608 - names of ours
                found.update(bytes(row[0]) for row in transaction.execute(statement, values).fetchall())
            return found

        return await self._state.run(operation)

    async def look(self, keys: Sequence[bytes]) -> Entry | None:
        """The entry under the first of `keys` that has one; no hit, since nobody takes it."""
        entries = await self._state.run(lambda transaction: rows.entries(transaction, keys))
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
            for start in range(0, len(wanted), rows.KEYS_PER_QUERY):
                some = wanted[start : start + rows.KEYS_PER_QUERY]
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
            latest = [
                transaction.execute(_LATEST, {"subject": _subject_at(server, subject)}).fetchone()
                for server in servers
            ]
            found = [row for row in latest if row is not None]
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
        return self._state.run_together(rows.begin, (keys, intent))

    async def is_asked_elsewhere(self, key: bytes) -> bool:
        """Whether another living process has sent the same request and has no answer yet."""
        values: dict[str, Any] = {"key": key, "owner": self._owner}

        def operation(transaction: Transaction) -> bool:
            return rows.take(transaction, [[key]]) == [None] and rows.is_asked_elsewhere(transaction, values)

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
        return self._state.run_together(rows.record, (answer, self._owner), durable=True)

    def leave_open(self, key: bytes) -> None:
        """The request may have been billed without an answer. Its intent stays, whatever becomes of the next
        attempt, until there is an answer."""
        self._left_open.add(key)

    async def withdraw(self, key: bytes) -> None:
        """The request failed and was not billed: nothing is open any more, unless an earlier attempt is."""
        if key in self._left_open:
            return
        values = {"key": key, "owner": self._owner}
        await self._state.run(lambda transaction: transaction.execute(rows.WITHDRAW, values).rowcount)


_SHOW_ALIVE = """
INSERT INTO clients (owner, alive_until) VALUES (:owner, :until)
ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until
"""
_LATEST = "SELECT entry, created_at FROM answers WHERE subject = :subject ORDER BY created_at DESC LIMIT 1"


def _subject_at(server: str, subject: str) -> str:
    """Subjects of different servers are apart: an emulator's answer must never pass for a model's."""
    named = subject.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    return f"{server}\n{named}"  # what no database can store must not cost an answer
