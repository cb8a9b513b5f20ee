"""Recordings brought to this machine from the event loop, some at a time.

What is remote is read here, in threads: waiting for a network needs no worker process, and a worker that
only ever opens local files needs no client of any store. What is local stays where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.background import in_background
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.settle import fetched
from llm_assets.recordings.source import RecordingSource

# Besides those that are worked on, these many are on their way or wait on the disk for a worker.
AHEAD = 14


class Fetcher:
    """At most `files` of them are here at a time. Belongs to the event loop in which it is used."""

    def __init__(self, files: int) -> None:
        self._places = asyncio.Semaphore(files)

    @asynccontextmanager
    async def finished(self, source: RecordingSource, found: FoundRecording) -> AsyncGenerator[Path]:
        """See `settle.fetched`."""
        async with self._places, self._entered(fetched(source, found)) as file:
            yield file

    @asynccontextmanager
    async def file(self, source: RecordingSource, path: str) -> AsyncGenerator[Path]:
        """See `Place.fetched`."""
        async with self._places, self._entered(open_place(source).fetched(path)) as file:
            yield file

    @asynccontextmanager
    async def _entered(self, context: AbstractContextManager[Path]) -> AsyncGenerator[Path]:
        """The context, entered and left in a thread; one that is given up while it is entered is left too."""
        entering = in_background(context.__enter__)
        try:
            file = await asyncio.wrap_future(entering)
        except asyncio.CancelledError:
            entering.add_done_callback(lambda entered: _leave(context, entered))
            raise
        try:
            yield file
        except BaseException as error:
            context.__exit__(type(error), error, error.__traceback__)
            raise
        await asyncio.wrap_future(in_background(context.__exit__, None, None, None))


def _leave(context: AbstractContextManager[Path], entered: Future[Any]) -> None:
    if not entered.cancelled() and entered.exception() is None:
        context.__exit__(None, None, None)
