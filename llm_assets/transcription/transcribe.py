"""One recording's chunks to one transcript: sent side by side, stitched, or failed as a whole.

A transcript with a hole would look like a transcript, so one chunk without an answer makes the whole
transcript `failed`; no further chunk is sent then, and those on the wire are waited for, since they are
paid for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from llm_assets.errors import ConfigurationError, RecordingUnreadable, RunStopped, StateUnavailable
from llm_assets.llm.requests import Answer, Outcome, TranscriptionRequest
from llm_assets.records import AudioChunk, Recording, RowStatus, Transcript
from llm_assets.transcription.judge import Fault, fault_of
from llm_assets.transcription.stitch import AnsweredChunk
from llm_assets.transcription.summary import summarized

Call = Callable[[TranscriptionRequest], Awaitable[Outcome]]
Chunks = Iterable[AudioChunk] | AsyncIterable[AudioChunk]


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """Hints that go with every chunk, and how many chunks of one recording are on the wire at a time.

    `language` is an ISO 639-1 code; None lets the model find out. `prompt` and `keywords` name words
    the model should expect.
    """

    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    max_concurrent_chunks: int = 4

    def __post_init__(self) -> None:
        if self.max_concurrent_chunks < 1:
            raise ConfigurationError(
                f"TranscriptionOptions.max_concurrent_chunks is {self.max_concurrent_chunks}; "
                "it must be at least 1"
            )


async def transcribe(
    recording: Recording, chunks: Chunks, call: Call, options: TranscriptionOptions | None = None
) -> tuple[Transcript, tuple[Outcome, ...]]:
    """The transcript of one recording and the outcomes of its calls in the order of the chunks.

    `call` gives an outcome for every request, failed ones included. Chunks are taken only as they can be
    sent; an iterable that decodes while it is iterated must be an asynchronous one, or it holds up the
    event loop. A recording whose status is not `ok` passes its status and error on, without a call.

    Raises:
        RunStopped, StateUnavailable: `call` raised them; every other call under way was waited for.
    """
    if recording.status is not RowStatus.OK:
        return _untouched(recording, recording.status, recording.error), ()
    sending = _Sending(recording, call, options or TranscriptionOptions())
    try:
        await sending.send_all(chunks)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    if sending.stopped:
        raise sending.stopped[0]
    outcomes = tuple(sending.outcomes[index] for index in sorted(sending.outcomes))
    status, error = sending.verdict()
    row = _untouched(recording, status, error)
    return summarized(row, outcomes, sending.answered if status is RowStatus.OK else None), outcomes


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

    recording: Recording
    call: Call
    options: TranscriptionOptions
    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])
    answered: list[AnsweredChunk] = field(default_factory=list[AnsweredChunk])
    faults: dict[int, Fault] = field(default_factory=dict[int, Fault])
    unreadable: str | None = None
    stopped: list[RunStopped | StateUnavailable] = field(default_factory=list[RunStopped | StateUnavailable])

    def verdict(self) -> tuple[RowStatus, str | None]:
        """The status of the whole transcript; the earliest fault in the recording speaks for it."""
        if self.unreadable is not None:
            return RowStatus.UNREADABLE, self.unreadable
        if self.faults:
            return self.faults[min(self.faults)]
        if not self.outcomes:
            return RowStatus.UNREADABLE, "no audio in it to send"
        return RowStatus.OK, None

    async def send_all(self, chunks: Chunks) -> None:
        """Send chunk after chunk, as many at a time as the options allow, until one of them fails."""
        places = asyncio.Semaphore(self.options.max_concurrent_chunks)
        source = _each(chunks)
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                chunk = await self._next(source)
                if chunk is None:
                    return
                group.create_task(self._send(chunk)).add_done_callback(lambda _: places.release())

    async def _next(self, source: AsyncIterator[AudioChunk]) -> AudioChunk | None:
        """The next chunk, None at the end or when another one would be sent for nothing."""
        if self.faults or self.stopped:
            return None
        try:
            return await anext(source, None)
        except RecordingUnreadable as error:
            self.unreadable = str(error)
            return None

    async def _send(self, chunk: AudioChunk) -> None:
        try:
            outcome = await self.call(await self._request(chunk))
        except (RunStopped, StateUnavailable) as error:
            self.stopped.append(error)
            return
        self.outcomes[chunk.index] = outcome
        fault = fault_of(outcome)
        if fault is not None:
            self.faults[chunk.index] = _located(fault, chunk)
        elif outcome.answer is not None:
            self.answered.append(_answered(chunk, outcome.answer))

    async def _request(self, chunk: AudioChunk) -> TranscriptionRequest:
        name = f"{self.recording.recording_id}:{chunk.index}"
        return TranscriptionRequest(
            audio=chunk.audio,
            file_name=chunk.file_name,
            sha256=await asyncio.to_thread(_sha256, chunk.audio),  # 25 MB would hold up the event loop
            duration_seconds=chunk.duration_seconds,
            key=name,
            subject=name,
            language=self.options.language,
            prompt=self.options.prompt,
            keywords=self.options.keywords,
        )


def _answered(chunk: AudioChunk, answer: Answer) -> AnsweredChunk:
    return AnsweredChunk(
        index=chunk.index,
        start_seconds=chunk.start_seconds,
        end_seconds=chunk.end_seconds,
        channel=chunk.channel,
        answer=answer,
    )


def _located(fault: Fault, chunk: AudioChunk) -> Fault:
    """Which stretch of the recording the fault is about."""
    status, reason = fault
    return status, f"{chunk.start_seconds:.0f} s to {chunk.end_seconds:.0f} s: {reason}"


async def _each(chunks: Chunks) -> AsyncIterator[AudioChunk]:
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk


def _sha256(audio: bytes) -> str:
    return hashlib.sha256(audio).hexdigest()
