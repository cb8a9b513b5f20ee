"""From the chunks of one recording to its transcript, or to the reason why there is none."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from made_outcomes import NOON, RECORDING, FakeModel, answer, chunk, number_of, outcome

from llm_assets.errors import (
    BudgetExceeded,
    LLMAssetsError,
    QuotaExhausted,
    RecordingSilent,
    RecordingUnreadable,
    RequestRejected,
    ServerFailed,
    StateUnavailable,
)
from llm_assets.llm.requests import Answer, AnswerSegment, Outcome, TranscriptionRequest
from llm_assets.records import AudioChunk, RowStatus
from llm_assets.transcription.options import TranscriptionOptions
from llm_assets.transcription.room import AudioRoom
from llm_assets.transcription.transcribe import transcribe

WORDS = ["good morning", "how can I help you", "goodbye"]
SPEAKING = FakeModel(lambda request: outcome(answer(WORDS[number_of(request)])))


async def test_one_chunk_one_call() -> None:
    """The audio goes out with its hash, its name and the hints, and comes back as text and a segment."""
    model = FakeModel(lambda _: outcome(answer("hello")))
    options = TranscriptionOptions(language="en", prompt="A call.", keywords=("Dagster",))
    transcript, outcomes = await transcribe(RECORDING, [chunk(0)], model, options)
    [request] = model.asked
    assert request.audio == b"audio 0"
    assert request.sha256 == hashlib.sha256(b"audio 0").hexdigest()
    assert (request.file_name, request.duration_seconds) == ("call-0.ogg", 10.0)
    assert request.key == request.subject == "0123456789abcdef0123:0"
    assert (request.language, request.prompt, request.keywords) == ("en", "A call.", ("Dagster",))
    assert (transcript.status, transcript.text, transcript.error) == (RowStatus.OK, "hello", None)
    assert transcript.recording_id == RECORDING.recording_id
    assert (transcript.duration_seconds, transcript.chunk_count) == (30.0, 1)
    assert len(outcomes) == 1


@pytest.mark.parametrize("status", [RowStatus.TOO_SHORT, RowStatus.UNREADABLE])
async def test_a_recording_that_is_not_ok_makes_no_call(status: RowStatus) -> None:
    """Its status and its error pass through."""
    model = FakeModel(lambda _: outcome(answer("hello")))
    recording = replace(RECORDING, status=status, error="the reason")
    transcript, outcomes = await transcribe(recording, [chunk(0)], model)
    assert (transcript.status, transcript.error, transcript.text) == (status, "the reason", None)
    assert (outcomes, model.asked) == ((), [])


async def test_answers_in_any_order_make_one_text() -> None:
    """However the calls overtake each other, the text and the outcomes are in the order of the recording."""
    last_is_in = asyncio.Event()

    async def call(request: TranscriptionRequest) -> Outcome:
        if number_of(request) == 2:
            last_is_in.set()
        await last_is_in.wait()
        return outcome(answer(WORDS[number_of(request)]), key=request.key)

    transcript, outcomes = await transcribe(RECORDING, [chunk(index) for index in range(3)], call)
    assert transcript.text == "good morning how can I help you goodbye"
    assert [(segment.segment_index, segment.start_seconds) for segment in transcript.segments] == [
        (0, 0.0),
        (1, 10.0),
        (2, 20.0),
    ]
    assert [each.key[-1] for each in outcomes] == ["0", "1", "2"]


async def one_by_one(*chunks: AudioChunk) -> AsyncIterator[AudioChunk]:
    """Preparing takes longer than any answer of these tests."""
    for each in chunks:
        for _ in range(20):
            await asyncio.sleep(0)
        yield each


async def test_chunks_are_sent_while_the_next_ones_are_prepared() -> None:
    """Each chunk is on the wire as soon as it is there, all of them at a time."""
    sent: list[int] = []
    all_are_sent = asyncio.Barrier(3)

    async def source() -> AsyncIterator[AudioChunk]:
        for index in range(3):
            yield chunk(index)
            for _ in range(20):
                await asyncio.sleep(0)
            assert sent[-1] == index

    async def call(request: TranscriptionRequest) -> Outcome:
        sent.append(number_of(request))
        await all_are_sent.wait()
        return outcome(answer("word"))

    async with asyncio.timeout(120):
        transcript, _ = await transcribe(RECORDING, source(), call)
    assert transcript.text == "word word word"


async def test_no_more_audio_is_taken_than_there_is_room_for() -> None:
    """While the room is full nothing is prepared; an answer makes place for the next chunk."""
    room = AudioRoom(most_bytes=len(chunk(0).audio) + 1)
    most = finished = taken = 0

    def source() -> Iterator[AudioChunk]:
        nonlocal taken
        for index in range(6):
            taken += 1
            assert taken - finished <= 2
            yield chunk(index)

    async def call(request: TranscriptionRequest) -> Outcome:
        nonlocal most, finished
        most = max(most, room.held_bytes)
        await asyncio.sleep(0)
        finished += 1
        return outcome(answer("word"))

    async with asyncio.timeout(120):
        transcript, _ = await transcribe(RECORDING, source(), call, room=room)
    assert (most, taken) == (2 * len(chunk(0).audio), 6)
    assert transcript.text == " ".join(["word"] * 6)
    assert room.held_bytes == 0


async def test_chunks_may_come_asynchronously() -> None:
    """A source that prepares chunks elsewhere is an asynchronous iterable."""

    async def source() -> AsyncIterator[AudioChunk]:
        for index in range(3):
            yield chunk(index)

    transcript, _ = await transcribe(RECORDING, source(), SPEAKING)
    assert transcript.text == "good morning how can I help you goodbye"


async def test_silence_is_a_transcript_without_text() -> None:
    """A recording in which nobody speaks is `too_short`, with an empty text, no segments and its cost."""
    transcript, _ = await transcribe(RECORDING, [chunk(0)], FakeModel(lambda _: outcome(answer("  "))))
    assert transcript.status is RowStatus.TOO_SHORT
    assert transcript.error == "no speech: the model heard not a word in it"
    assert (transcript.text, transcript.segments) == ("", ())
    assert transcript.cost_usd is not None


async def test_silence_that_was_heard_while_cutting_ends_the_same_way() -> None:
    """Where nothing is left to send no model is asked, and the status is the same."""

    async def chunks() -> AsyncIterator[AudioChunk]:
        raise RecordingSilent("no speech: it is silent from beginning to end")
        yield chunk(0)

    transcript, outcomes = await transcribe(RECORDING, chunks(), SPEAKING)
    assert (transcript.status, outcomes) == (RowStatus.TOO_SHORT, ())
    assert "no speech" in (transcript.error or "")


def failing_second(fault: Answer | LLMAssetsError) -> FakeModel:
    return FakeModel(
        lambda request: outcome(fault if number_of(request) == 1 else answer(WORDS[number_of(request)]))
    )


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (ServerFailed("no answer", 502), RowStatus.FAILED, "no answer (HTTP 502)"),
        (RequestRejected("unknown parameter", 400), RowStatus.FAILED, "unknown parameter"),
        (RequestRejected("The audio file could not be decoded", 400), RowStatus.UNREADABLE, "decoded"),
        (RequestRejected("Invalid file format. Supported: …", 400), RowStatus.UNREADABLE, "Invalid file"),
        (RequestRejected("Audio file might be corrupted or unsupported", 400), RowStatus.UNREADABLE, "corr"),
        (ServerFailed("could not be decoded", 500), RowStatus.FAILED, "could not be decoded"),
        (answer("no", refusal="I cannot"), RowStatus.REFUSED, "I cannot"),
        (answer("", finish_reason="content_filter"), RowStatus.REFUSED, "content filter"),
        (answer("half of", finish_reason="length"), RowStatus.FAILED, "cut off at the output limit"),
    ],
)
async def test_no_text_with_a_hole(fault: Answer | LLMAssetsError, status: RowStatus, reason: str) -> None:
    """One chunk without a whole answer: no text at all, the reason and where, and no chunk is sent after."""
    model = failing_second(fault)
    transcript, outcomes = await transcribe(RECORDING, one_by_one(*map(chunk, range(3))), model)
    assert (transcript.status, transcript.text, transcript.segments) == (status, None, ())
    assert transcript.error is not None
    assert transcript.error.startswith("10 s to 20 s: ")
    assert reason in transcript.error
    assert len(model.asked) == len(outcomes) == 2


async def test_what_a_failed_transcript_cost_is_kept() -> None:
    """The answers that did come were paid for, and the row says so."""
    transcript, _ = await transcribe(
        RECORDING, map(chunk, range(3)), failing_second(ServerFailed("no answer"))
    )
    assert transcript.cost_usd == Decimal("0.002")
    assert transcript.model == "whisper-1"


async def test_the_earliest_fault_speaks() -> None:
    """Of several faults the one earliest in the recording is told, whichever came first."""
    second_failed = asyncio.Event()

    async def call(request: TranscriptionRequest) -> Outcome:
        if number_of(request) == 0:
            await second_failed.wait()
        second_failed.set()
        return outcome(ServerFailed(f"fault {number_of(request)}"))

    transcript, _ = await transcribe(RECORDING, [chunk(0), chunk(1)], call)
    assert transcript.error == "0 s to 10 s: fault 0"


async def test_a_recording_that_breaks_off_while_decoding_is_unreadable() -> None:
    """Chunks that were sent before are waited for, and nothing is raised for one recording."""

    def source() -> Iterator[AudioChunk]:
        yield chunk(0)
        raise RecordingUnreadable("damaged")

    transcript, outcomes = await transcribe(RECORDING, source(), SPEAKING)
    assert (transcript.status, transcript.error) == (RowStatus.UNREADABLE, "damaged")
    assert (transcript.text, len(outcomes)) == (None, 1)


async def test_no_chunks_is_no_transcript() -> None:
    """A recording of which nothing could be sent is not an empty transcript."""
    transcript, _ = await transcribe(RECORDING, [], SPEAKING)
    assert transcript.status is RowStatus.UNREADABLE


@pytest.mark.parametrize(
    "error", [BudgetExceeded("cap reached"), QuotaExhausted("no credit", 429), StateUnavailable("gone")]
)
async def test_what_ends_the_run_is_let_through(error: LLMAssetsError) -> None:
    """It is raised as it is, after the calls on the wire are in: they are paid for."""
    first_may_end = asyncio.Event()
    finished: list[int] = []

    async def call(request: TranscriptionRequest) -> Outcome:
        if number_of(request) == 1:
            first_may_end.set()
            raise error
        await first_may_end.wait()
        await asyncio.sleep(0)
        finished.append(number_of(request))
        return outcome(answer("word"))

    with pytest.raises(type(error)) as caught:
        await transcribe(RECORDING, one_by_one(*map(chunk, range(9))), call)
    assert caught.value is error
    assert finished == [0]


async def test_an_unexpected_error_is_not_wrapped() -> None:
    """A mistake in our own code comes out as what it is, not as a group of errors."""
    with pytest.raises(ZeroDivisionError):
        await transcribe(RECORDING, [chunk(0)], FakeModel(lambda _: ZeroDivisionError()))


async def test_cancelling_ends_the_calls() -> None:
    """A cancelled transcript cancels its calls and waits for their clean-up."""
    started, cleaned_up = asyncio.Event(), asyncio.Event()

    async def call(request: TranscriptionRequest) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()
        raise AssertionError

    task = asyncio.create_task(transcribe(RECORDING, [chunk(0)], call))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned_up.is_set()


async def test_the_row_adds_up_its_calls() -> None:
    """Cost, latency, models, language, fallback and time are those of all calls together."""
    facts = [
        {"model": "gpt-transcribe", "cost_usd": Decimal("0.01"), "from_journal": True},
        {"model": "whisper-1", "cost_usd": Decimal("0.02"), "fallback_reason": "overloaded"},
        {"model": "gpt-transcribe", "cost_usd": Decimal("0.03"), "finished_at": NOON + timedelta(minutes=1)},
    ]
    languages = [None, "en", "de"]

    def respond(request: TranscriptionRequest) -> Outcome:
        number = number_of(request)
        return outcome(answer("word", language=languages[number]), **facts[number])

    transcript, _ = await transcribe(RECORDING, map(chunk, range(3)), FakeModel(respond))
    assert transcript.cost_usd == Decimal("0.06")
    assert transcript.latency_seconds == pytest.approx(1.5)
    assert (transcript.model, transcript.provider) == ("gpt-transcribe,whisper-1", "openai")
    assert (transcript.language, transcript.fallback_reason) == ("en", "overloaded")
    assert transcript.from_journal is False
    assert transcript.transcribed_at == NOON + timedelta(minutes=1)
    assert transcript.chunk_count == 3


async def test_an_unknown_cost_makes_the_sum_unknown() -> None:
    """A sum with an unknown part is None, never too small a number."""
    model = FakeModel(
        lambda request: outcome(answer("word"), cost_usd=None if number_of(request) else Decimal("0.01"))
    )
    transcript, _ = await transcribe(RECORDING, map(chunk, range(2)), model)
    assert transcript.cost_usd is None


async def test_all_from_the_journal() -> None:
    """Only when every answer came from the journal does the row say so."""
    model = FakeModel(lambda _: outcome(answer("word"), from_journal=True))
    transcript, _ = await transcribe(RECORDING, map(chunk, range(2)), model)
    assert transcript.from_journal is True


async def test_segments_of_the_provider_are_placed_in_the_recording() -> None:
    """Times that a provider gives for a chunk become times in the recording."""
    timed = answer("a b", AnswerSegment(0.0, 4.0, "a"), AnswerSegment(5.0, 9.0, "b", speaker="A"))
    transcript, _ = await transcribe(RECORDING, [chunk(0), chunk(1)], FakeModel(lambda _: outcome(timed)))
    assert [(s.start_seconds, s.end_seconds, s.text, s.speaker) for s in transcript.segments] == [
        (0.0, 4.0, "a", None),
        (5.0, 9.0, "b", "A (part 1)"),
        (10.0, 14.0, "a", None),
        (15.0, 19.0, "b", "A (part 2)"),
    ]
