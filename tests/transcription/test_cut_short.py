"""Texts that were cut short are noticed, and asked for again in halves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from made_outcomes import RECORDING, FakeModel, answer, outcome

from llm_assets.errors import RecordingUnreadable, ServerFailed
from llm_assets.llm.requests import Outcome, TranscriptionRequest
from llm_assets.records import AudioChunk, RowStatus, Span
from llm_assets.transcription.judge import is_suspiciously_short, says_too_little, words_per_minute
from llm_assets.transcription.options import TranscriptionOptions
from llm_assets.transcription.transcribe import transcribe

LONG = 320


def stretch(start: int, end: int, speech: float | None = None) -> AudioChunk:
    """A chunk whose audio is the numbers of its seconds, which is also what is said in it."""
    return AudioChunk(
        index=0,
        start_seconds=start,
        end_seconds=end,
        audio=" ".join(f"word{second}" for second in range(start, end)).encode(),
        file_name="call.ogg",
        speech_seconds=speech,
    )


async def halve(chunk: AudioChunk) -> tuple[AudioChunk, AudioChunk]:
    start, end = int(chunk.start_seconds), int(chunk.end_seconds)
    middle = (start + end) // 2
    share = None if chunk.speech_seconds is None else chunk.speech_seconds / 2
    return stretch(start, middle, share), stretch(middle, end, share)


def limited_to(words: int, *, telling: bool) -> Callable[[TranscriptionRequest], Outcome]:
    """A model that stops after so many words, and tells so or not."""

    def respond(request: TranscriptionRequest) -> Outcome:
        said = request.audio.decode().split()
        cut = len(said) > words
        reason = {"finish_reason": "length"} if cut and telling else {}
        return outcome(answer(" ".join(said[:words]), **reason), key=request.key)

    return respond


async def test_a_text_that_was_cut_off_is_asked_for_in_halves() -> None:
    """Halved until every part is answered whole: all words, in order, and every call is told."""
    model = FakeModel(limited_to(100, telling=True))
    transcript, outcomes = await transcribe(RECORDING, [stretch(0, LONG)], model, halve=halve)
    assert transcript.status is RowStatus.OK
    assert transcript.text == " ".join(f"word{second}" for second in range(LONG))
    keys = [request.key.partition(":")[2] for request in model.asked]
    assert sorted(keys) == ["0", "0.0", "0.0.0", "0.0.1", "0.1", "0.1.0", "0.1.1"]
    assert len(outcomes) == 7
    assert transcript.chunk_count == 4
    assert transcript.cost_usd == sum((each.cost_usd for each in outcomes if each.cost_usd), start=0)


async def test_a_text_that_is_always_cut_off_is_failed() -> None:
    """Down to twenty seconds, and then it is no transcript, with the reason; what it cost is told."""
    model = FakeModel(limited_to(3, telling=True))
    transcript, outcomes = await transcribe(RECORDING, [stretch(0, LONG)], model, halve=halve)
    assert (transcript.status, transcript.text) == (RowStatus.FAILED, None)
    assert transcript.error is not None
    assert transcript.error.startswith("0 s to 20 s: cut off at the output limit of whisper-1")
    assert min(len(request.audio.split()) for request in model.asked) >= 20
    assert transcript.cost_usd is not None
    assert len(outcomes) == len(model.asked)


@pytest.mark.parametrize(("speech", "words"), [(None, 20), (300.0, 60)])
async def test_a_text_far_too_short_is_asked_for_in_halves(speech: float | None, words: int) -> None:
    """Also where the provider does not tell that it stopped."""
    respond = limited_to(words, telling=False)

    def stops_in_long_ones(request: TranscriptionRequest) -> Outcome:
        if len(request.audio.split()) > 200:
            return respond(request)
        return outcome(answer(request.audio.decode()))

    model = FakeModel(stops_in_long_ones)
    transcript, _ = await transcribe(RECORDING, [stretch(0, LONG, speech)], model, halve=halve)
    assert transcript.text == " ".join(f"word{second}" for second in range(LONG))


async def test_music_is_asked_for_once_more_and_then_believed() -> None:
    """What sounds like speech and is none has no text in halves either: that is no failure."""
    model = FakeModel(lambda _: outcome(answer("Please hold the line.")))
    transcript, outcomes = await transcribe(RECORDING, [stretch(0, LONG, 300)], model, halve=halve)
    assert (transcript.status, transcript.text) == (RowStatus.OK, "Please hold the line.")
    assert len(outcomes) == 3
    assert transcript.chunk_count == 1


async def test_a_half_that_fails_fails_the_whole() -> None:
    """A text with a hole would look like a text."""

    def respond(request: TranscriptionRequest) -> Outcome:
        if request.key.endswith(".1"):
            return outcome(ServerFailed("down", 502))
        return limited_to(200, telling=True)(request)

    transcript, _ = await transcribe(RECORDING, [stretch(0, LONG)], FakeModel(respond), halve=halve)
    assert (transcript.status, transcript.text) == (RowStatus.FAILED, None)
    assert transcript.error == "160 s to 320 s: down (HTTP 502)"


async def test_a_chunk_that_cannot_be_halved_is_unreadable() -> None:
    """The reason is that of whoever tried."""

    async def broken(_: AudioChunk) -> tuple[AudioChunk, AudioChunk]:
        raise RecordingUnreadable("damaged")

    model = FakeModel(limited_to(3, telling=True))
    transcript, _ = await transcribe(RECORDING, [stretch(0, LONG)], model, halve=broken)
    assert (transcript.status, transcript.error) == (RowStatus.UNREADABLE, "0 s to 320 s: damaged")


@pytest.mark.parametrize(
    ("text", "speech", "seconds", "too_little"),
    [
        ("", 0.0, 300, False),  # nobody speaks
        ("", 20.0, 300, False),  # hardly anybody: too little to tell
        ("", 200.0, 300, True),
        ("Yes, of course, I will do that for you.", 200.0, 300, True),
        ("words " * 120, 200.0, 300, False),
        ("words " * 120, 290.0, 300, True),  # 25 words a minute
        ("我想退货因为它坏了" * 8, 60.0, 60, False),  # 72 syllables a minute
        ("", None, 59, False),
        ("", None, 300, True),
        ("Hello? Hello? Anybody there?", None, 300, True),
        ("word " * 40, None, 300, False),
    ],
)
def test_what_is_too_little(text: str, speech: float | None, seconds: int, too_little: bool) -> None:
    """Far below what anybody says in that time, in any language; never where too little was heard."""
    assert says_too_little(text, stretch(0, seconds, speech)) is too_little


def test_silence_that_was_left_out_does_not_count() -> None:
    """A minute of audio out of an hour is judged as a minute."""
    chunk = AudioChunk(
        index=0,
        start_seconds=0,
        end_seconds=3600,
        audio=b"",
        file_name="a.ogg",
        spans=(Span(0, 30), Span(3570, 3600)),
    )
    assert not says_too_little("word " * 20, chunk)


def test_words_per_minute_are_of_five_letters() -> None:
    """The figure for a check: comparable between languages, and no division by nothing."""
    assert words_per_minute("abcde fghij", 60) == 2
    assert words_per_minute("今日は晴れ", 60) == 3
    assert words_per_minute("abcde", 0) == 60
    assert is_suspiciously_short("", 60)
    assert not is_suspiciously_short("", 59)


async def test_the_end_of_each_text_goes_with_the_next_chunk() -> None:
    """With `continue_prompt` chunks go in order, each with the hints and the last words before it."""
    options = TranscriptionOptions(prompt="A call.", continue_prompt=True)
    model = FakeModel(lambda request: outcome(answer(request.audio.decode())))
    chunks = [stretch(0, 100), stretch(100, 200), stretch(200, 300)]
    transcript, _ = await transcribe(RECORDING, chunks, model, options)
    prompts = [request.prompt or "" for request in model.asked]
    assert prompts[0] == "A call."
    assert prompts[1].startswith("A call. word")
    assert prompts[1].endswith(" word99")
    assert prompts[2].endswith(" word199")
    assert max(map(len, prompts)) <= 208
    assert transcript.text == " ".join(f"word{second}" for second in range(300))


async def test_channels_continue_their_own_text_only() -> None:
    """What the agent said is not how the customer goes on."""
    options = TranscriptionOptions(continue_prompt=True)
    model = FakeModel(lambda request: outcome(answer(request.audio.decode())))
    chunks = [replace(stretch(10 * number, 10 * number + 3), channel=number % 2) for number in range(4)]
    await transcribe(RECORDING, chunks, model, options)
    assert {request.audio.split()[0]: request.prompt for request in model.asked} == {
        b"word0": None,
        b"word10": None,
        b"word20": "word0 word1 word2",
        b"word30": "word10 word11 word12",
    }


async def test_nothing_is_sent_after_a_chunk_that_failed_in_a_row() -> None:
    """Chunks that wait for the text before them are not paid for when there will be no transcript."""
    options = TranscriptionOptions(continue_prompt=True)
    model = FakeModel(lambda _: outcome(ServerFailed("down", 502)))
    transcript, outcomes = await transcribe(RECORDING, [stretch(0, 9), stretch(9, 20)], model, options)
    assert transcript.status is RowStatus.FAILED
    assert len(outcomes) == 1
