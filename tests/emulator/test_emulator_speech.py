"""Transcriptions over HTTP, with real recognition of the sample recordings."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from llm_assets.emulator.speech.audio import SAMPLE_RATE, decode, speech_spans
from llm_assets.emulator.speech.recognizer import recognize

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "recordings"
HANG_UP = SAMPLES / "2026-03-03" / "1053-hang-up.ogg"
BROKEN = SAMPLES / "2026-03-04" / "1063-broken-upload.m4a"


def silence(seconds: float, sample_rate: int = SAMPLE_RATE) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(b"\0\0" * round(seconds * sample_rate))
    return target.getvalue()


async def test_speech_becomes_text_and_the_server_keeps_answering(emulated: Any) -> None:
    """A spoken recording comes back in words, while chat goes on in the meantime.

    Asked again, and of another model, the same audio is not recognised anew, but the audit sees every
    answer, and one of them for the second time.
    """
    audio = HANG_UP.read_bytes()
    async with emulated(recognizer_workers=1) as client:
        listening = asyncio.create_task(client.transcribe(audio, "a.ogg", model="gpt-transcribe"))
        chats = 0
        while not listening.done():
            assert (await client.chat(f"{chats}")).status == 200
            chats += 1
        plain = await listening
        verbose = await client.transcribe(audio, "a.ogg", response_format="verbose_json")
        billed_by_token = await client.transcribe(audio, "a.ogg", model="gpt-4o-transcribe")
        again = await client.transcribe(audio, "a.ogg", model="gpt-transcribe")
        audit = client.emulator.audit
    assert chats > 10
    assert plain.body["text"].startswith("Good afternoon")
    assert plain.body["usage"] == {"type": "duration", "seconds": 3}
    assert again.body == plain.body
    assert audit.models["gpt-transcribe"].served_twice == audit.served_twice == 1
    assert audit.models["gpt-transcribe"].usage.audio_seconds == 6
    check_verbose(verbose.body)
    usage = billed_by_token.body["usage"]
    assert usage["type"] == "tokens"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def check_verbose(body: Any) -> None:
    """Segments in order, inside the recording, saying together what the text says."""
    assert (body["task"], body["language"]) == ("transcribe", "english")
    assert body["duration"] == pytest.approx(2.12, abs=0.05)
    assert " ".join(segment["text"].strip() for segment in body["segments"]) == body["text"]
    ends = [0.0]
    for segment in body["segments"]:
        assert ends[-1] <= segment["start"] < segment["end"]
        ends.append(segment["end"])
    assert ends[-1] <= body["duration"]


async def test_audio_that_cannot_be_used_is_refused_in_openais_words(emulated: Any) -> None:
    """Broken, too short, of an unknown kind or format: each has its 400, and silence is an empty text."""
    async with emulated(recognizer_workers=1) as client:
        for broken in (BROKEN.read_bytes(), b"", b"no audio at all"):
            reply = await client.transcribe(broken, "a.m4a")
            assert reply.status == 400
            assert "could not be decoded" in reply.error["message"]
        short = await client.transcribe(silence(0.05))
        assert short.error["code"] == "audio_too_short"
        quiet = await client.transcribe(silence(1), model="gpt-transcribe")
        assert quiet.body == {"text": "", "usage": {"type": "duration", "seconds": 1}}
        long = await client.transcribe(silence(1501, 8000), model="gpt-4o-transcribe")
        assert long.status == 400
        assert "1500 seconds" in long.error["message"]
        assert client.emulator.audit.models["whisper-1"].rejected == {"400": 4}


@pytest.mark.parametrize(
    ("file_name", "fields", "part"),
    [
        ("a.opus", {}, "Invalid file format. Supported formats: ['flac', 'm4a'"),
        ("a", {}, "Invalid file format"),
        (
            "a.wav",
            {"model": "gpt-transcribe", "response_format": "verbose_json"},
            "not compatible with model",
        ),
        ("a.wav", {"model": "gpt-4o"}, "not supported for transcription"),
    ],
)
async def test_what_is_wrong_with_a_form_is_said(
    emulated: Any, file_name: str, fields: dict[str, str], part: str
) -> None:
    """Before anybody listens: extension, format and model."""
    async with emulated() as client:
        reply = await client.transcribe(b"x", file_name, **fields)
    assert reply.status == 400
    assert part in reply.error["message"]


async def test_a_form_without_file_or_model_is_refused(emulated: Any) -> None:
    """400 that names the missing field; what is no form at all is refused as well."""
    path = "/v1/audio/transcriptions"
    async with emulated() as client:
        no_model = await client.post(path, data={"file": io.BytesIO(b"x")})
        assert (no_model.status, no_model.error["param"]) == (400, "model")
        assert (await client.post(path, json={"model": "whisper-1"})).status == 400


async def test_files_above_25_mb_are_refused(emulated: Any) -> None:
    """413, as soon as the limit is passed."""
    async with emulated() as client:
        reply = await client.transcribe(bytes(26 * 1024 * 1024))
    assert reply.status == 413
    assert "Maximum content size limit" in reply.error["message"]


async def test_without_the_extra_chat_works_and_speech_says_what_to_install(
    emulated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """501 that names the command, and nothing else is affected."""
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    async with emulated() as client:
        reply = await client.transcribe(HANG_UP.read_bytes(), "a.ogg")
        assert reply.status == 501
        assert "pip install 'llm-assets[local]'" in reply.error["message"]
        assert (await client.chat()).status == 200


DIARIZING = "gpt-4o-transcribe-diarize"
REFUND = SAMPLES / "2026-03-02" / "1042-wrong-number.wav"


@pytest.mark.usefixtures("heard_once")
async def test_speakers_are_told_apart(emulated: Any) -> None:
    """Agent and customer take turns; the segments say who, when and what, and together are the text."""
    async with emulated(recognizer_workers=1) as client:
        reply = await client.transcribe(
            REFUND.read_bytes(), model=DIARIZING, response_format="diarized_json", chunking_strategy="auto"
        )
    body = reply.body
    assert [segment["speaker"] for segment in body["segments"]] == ["A", "B", "A", "B"]
    assert "".join(segment["text"] for segment in body["segments"]).strip() == body["text"]
    assert {segment["type"] for segment in body["segments"]} == {"transcript.text.segment"}
    assert (body["task"], body["usage"]["type"]) == ("transcribe", "tokens")


async def test_what_a_diarizing_model_does_not_take(emulated: Any) -> None:
    """No prompt, no other format, and above 30 s nothing without a chunking strategy."""
    fields = {"model": DIARIZING, "response_format": "diarized_json"}
    async with emulated(recognizer_workers=1) as client:
        prompted = await client.transcribe(silence(1), prompt="A call.", **fields)
        assert (prompted.status, prompted.error["param"]) == (400, "prompt")
        verbose = await client.transcribe(silence(1), model=DIARIZING, response_format="verbose_json")
        assert (verbose.status, verbose.error["param"]) == (400, "response_format")
        long = await client.transcribe(silence(31, 8000), **fields)
        assert (long.status, long.error["param"]) == (400, "chunking_strategy")
        assert (await client.transcribe(silence(29, 8000), **fields)).status == 200
        chunked = await client.transcribe(silence(31, 8000), chunking_strategy="auto", **fields)
        assert (chunked.status, chunked.body["segments"]) == (200, [])


@pytest.mark.usefixtures("heard_once")
@pytest.mark.parametrize("response_format", ["json", "diarized_json"])
async def test_a_text_past_the_output_limit_just_ends(emulated: Any, response_format: str) -> None:
    """Status 200, the limit used up in the usage, and the rest of what was said is missing."""
    audio = REFUND.read_bytes()
    fields = {"model": DIARIZING, "response_format": response_format, "chunking_strategy": "auto"}
    async with emulated(recognizer_workers=1) as client:
        whole = (await client.transcribe(audio, **fields)).body
    async with emulated(recognizer_workers=1, transcription_output_tokens=15) as client:
        reply = await client.transcribe(audio, **fields)
        untouched = await client.transcribe(audio, model="whisper-1")
    assert reply.status == 200
    assert reply.body["text"] == whole["text"][:60]
    assert reply.body["usage"]["output_tokens"] == 15
    assert untouched.body["text"] == whole["text"]
    told = "".join(segment["text"] for segment in reply.body.get("segments", []))
    assert told.strip() in ("", reply.body["text"])


async def test_a_fixed_transcript_needs_no_recognition(
    emulated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For load tests: every recording says the same, in whichever format, and nothing is decoded."""
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    async with emulated(fixed_transcript="Hello there, this is me.") as client:
        plain = await client.transcribe(b"no audio at all", model="gpt-transcribe")
        verbose = await client.transcribe(b"nor this", response_format="verbose_json")
    assert plain.body["text"] == verbose.body["text"] == "Hello there, this is me."
    assert verbose.body["duration"] == 2.5


