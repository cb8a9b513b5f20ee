"""Workers between two uses: the steps of a run follow each other, and to start a process takes a while.

A worker that nobody took for some seconds is ended. One process keeps its own; a fork keeps none.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from llm_assets.errors import WorkersUnavailable
from llm_assets.recordings.worker_pool import Worker

_KEPT_SECONDS = 20.0
_MOST_KEPT = 8


@dataclass(slots=True)
class SpareWorkers:
    """At most `most` workers, each for at most `seconds`. Used from any thread."""

    seconds: float = _KEPT_SECONDS
    most: int = _MOST_KEPT
    _kept: list[tuple[Worker, int, threading.Timer]] = field(
        default_factory=list[tuple[Worker, int, threading.Timer]]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: int = field(default_factory=os.getpid)

    def begin(self, memory_bytes: int) -> None:
        """Start one ahead of need. If the system starts none, who needs it is told."""
        with suppress(WorkersUnavailable):
            self.keep(Worker.begin(memory_bytes), memory_bytes)

    def take(self, memory_bytes: int) -> Worker | None:
        """One that is alive and may take so much memory, if there is one."""
        if self._process != os.getpid():
            return None
        with self._lock:
            for entry in reversed(self._kept):
                worker, memory, timer = entry
                if memory == memory_bytes:
                    self._kept.remove(entry)
                    timer.cancel()
                    if worker.is_alive:
                        return worker
                    worker.end()
                    return None
        return None

    def keep(self, worker: Worker, memory_bytes: int) -> None:
        """Keep it for the next one, or end it when there are enough."""
        timer = threading.Timer(self.seconds, self._drop, [worker])
        timer.daemon = True
        with self._lock:
            is_wanted = len(self._kept) < self.most and self._process == os.getpid()
            if is_wanted:
                self._kept.append((worker, memory_bytes, timer))
        if is_wanted:
            timer.start()
        else:
            _end(worker)

    def clear(self) -> None:
        """End all of them."""
        with self._lock:
            kept, self._kept = self._kept, []
        if self._process == os.getpid():
            for worker, _, timer in kept:
                timer.cancel()
                _end(worker)

    def _drop(self, worker: Worker) -> None:
        with self._lock:
            is_here = any(kept is worker for kept, _, _ in self._kept)
            self._kept = [entry for entry in self._kept if entry[0] is not worker]
        if is_here:
            _end(worker)


def _end(worker: Worker) -> None:
    worker.end()
    worker.wait()


SPARES = SpareWorkers()
atexit.register(SPARES.clear)
