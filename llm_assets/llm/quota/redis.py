"""Limits and budget shared by many machines through Redis.

The arithmetic stays in Python: a script on the server swaps a value only if it is still the one the
operation saw, and tells the server's time, which is the common clock. Several operations of one process on
the same value go into one swap. Nothing is kept in the server but the values, so a restart or a
`SCRIPT FLUSH` costs one more round trip.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from llm_assets.errors import MissingExtra, StateUnavailable
from llm_assets.llm.quota.base import Operation, Result

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "llm_assets:"
_KEEP_MILLISECONDS = 7 * 86_400_000
_RETRY_EVERY_SECONDS = 0.2
_MOST_SIGNS = 64
# KEYS: the value's key. ARGV: the value as it was seen, the value to put there, milliseconds to keep it.
# A missing value is seen as the empty string. Returns whether it was swapped, the value now, and the time.
_SWAP = """
local current = redis.call('GET', KEYS[1]) or ''
local now = redis.call('TIME')
local swapped = 0
if current == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    current = ARGV[2]
    swapped = 1
end
return {swapped, current, now[1], now[2]}
"""


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    future: asyncio.Future[Any]
    result: Any = None


@dataclass(slots=True)
class _Value:
    """What this process knows of one value: its text when last seen, and who waits to change it."""

    text: str = ""
    jobs: list[_Job] = field(default_factory=list[_Job])
    working: bool = False


class RedisQuota:
    """State in Redis under `llm_assets:…`. For the event loop that makes it; close it there.

    `patience_seconds` is how long a server that is gone is tried again before StateUnavailable.
    """

    def __init__(self, url: str, *, patience_seconds: float = 30.0) -> None:
        """Raises MissingExtra without the package redis, ValueError when the URL is none."""
        try:
            from redis.asyncio import Redis
        except ImportError:
            raise MissingExtra("A quota in Redis", "redis") from None
        self._redis: Redis = Redis.from_url(
            url, decode_responses=True, socket_timeout=5.0, socket_connect_timeout=5.0
        )
        self._swap = self._redis.register_script(_SWAP)
        self._patience_seconds = patience_seconds
        self._id = uuid.uuid4().hex[:12]
        self._number = 0
        self._values: dict[str, _Value] = {}
        self._ahead_seconds: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        value = self._values.setdefault(key, _Value())
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        value.jobs.append(_Job(operation, future))
        if not value.working:
            value.working = True
            task = asyncio.create_task(self._work(key, value))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def _work(self, key: str, value: _Value) -> None:
        """Swap until nobody waits any more, everybody who waits at one time in one swap."""
        try:
            while value.jobs:
                jobs, value.jobs = value.jobs, []
                try:
                    await self._apply(key, value, jobs)
                except Exception as error:
                    _fail(jobs, error)
                else:
                    _resolve(jobs)
        finally:
            value.working = False

    async def _apply(self, key: str, value: _Value, jobs: list[_Job]) -> None:
        if self._ahead_seconds is None:
            value.text, _ = await self._call(key, value.text, None)
        self._number += 1
        number = self._number  # another value may take the next one meanwhile
        while True:
            kept: dict[str, Any] = json.loads(value.text) if value.text else {"value": {}, "signs": {}}
            now = time.time() + (self._ahead_seconds or 0.0)
            for job in jobs:
                job.result = job.operation(kept["value"], now)
            self._sign(kept["signs"], number)
            wanted = json.dumps(kept, separators=(",", ":"))
            value.text, swapped = await self._call(key, value.text, wanted)
            if swapped or self._has_signed(value.text, number):
                return

    def _sign(self, signs: dict[str, int], number: int) -> None:
        """Leave a sign that this swap was made: its answer may be lost, and others may swap after it."""
        signs.pop(self._id, None)
        signs[self._id] = number
        while len(signs) > _MOST_SIGNS:
            del signs[next(iter(signs))]

    def _has_signed(self, text: str, number: int) -> bool:
        return bool(text) and json.loads(text)["signs"].get(self._id) == number

    async def _call(self, key: str, seen: str, wanted: str | None) -> tuple[str, bool]:
        """Swap `seen` for `wanted`, or only look when there is nothing to put there."""
        from redis.exceptions import RedisError

        # A text that no value ever is: the swap is refused and tells what is there.
        arguments = ["\x00" if wanted is None else seen, wanted or "", _KEEP_MILLISECONDS]
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            try:
                before = time.time()
                answer = self._swap(keys=[_PREFIX + key], args=arguments)
                swapped, current, seconds, microseconds = await cast("Awaitable[list[Any]]", answer)
            except (RedisError, OSError) as error:
                if time.monotonic() >= give_up_at:
                    raise StateUnavailable(
                        f"the quota in Redis cannot be reached: {type(error).__name__}"
                    ) from error
                await asyncio.sleep(_RETRY_EVERY_SECONDS)
                continue
            middle = (before + time.time()) / 2
            self._ahead_seconds = int(seconds) + int(microseconds) / 1e6 - middle
            return current, bool(swapped)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_result(job.result)


def _fail(jobs: list[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)
