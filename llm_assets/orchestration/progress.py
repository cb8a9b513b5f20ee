"""How far a long materialization is: a log line at a sensible pace, and a hook for whoever watches.

Lines come by time, not per call: ten thousand quick calls and ten slow ones both make a readable log.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from llm_assets.clock import Clock, SystemClock
from llm_assets.money import usd

LOG_EVERY_SECONDS = 10.0
_RATE_AFTER_SECONDS = 1.0  # what took less was in the journal: no rate anybody can plan with


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of one materialization. `spent_usd` is what it added to the bill so far; None: no model."""

    asset: str
    done: int
    total: int
    elapsed_seconds: float
    spent_usd: Decimal | None

    @property
    def per_second(self) -> float:
        return self.done / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """Time to the end at the average rate so far; None before the first one is done."""
        return (self.total - self.done) / self.per_second if self.per_second else None

    def __str__(self) -> str:
        parts = [f"{self.asset}: {self.done} of {self.total}"]
        if self.elapsed_seconds >= _RATE_AFTER_SECONDS:
            parts.append(f"{self.per_second * 60:.0f} per minute")
        if self.spent_usd is not None:
            parts.append(f"{usd(self.spent_usd)} so far")
        if self.remaining_seconds is not None and self.done < self.total:
            parts.append(f"about {duration_text(self.remaining_seconds)} to go")
        return ", ".join(parts)


Watcher = Callable[[Progress], None]
_watchers: list[Watcher] = []


@contextmanager
def watching(watcher: Watcher) -> Generator[None]:
    """Call `watcher` at every step of every materialization in this process, in whichever thread it runs."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


class ProgressReporter:
    """Counts what is done and reports it: to watchers at once, to the log every few seconds and at the end.

    `spent` is asked for the cost so far whenever something is reported; without it no model is called.
    """

    def __init__(
        self,
        asset: str,
        total: int,
        log: Callable[[str], None],
        spent: Callable[[], Decimal] | None = None,
        clock: Clock | None = None,
        every_seconds: float = LOG_EVERY_SECONDS,
    ) -> None:
        self._asset, self._total = asset, total
        self._log, self._spent = log, spent
        self._clock = clock or SystemClock()
        self._every_seconds = every_seconds
        self._started = self._logged = self._clock.now()
        self._done = 0
        self._tell_watchers(self._current())

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        current = self._current()
        self._tell_watchers(current)
        now = self._clock.now()
        if self._done == self._total or now - self._logged >= self._every_seconds:
            self._logged = now
            self._log(str(current))

    def _current(self) -> Progress:
        elapsed = self._clock.now() - self._started
        return Progress(self._asset, self._done, self._total, elapsed, self._spent and self._spent())

    @staticmethod
    def _tell_watchers(current: Progress) -> None:
        for watcher in tuple(_watchers):
            watcher(current)


def duration_text(seconds: float) -> str:
    """A duration as a person says it: `45 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