def children() -> list[int]:
    """The processes that this one has started."""
    listed = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    return [int(number) for numbers in listed for number in numbers]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker process through /proc")
async def test_a_recognizer_that_dies_costs_one_answer(emulated: Any) -> None:
    """500 for the recording it was at, and a new process for the next one."""
    before = set(children())
    async with emulated(recognizer_workers=1) as client:
        listening = asyncio.create_task(client.transcribe(HANG_UP.read_bytes(), "a.ogg"))
        while not (started := set(children()) - before):
            await client.chat()
        os.kill(started.pop(), signal.SIGKILL)
        assert (await listening).status == 500
        again = await client.transcribe(HANG_UP.read_bytes(), "a.ogg")
    assert again.status == 200
    assert set(children()) <= before


def test_what_was_heard_before_does_not_matter() -> None:
    """The same recording gives the same words, times included, whatever the process heard in between."""
    other = (SAMPLES / "2026-03-02" / "1042-wrong-number.wav").read_bytes()
    audio = HANG_UP.read_bytes()
    first = recognize(audio)
    assert "wrong number" in recognize(other).text.lower()
    assert recognize(audio) == first


def test_speech_is_found_between_pauses() -> None:
    """Stretches are in order, do not overlap by more than their margins, and leave the silence out."""
    samples = decode((SAMPLES / "2026-03-02" / "1042-wrong-number.wav").read_bytes())
    spans = speech_spans(samples)
    assert len(spans) == 4
    assert all(first < last for first, last in spans)
    assert all(spans[index][1] <= spans[index + 1][0] for index in range(3))
    assert speech_spans(decode(silence(2))) == []


def test_a_long_stretch_is_cut_where_it_is_quietest() -> None:
    """A minute of noise without a pause is recognised in pieces of at most 20 s."""
    noise = decode(silence(60))
    noise = noise + 3000
    spans = speech_spans(noise)
    assert len(spans) >= 3
    assert max(last - first for first, last in spans) <= 20.5 * SAMPLE_RATE
