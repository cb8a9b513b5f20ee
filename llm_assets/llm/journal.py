"""Every answer paid for, written durably before anybody sees it, keyed by everything that shaped it.

The key leaves out what does not change the answer (who asked, when, the caller's own name for the
request), so a later run that asks the same gets the same answer for nothing. Intents are written before
a request is sent: after a crash they show what may have been billed without an answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Collection, Sequence
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple, Self

from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.journal_entry import Entry, dump_entry, load_entry
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.requests import ChatRequest, Endpoint, OutputSchema, Request, TranscriptionRequest
from llm_assets.llm.state import State

_KEY_VERSION = 1
_KEYS_PER_QUERY = 500  # SQLite takes 999 values in older builds


class AskedElsewhere(Exception):
    """Another living process has sent the very same request and has no answer yet."""


def journal_keys(request: Request, models: Sequence[tuple[ModelConfig, str]]) -> list[bytes]:
    """The identity of an answer of each model on its server.

    It is the hash of provider, server, endpoint, model, parameters and everything in the request that
    shapes the answer.
    """
    asked = _asked(request)
    return [
        hashlib.sha256(
            b"".join((_shape(model, server, request.endpoint), _limit(request, model), asked))
        ).digest()
        for model, server in models
    ]


def _asked(request: Request) -> bytes:
    """The hash of what is asked, whichever model answers."""
    if isinstance(request, TranscriptionRequest):
        hints = [request.sha256, request.language, request.prompt, list(request.keywords)]
        return hashlib.sha256(_json(hints)).digest()
    digest = hashlib.sha256(_SCHEMAS.of(request.output_schema))
    for message in request.messages:
        content = message.content.encode("utf-8", "surrogatepass")
        digest.update(b"\n%s %d\n" % (message.role.encode(), len(content)))
        digest.update(content)
    return digest.digest()


def _limit(request: Request, model: ModelConfig) -> bytes:
    most = request.max_output_tokens if isinstance(request, ChatRequest) else None
    return b"\n%d\n" % (most or model.max_output_tokens or 0)


def _shape(model: ModelConfig, server: str, endpoint: Endpoint) -> bytes:
    return _SHAPES.of(model)[endpoint] + server.encode()


def _shapes(model: ModelConfig) -> dict[Endpoint, bytes]:
    """What of a model's configuration shapes its answers."""
    named = [_KEY_VERSION, model.provider, model.model, dict(model.parameters)]
    return {
        "chat": _json([*named, "chat", model.structured_output]),
        "transcription": _json([*named, "transcription", model.transcription_format]),
    }


def _schema(schema: OutputSchema | None) -> bytes:
    if schema is None:
        return b""
    # The order of properties shapes an answer too, so nothing is sorted here.
    return json.dumps([schema.name, schema.description, schema.schema], default=str).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


_SHAPES = Remembered(_shapes)
_SCHEMAS = Remembered(_schema)


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

    async def begin(
        self, key: bytes, keys: Sequence[bytes], endpoint: Endpoint, model: ModelConfig
    ) -> Entry | None:
        """Note that the request under `key` is about to be sent.

        An entry: there is an answer under one of `keys`, so send nothing; it counts as a hit.
        Raises AskedElsewhere when another living process has sent the same and has no answer yet.
        """
        beginning = _Beginning(keys, key, self._owner, endpoint, model, self._run_id)
        text, is_asked_elsewhere = await self._state.run_together(_begin, beginning)
        if text is not None:
            return load_entry(text)
        if is_asked_elsewhere:
            raise AskedElsewhere
        return None

    async def is_asked_elsewhere(self, key: bytes) -> bool:
        """Whether another living process has sent the same request and has no answer yet."""
        values: dict[str, Any] = {"key": key, "owner": self._owner}

        def operation(transaction: Transaction) -> bool:
            return _found(transaction, [[key]]) == [None] and _is_asked_elsewhere(transaction, values)

        return await self._state.run(operation)

    def record(self, key: bytes, entry: Entry, server: str) -> Awaitable[None]:
        """Keep an answer of `server`. It survives a power cut once this has been waited for."""
        values: dict[str, Any] = {
            "key": key,
            "owner": self._owner,
            "subject": None if entry.subject is None else _subject_at(server, entry.subject),
            "endpoint": entry.endpoint,
            "provider": entry.provider,
            "model": entry.model,
            "run_id": entry.run_id,
            "cost_usd": None if entry.cost_usd is None else float(entry.cost_usd),
            "entry": dump_entry(entry),
            "created_at": entry.finished_at.timestamp(),
        }
        return self._state.run_together(_record, values, durable=True)

    async def withdraw(self, key: bytes) -> None:
        """The request failed without an answer: nothing was billed, nothing is open."""
        values = {"key": key, "owner": self._owner}
        await self._state.run(lambda transaction: transaction.execute(_WITHDRAW, values).rowcount)


class _Beginning(NamedTuple):
    """A request that is about to be sent: the keys of answers that will do, and what its intent says."""

    keys: Sequence[bytes]
    key: bytes
    owner: str
    endpoint: Endpoint
    model: ModelConfig
    run_id: str


def _begin(transaction: Transaction, beginnings: list[_Beginning]) -> list[tuple[str | None, bool]]:
    """For each of them the entry that is there, or else whether another living client has sent the same."""
    found = _found(transaction, [beginning.keys for beginning in beginnings])
    owner, now = beginnings[0].owner, transaction.now()
    has_others = transaction.execute(_OTHERS, {"owner": owner, "now": now}).fetchone() is not None
    outcomes: list[tuple[str | None, bool]] = []
    intents: list[dict[str, Any]] = []
    for entry, (_, key, owner, endpoint, model, run_id) in zip(found, beginnings, strict=True):
        elsewhere = (
            entry is None and has_others and _is_asked_elsewhere(transaction, {"key": key, "owner": owner})
        )
        outcomes.append((entry, elsewhere))
        if entry is None and not elsewhere:
            intents.append(
                {
                    "key": key,
                    "owner": owner,
                    "endpoint": endpoint,
                    "provider": model.provider,
                    "model": model.model,
                    "run_id": run_id,
                    "now": now,
                }
            )
    if intents:
        transaction.execute_many(_INTEND, intents)
    return outcomes


def _record(transaction: Transaction, answers: list[dict[str, Any]]) -> list[None]:
    transaction.execute_many(_RECORD, answers)
    transaction.execute_many(_WITHDRAW, answers)
    return [None] * len(answers)


def _found(transaction: Transaction, wanted: Sequence[Sequence[bytes]]) -> list[str | None]:
    """For each of `wanted` the entry under the first of its keys that has one; counts as a hit."""
    entries = _entries(transaction, [key for some in wanted for key in some])
    if not entries:
        return [None] * len(wanted)
    firsts = [next((key for key in some if key in entries), None) for some in wanted]
    transaction.execute_many(_HIT, [{"key": key} for key in firsts if key is not None])
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
