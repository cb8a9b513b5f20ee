"""Kill a process that pays for answers, over and over, and count what it paid for twice.

Every life of the process shows a key of its own, so each request that reached the provider belongs to one
life, and each answer says which life paid for it. Counting needs no clock: what a life asked for is held
against what earlier ones had handed on and had in the journal.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from random import Random
from typing import Any

from benchmarks.children import work_folder
from benchmarks.paying_worker import Work, row_key
from benchmarks.processes import Worker, paying
from benchmarks.witness import Witness
from llm_assets.llm.journal_contents import open_contents

# When in its life a process is killed: while it starts, or just after its n-th request reached the provider,
# the n-th answer left there, or the n-th answer was handed on.
_MOMENTS = ("starting", "asked", "answered", "handed_on")
_MOST_N = 60
_SOON_SECONDS = 0.005
_MEAN_LATENCY_SECONDS = 0.035
# No moment takes that long to come; a process that hangs is an error and no result.
_STUCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Life:
    """What one life asked the provider for, by key and in order, and the answers it handed on."""

    asker: str
    asked: Sequence[str]
    handed_on: dict[str, str]


def measure(
    kills: int = 100,
    *,
    rows: int | None = None,
    concurrency: int = 32,
    seed: int = 1,
) -> dict[str, Any]:
    """Kill a process `kills` times, let it finish, and count. The moments follow from `seed`.

    `answers_paid` are all requests that the provider read, and so bills. Of those beyond one for each row
    nothing excuses `asked_again_after_handed_on`, `asked_again_after_kept` (an earlier life had the answer in
    its journal) and `asked_twice_in_one_life`. `asked_again_in_flight` are the others: at a kill they were at
    the provider or on their way back. How many were so is `in_flight_at_kills`, which bounds them.
    `open_intents` are what the journal says may have been billed without an answer.
    """
    work = Work(
        base_url="", state="", asker="", rows=rows or max(kills, 1) * _MOST_N, concurrency=concurrency
    )
    began = time.monotonic()
    counts = asyncio.run(_measure(work, kills, seed))
    seconds = round(time.monotonic() - began, 1)
    return {"kills": kills, "concurrency": concurrency, "seed": seed, **counts, "seconds": seconds}


async def _measure(work: Work, kills: int, seed: int) -> dict[str, Any]:
    async with work_folder() as folder:
        state = str(folder / "state.sqlite")
        async with Witness(mean_seconds=_MEAN_LATENCY_SECONDS, seed=seed) as witness:
            work = replace(work, base_url=witness.base_url, state=state)
            return await _Killing(work, witness, Random(seed)).run(kills)


class _Killing:
    """One process with the same work in all its lives."""

    def __init__(self, work: Work, witness: Witness, chance: Random) -> None:
        self._work, self._witness, self._chance = work, witness, chance
        self._start_seconds = 0.5
        self._lives: dict[str, Worker] = {}

    async def run(self, kills: int) -> dict[str, Any]:
        for moment in islice(cycle(_MOMENTS), kills):
            await self._live(until=moment)
        intents_then = await self._open_intents() if kills else 0
        await self._live(until=None)
        # Only now: what a killed process had sent may reach the provider after its death.
        return count([self._told(asker) for asker in self._lives], self._work.rows) | {
            "open_intents_after_last_kill": intents_then,
            "open_intents": await self._open_intents(),
        }

    async def _live(self, until: str | None) -> None:
        """Raises RuntimeError when a life ends otherwise than it should, TimeoutError when it hangs."""
        number = len(self._lives)
        asker = f"life {number + 1}"
        async with paying(replace(self._work, asker=asker)) as worker:
            self._lives[asker] = worker
            if until is not None:
                async with asyncio.timeout(_STUCK_SECONDS):
                    await self._come(until, asker, worker)
                worker.kill()
            status, expected = await worker.ended(), 0 if until is None else -signal.SIGKILL
        if status != expected:
            raise RuntimeError(f"{asker} ended with status {status} instead of {expected}")

    async def _come(self, moment: str, asker: str, worker: Worker) -> None:
        began = time.monotonic()
        n = self._chance.randint(1, _MOST_N)
        match moment:
            case "starting":
                await asyncio.sleep(self._chance.uniform(0, self._start_seconds))
            case "asked":
                await self._witness.asked[asker].reached(1)
                self._start_seconds = time.monotonic() - began
                await self._witness.asked[asker].reached(n)
            case "answered":
                await self._witness.answered[asker].reached(n)
            case _:
                await worker.paid.reached(n)
        # At once or a little later: the last answer may be on the wire, read, or being committed.
        await asyncio.sleep(self._chance.choice((0.0, self._chance.uniform(0, _SOON_SECONDS))))

    def _told(self, asker: str) -> Life:
        handed_on = {each.key: each.text for each in self._lives[asker].handed_on}
        return Life(asker, self._witness.asked[asker].items, handed_on)

    async def _open_intents(self) -> int:
        async with open_contents(self._work.state) as contents:
            return len(await contents.open_intents())


def count(lives: Sequence[Life], rows: int) -> dict[str, int]:
    """What `measure` reports of all lives, the last of which went to the end."""
    last = lives[-1].handed_on
    number = {life.asker: index for index, life in enumerate(lives)}
    # Which life paid for the answer that the journal has kept.
    kept_by = {key: number[text.partition(" for ")[2]] for key, text in last.items()}
    asked_before, handed_on_before = set[str](), set[str]()
    after_handed_on = after_kept = twice = excused = changed = 0
    in_flight: list[int] = []
    for index, life in enumerate(lives):
        asked = set(life.asked)
        again = asked & asked_before
        kept_before = {key for key in again if kept_by.get(key, index) < index}
        after_handed_on += len(again & handed_on_before)
        after_kept += len(kept_before)
        excused += len(again - handed_on_before - kept_before)
        twice += len(life.asked) - len(asked)
        changed += sum(last.get(key) != text for key, text in life.handed_on.items())
        in_flight.append(sum(kept_by.get(key, len(lives)) > index for key in asked))
        asked_before |= asked
        handed_on_before |= life.handed_on.keys()
    return {
        "rows": rows,
        "answers_paid": sum(len(life.asked) for life in lives),
        "asked_again_after_handed_on": after_handed_on,
        "asked_again_after_kept": after_kept,
        "asked_twice_in_one_life": twice,
        "asked_again_in_flight": excused,
        "in_flight_at_kills": sum(in_flight[:-1]),
        "most_in_flight_at_a_kill": max(in_flight[:-1], default=0),
        "in_flight_at_last_kill": in_flight[-2] if len(lives) > 1 else 0,
        "kills_before_the_first_request": sum(not life.asked for life in lives[:-1]),
        "changed_answers": changed,
        "lost_rows": sum(
            not last.get(key, "").startswith(f"{key} for ") for key in map(row_key, range(rows))
        ),
    }
