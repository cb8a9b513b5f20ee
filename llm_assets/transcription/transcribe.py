"""One recording's chunks to one transcript: sent side by side, stitched, or failed as a whole.

A transcript with a hole would look like a transcript, so one chunk without an answer makes the whole
transcript `failed`; no further chunk is sent then, and those on the wire are waited for, since they are
paid for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count

from llm_assets.errors import RecordingSilent, RecordingUnreadable, RunStopped, StateUnavailable
from llm_assets.llm.requests import Outcome
from llm_assets.records import AudioChunk, Recording, RowStatus, Transcript
from llm_assets.transcription.asking import Asking, Call, Halve, Part
from llm_assets.transcription.options import TranscriptionOptions
from llm_assets.transcription.room import AudioRoom
from llm_assets.transcription.stitch import AnsweredChunk
from llm_assets.transcription.summary import summarized, without_speech

Chunks = Iterable[AudioChunk] | AsyncIterable[AudioChunk]


async def transcribe(
    recording: Recording,
    chunks: Chunks,
    call: Call,
    options: TranscriptionOptions | None = None,
    *,
    halve: Halve | None = None,
    room: AudioRoom | None = None,
) -> tuple[Transcript, tuple[Outcome, ...]]:
    """The transcript of one recording and the outcomes of its calls in the order of the chunks.

    `call` gives an outcome for every request, failed ones included. Every chunk is sent as it comes, while
    the next one is prepared; `room` holds back when too much audio is on its way. `halve` cuts a chunk in
    two whose text came back cut short; without it such a chunk fails. An iterable that decodes while it is
    iterated must be an asynchronous one, or it holds up the event loop. A recording whose status is not
    `ok` passes its status and error on, without a call.

    Raises:
        RunStopped, StateUnavailable: `call` raised them; every other call under way was waited for.
    """
    if recording.status is not RowStatus.OK:
        return _untouched(recording, recording.status, recording.error), ()
    options = options or TranscriptionOptions()
    asking = Asking(recording.recording_id, call, halve, options)
    sending = _Sending(asking, room or AudioRoom())
    try:
        async with aclosing(_each(chunks)) as source:
            await sending.send_all(source)
    except ExceptionGroup as errors:
        # A mistake in our own code comes out as what it is.
        raise errors.exceptions[0] from errors
    if sending.stopped:
        raise sending.stopped[0]
    outcomes = tuple(asking.outcomes[part] for part in sorted(asking.outcomes))
    status, error = sending.verdict()
    row = _untouched(recording, status, error)
    answered = sending.answered if status is RowStatus.OK else None
    return without_speech(summarized(row, outcomes, answered, options.speakers)), outcomes


def _untouched(recording: Recording, status: RowStatus, error: str | None) -> Transcript:
    return Transcript(
        recording_id=recording.recording_id,
        status=status,
        error=error,
        duration_seconds=recording.duration_seconds,
    )


@dataclass(slots=True)
class _Sending:
    """The chunks of one recording on their way. Errors that end the run are kept until calls are in."""

    asking: Asking
    room: AudioRoom
    answered: list[AnsweredChunk] = field(default_factory=list[AnsweredChunk])
    unusable: tuple[RowStatus, str] | None = None
    stopped: list[RunStopped | StateUnavailable] = field(default_factory=list[RunStopped | StateUnavailable])
    last_of_channel: dict[int | None, asyncio.Task[str]] = field(
        default_factory=dict[int | None, "asyncio.Task[str]"]
    )

    def verdict(self) -> tuple[RowStatus, str | None]:
        """The status of the whole transcript; the earliest fault in the recording speaks for it."""
        if self.unusable is not None:
            return self.unusable
        if self.asking.faults:
            return self.asking.faults[min(self.asking.faults)]
        if not self.asking.outcomes:
            return RowStatus.UNREADABLE, "no audio in it to send"
        return RowStatus.OK, None

    async def send_all(self, source: AsyncIterator[AudioChunk]) -> None:
        """Send chunk after chunk as there is room, until one of them fails."""
        async with asyncio.TaskGroup() as group:
            for number in count():
                await self.room.wait()
                chunk = await self._next(source)
                if chunk is None:
                    return
                self.room.enter(chunk.audio)
                before = self.last_of_channel.get(chunk.channel)
                task = group.create_task(self._send(chunk, (number,), before))
                if self.asking.options.continue_prompt:
                    self.last_of_channel[chunk.channel] = task

    async def _next(self, source: AsyncIterator[AudioChunk]) -> AudioChunk | None:
        """The next chunk, None at the end or when another one would be sent for nothing."""
        if self._is_lost:
            return None
        try:
            chunk = await anext(source, None)
        except RecordingUnreadable as error:
            is_silent = isinstance(error, RecordingSilent)
            self.unusable = RowStatus.TOO_SHORT if is_silent else RowStatus.UNREADABLE, str(error)
            return None
        return None if self._is_lost else chunk

    @property
    def _is_lost(self) -> bool:
        return bool(self.asking.faults or self.stopped)

    async def _send(self, chunk: AudioChunk, part: Part, before: asyncio.Task[str] | None) -> str:
        """Send one chunk, after the one whose text it continues, and give its text."""
        try:
            said_before = await before if before is not None else ""
            if before is not None and self._is_lost:
                return ""
            answers = await self.asking.answers(chunk, part, said_before)
        except (RunStopped, StateUnavailable) as error:
            self.stopped.append(error)
            return ""
        finally:
            self.room.leave(chunk.audio)
        self.answered += answers
        return answers[-1].text if answers else ""


async def _each(chunks: Chunks) -> AsyncGenerator[AudioChunk]:
    if isinstance(chunks, AsyncGenerator):
        async with aclosing(chunks) as source:
            async for chunk in source:
                yield chunk
    elif isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
