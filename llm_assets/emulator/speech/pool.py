"""Recognition from the event loop's side: worker processes, and a memory of what was recognised.

The memory saves the machine's time when the same audio is asked for again (another model, a retry after
a fault). It does not show in the audit, which counts requests and not work.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing.synchronize import Event

from llm_assets.emulator.speech.spoken import RecognizerCrashed, Speech

_REMEMBERED = 1000


def is_installed() -> bool:
    """Whether the extra `local` is there."""
    return find_spec("pocketsphinx") is not None


class SpeechPool:
    """Starts its processes when they are first needed. `stop` it in the loop that used it."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: tuple[ProcessPoolExecutor, Event] | None = None
        self._speech: OrderedDict[str, asyncio.Future[Speech]] = OrderedDict()

    async def recognize(self, audio: bytes, sha256: str) -> Speech:
        """Raises UndecodableAudio, RecognizerCrashed, and Stopped on shutdown.

        The same content is recognised once, also when it is asked for twice at the same time.
        """
        known = self._speech.get(sha256)
        if known is None:
            known = self._speech[sha256] = asyncio.ensure_future(self._recognize(audio))
            known.add_done_callback(_retrieve)
            if len(self._speech) > _REMEMBERED:
                self._speech.popitem(last=False)
        self._speech.move_to_end(sha256)
        try:
            # Shielded: a client that hangs up does not take the speech from another one who waits for it.
            return await asyncio.shield(known)
        except RecognizerCrashed:
            self._speech.pop(sha256, None)
            raise

    async def stop(self) -> None:
        """End the workers, each after the stretch of speech it is at."""
        pool, self._pool = self._pool, None
        if pool is not None:
            executor, stop = pool
            stop.set()
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    async def _recognize(self, audio: bytes) -> Speech:
        from llm_assets.emulator.speech.recognizer import recognize  # loads FFmpeg and numpy

        pool = self._pool = self._pool or self._started()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool[0], recognize, audio)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
            raise RecognizerCrashed("the recognition process died over this recording") from error

    def _started(self) -> tuple[ProcessPoolExecutor, Event]:
        from llm_assets.emulator.speech.recognizer import start_worker

        # Not forked: a fork of a process with threads and an event loop can hang.
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        executor = ProcessPoolExecutor(self._workers, context, initializer=start_worker, initargs=(stop,))
        return executor, stop


def _retrieve(speech: asyncio.Future[Speech]) -> None:
    """Nobody may be left to hear of a failure; asyncio would complain that it was lost."""
    if not speech.cancelled():
        speech.exception()
