"""Recognition from the event loop's side: worker processes, and a memory of what was recognised.

The workers are plain child processes and no `multiprocessing` pool: that would import the caller's main
module again in every child, which goes wrong in any script without a `__main__` guard.

The memory saves the machine's time when the same audio is asked for again (another model, a retry after
a fault). It does not show in the audit, which counts requests and not work.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from llm_assets.emulator.speech.spoken import RecognizerCrashed, Speech, Stopped, UndecodableAudio

_MODULE = "llm_assets.emulator.speech.worker"
_ROOT = Path(__file__).resolve().parents[3]
_LENGTH_BYTES = 8
_LONGEST_ANSWER_BYTES = 256 * 1024 * 1024
_REMEMBERED = 1000


def is_installed() -> bool:
    """Whether the extra `local` is there."""
    return find_spec("pocketsphinx") is not None


class SpeechPool:
    """Starts its processes when they are first needed. `stop` it in the loop that used it."""

    def __init__(self, workers: int) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._speech: OrderedDict[str, asyncio.Future[Speech]] = OrderedDict()
        self._is_stopped = False

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
        """End the workers at once, whatever they are at."""
        self._is_stopped = True
        await asyncio.gather(*(worker.kill() for worker in self._workers))
        self._workers.clear()
        self._idle.clear()

    async def _recognize(self, audio: bytes) -> Speech:
        async with self._slots:
            if self._is_stopped:
                raise Stopped
            worker = self._idle.pop() if self._idle else await self._started()
            try:
                speech = await worker.recognize(audio)
            except UndecodableAudio:
                self._idle.append(worker)
                raise
            except (OSError, asyncio.IncompleteReadError) as error:
                self._workers.discard(worker)
                if self._is_stopped:
                    raise Stopped from error
                raise RecognizerCrashed("the recognition process died over this recording") from error
            self._idle.append(worker)
            return speech

    async def _started(self) -> _Worker:
        worker = await _Worker.start()
        self._workers.add(worker)
        if self._is_stopped:
            await worker.kill()
            raise Stopped
        return worker


class _Worker:
    """One recognition process, asked one thing at a time."""

    def __init__(self, process: Process, to: asyncio.StreamWriter, back: asyncio.StreamReader) -> None:
        self._process, self._to, self._back = process, to, back

    @classmethod
    async def start(cls) -> Self:
        # The caller's folder is kept off the path (-P), where any file could hide a library by its name.
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", _MODULE,
            stdin=PIPE, stdout=PIPE, limit=_LONGEST_ANSWER_BYTES, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        if process.stdin is None or process.stdout is None:
            raise RecognizerCrashed("the recognition process has no pipes")
        return cls(process, process.stdin, process.stdout)

    async def recognize(self, audio: bytes) -> Speech:
        """Raises UndecodableAudio; OSError or IncompleteReadError when the process is gone."""
        self._to.write(len(audio).to_bytes(_LENGTH_BYTES) + audio)
        await self._to.drain()
        answer = await self._back.readuntil(b"\n")
        if answer.startswith(b"-"):
            raise UndecodableAudio(answer[1:].decode().strip())
        return Speech.from_json(answer[1:])

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


def _retrieve(speech: asyncio.Future[Speech]) -> None:
    """Nobody may be left to hear of a failure; asyncio would complain that it was lost."""
    if not speech.cancelled():
        speech.exception()
