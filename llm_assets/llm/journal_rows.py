"""What one transaction does with answers and intents, for all callers at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from llm_assets.llm.databases.base import Transaction
from llm_assets.llm.journal_entry import Entry, load_entry
from llm_assets.llm.requests import Endpoint

KEYS_PER_QUERY = 500  # SQLite takes 999 values in older builds


class AskedElsewhere(Exception):
    """Another living process has sent the very same request and has no answer yet."""


Intent = tuple[bytes, str, Endpoint, str, str, str]
"""Key, owner, endpoint, provider, model and run of a request that is about to be sent."""


def begin(
    transaction: Transaction, beginnings: list[tuple[Sequence[bytes], Intent]]
) -> list[Entry | AskedElsewhere | None]:
    """For each of them the answer under one of its keys, or else whether it may be sent: noted, then."""
    owner, now = beginnings[0][1][1], transaction.now()
    found = take(transaction, [keys for keys, _ in beginnings])
    has_others = transaction.execute(_OTHERS, {"owner": owner, "now": now}).fetchone() is not None
    outcomes: list[Entry | AskedElsewhere | None] = []
    intents: list[tuple[Any, ...]] = []
    for text, (_, intent) in zip(found, beginnings, strict=True):
        if text is not None:
            outcomes.append(load_entry(text))
        elif has_others and is_asked_elsewhere(transaction, {"key": intent[0], "owner": owner}):
            outcomes.append(AskedElsewhere())
        else:
            outcomes.append(None)
            intents.append((*intent, now))
    if intents:
        transaction.execute_many(_INTEND, intents)
    return outcomes


def record(transaction: Transaction, answers: list[tuple[tuple[Any, ...], str]]) -> list[None]:
    """Keep answers, each with the owner of the intent that it closes."""
    transaction.execute_many(_RECORD, [answer for answer, _ in answers])
    transaction.execute_many(WITHDRAW, [(answer[0], owner) for answer, owner in answers])
    return [None] * len(answers)


def take(transaction: Transaction, wanted: Sequence[Sequence[bytes]]) -> list[str | None]:
    """For each of `wanted` the entry under the first of its keys that has one; counts as a hit."""
    there = entries(transaction, [key for some in wanted for key in some])
    if not there:
        return [None] * len(wanted)
    firsts = [next((key for key in some if key in there), None) for some in wanted]
    transaction.execute_many(_HIT, [(key,) for key in firsts if key is not None])
    return [None if key is None else there[key] for key in firsts]


def entries(transaction: Transaction, keys: Sequence[bytes]) -> dict[bytes, str]:
    """The texts of the entries under `keys`, of those that have one; no hits."""
    there: dict[bytes, str] = {}
    for start in range(0, len(keys), KEYS_PER_QUERY):
        some = keys[start : start + KEYS_PER_QUERY]
        values = {f"key{number}": key for number, key in enumerate(some)}
        rows = transaction.execute(_entries_under(len(some)), values).fetchall()
        there.update((bytes(key), entry) for key, entry in rows)
    return there


@cache
def _entries_under(count: int) -> str:
    names = ", ".join(f":key{number}" for number in range(count))
    return f"SELECT key, entry FROM answers WHERE key IN ({names})"  # noqa: S608 - names of ours


def is_asked_elsewhere(transaction: Transaction, values: dict[str, Any]) -> bool:
    """Whether a client that lives has sent the same request."""
    values["now"] = transaction.now()
    while (row := transaction.execute(_ASKING, values).fetchone()) is not None:
        if not transaction.is_gone(row[0]):
            return True
        transaction.execute(LEAVE, {"owner": row[0]})
    return False


LEAVE = "DELETE FROM clients WHERE owner = :owner"
WITHDRAW = "DELETE FROM intents WHERE key = :key AND owner = :owner"
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
