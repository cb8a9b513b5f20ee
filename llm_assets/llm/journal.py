"""Every answer paid for, written durably before anybody sees it, keyed by everything that shaped it.

The key leaves out what does not change the answer (who asked, when, the caller's own name for the
request), so a later run that asks the same gets the same answer for nothing. Intents are written before
a request is sent: after a crash they show what may have been billed without an answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import Answer, AnswerSegment, ChatRequest, Endpoint, Request
from llm_assets.llm.state import State, Transaction
from llm_assets.usage import Usage

_KEY_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer as it was paid for. `model` is the name that was asked, the answer has the snapshot."""

    provider: str
    endpoint: Endpoint
    model: str
    answer: Answer
    cost_usd: Decimal | None
    latency_seconds: float
    finished_at: datetime
    subject: str | None = None
    fallback_reason: str | None = None
    request_id: str | None = None
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that was sent and whose answer is not in the journal."""

    endpoint: Endpoint
    provider: str
    model: str
    run_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class JournalSize:
    """What the journal holds. `bytes` counts the entries, not the file."""

    entries: int
    hits: int
    bytes: int
    intents: int
    oldest: datetime | None


def journal_key(request: Request, model: ModelConfig, server: str) -> bytes:
    """The identity of an answer: provider, server, endpoint, model, parameters and the whole request."""
    digest = hashlib.sha256(
        _json([_KEY_VERSION, server, model.provider, model.model, dict(model.parameters)])
    )
    if isinstance(request, ChatRequest):
        most_output_tokens = request.max_output_tokens or model.max_output_tokens
        shape = ["chat", most_output_tokens, model.structured_output]
        if request.output_schema is not None:
            shape += [request.output_schema.name, request.output_schema.schema]
        digest.update(_json(shape))
        for message in request.messages:
            content = message.content.encode()
            digest.update(f"\n{message.role} {len(content)}\n".encode())
            digest.update(content)
    else:
        hints = [request.language, request.prompt, list(request.keywords)]
        digest.update(_json(["transcription", request.sha256, model.transcription_format, *hints]))
    return digest.digest()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


class Journal:
    """The journal in the state. `owner` is the process, `run_id` the run that its entries name."""

    def __init__(self, state: State, *, run_id: str, owner: str) -> None:
        self._state = state
        self._run_id = run_id
        self._owner = owner

    async def find(self, keys: Sequence[bytes]) -> Entry | None:
        """The entry under the first of `keys` that has one; counts as a hit."""

        def operation(transaction: Transaction) -> str | None:
            for key in keys:
                values = {"key": key.hex()}
                row = transaction.execute("SELECT entry FROM journal WHERE key = :key", values).fetchone()
                if row is not None:
                    transaction.execute("UPDATE journal SET hits = hits + 1 WHERE key = :key", values)
                    return row[0]
            return None

        text = await self._state.run(operation)
        return None if text is None else load_entry(text)

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

    async def intend(self, key: bytes, endpoint: Endpoint, model: ModelConfig, started_at: float) -> None:
        """Note that a request is about to be sent."""
        values = {
            "key": key.hex(),
            "endpoint": endpoint,
            "provider": model.provider,
            "model": model.model,
            "run_id": self._run_id,
            "owner": self._owner,
            "started_at": started_at,
        }
        await self._state.run(lambda transaction: transaction.execute(_INTEND, values).rowcount)

    async def record(self, key: bytes, entry: Entry, server: str) -> None:
        """Keep an answer of `server`. It survives a power cut once this returns."""
        values = {
            "key": key.hex(),
            "subject": None if entry.subject is None else _subject_at(server, entry.subject),
            "endpoint": entry.endpoint,
            "provider": entry.provider,
            "model": entry.model,
            "run_id": entry.run_id,
            "entry": dump_entry(entry),
            "created_at": entry.finished_at.timestamp(),
        }

        def operation(transaction: Transaction) -> None:
            transaction.execute(_RECORD, values)
            transaction.execute(_WITHDRAW, {"key": values["key"]})

        await self._state.run(operation, durable=True)

    async def withdraw(self, key: bytes) -> None:
        """The request failed without an answer: nothing was billed, nothing is open."""
        values = {"key": key.hex()}
        await self._state.run(lambda transaction: transaction.execute(_WITHDRAW, values).rowcount)

    async def size(self) -> JournalSize:
        """How much the journal holds and how often it was of use."""

        def operation(transaction: Transaction) -> JournalSize:
            entries, hits, size, oldest = transaction.execute(_SIZE).fetchone()
            (intents,) = transaction.execute("SELECT count(*) FROM intents").fetchone()
            return JournalSize(
                entries, int(hits), int(size), intents, None if oldest is None else _time(oldest)
            )

        return await self._state.run(operation)

    async def open_intents(self) -> list[Intent]:
        """What may have been billed without an answer, oldest first. Requests under way now are in it too."""

        def operation(transaction: Transaction) -> list[Intent]:
            rows = transaction.execute(_INTENTS).fetchall()
            return [Intent(row[0], row[1], row[2], row[3], _time(row[4])) for row in rows]

        return await self._state.run(operation)

    async def prune(self, before: datetime) -> int:
        """Forget answers and intents older than `before`; returns how many answers. They cost again."""
        values = {"before": before.timestamp()}

        def operation(transaction: Transaction) -> int:
            transaction.execute("DELETE FROM intents WHERE started_at < :before", values)
            return transaction.execute("DELETE FROM journal WHERE created_at < :before", values).rowcount

        return await self._state.run(operation, durable=True)


_INTEND = """
INSERT INTO intents (key, endpoint, provider, model, run_id, owner, started_at)
VALUES (:key, :endpoint, :provider, :model, :run_id, :owner, :started_at)
ON CONFLICT (key) DO UPDATE
SET run_id = excluded.run_id, owner = excluded.owner, started_at = excluded.started_at
"""
_RECORD = """
INSERT INTO journal (key, subject, endpoint, provider, model, run_id, entry, created_at)
VALUES (:key, :subject, :endpoint, :provider, :model, :run_id, :entry, :created_at)
ON CONFLICT (key) DO NOTHING
"""
_LATEST = "SELECT entry, created_at FROM journal WHERE subject = :subject ORDER BY created_at DESC LIMIT 1"
_WITHDRAW = "DELETE FROM intents WHERE key = :key"
_SIZE = """
SELECT count(*), coalesce(sum(hits), 0), coalesce(sum(length(entry)), 0), min(created_at) FROM journal
"""
_INTENTS = "SELECT endpoint, provider, model, run_id, started_at FROM intents ORDER BY started_at"


def _subject_at(server: str, subject: str) -> str:
    """Subjects of different servers are apart: an emulator's answer must never pass for a model's."""
    return f"{server}\n{subject}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def dump_entry(entry: Entry) -> str:
    """JSON text that `load_entry` reads back."""
    answer = entry.answer
    values: dict[str, Any] = {
        "provider": entry.provider,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "cost_usd": None if entry.cost_usd is None else str(entry.cost_usd),
        "latency_seconds": entry.latency_seconds,
        "finished_at": entry.finished_at.timestamp(),
        "subject": entry.subject,
        "fallback_reason": entry.fallback_reason,
        "request_id": entry.request_id,
        "run_id": entry.run_id,
        "answer": {
            "text": answer.text,
            "usage": {name: getattr(answer.usage, name) for name in Usage.__slots__},
            "model": answer.model,
            "finish_reason": answer.finish_reason,
            "refusal": answer.refusal,
            "language": answer.language,
            "duration_seconds": answer.duration_seconds,
            "segments": [asdict(segment) for segment in answer.segments],
            "service_tier": answer.service_tier,
        },
    }
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def load_entry(text: str) -> Entry:
    values = json.loads(text)
    given = values.pop("answer")
    given["usage"] = Usage(**given["usage"])
    given["segments"] = tuple(AnswerSegment(**segment) for segment in given["segments"])
    values["finished_at"] = _time(values["finished_at"])
    values["cost_usd"] = None if values["cost_usd"] is None else Decimal(values["cost_usd"])
    return Entry(answer=Answer(**given), **values)
