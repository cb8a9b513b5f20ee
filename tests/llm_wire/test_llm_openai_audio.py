"""Transcription requests and answers in OpenAI's wire format."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from wire_server import Upload, WireServer, says

from llm_assets.errors import ServerFailed
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.openai import OpenAIProvider
from llm_assets.llm.requests import Answer, AnswerSegment, TranscriptionRequest
from llm_assets.llm.transport import Transport
from llm_assets.usage import Usage


def audio(**changes: Any) -> TranscriptionRequest:
    values: dict[str, Any] = {
        "audio": b"OggS",
        "file_name": 'Grüße "Anna".opus',
        "sha256": "00",
        "duration_seconds": 11.5,
    }
    return TranscriptionRequest(**(values | changes))


async def ask(
    server: WireServer, transport: Transport, request: TranscriptionRequest, model: ModelConfig | str
) -> Answer:
    model = ModelConfig.of(model)
    provider = OpenAIProvider(SecretStr("sk-test"), server.url)
    return provider.parse(request, model, await transport.send(provider.build(request, model)))


FULL = audio(language="en", prompt="A call.", keywords=("Fritzbox", "DSL"))


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (
            "gpt-transcribe",
            [
                ("response_format", "json"),
                ("languages[]", "en"),
                ("keywords[]", "Fritzbox"),
                ("keywords[]", "DSL"),
                ("prompt", "A call."),
            ],
        ),
        (
            "whisper-1",
            [
                ("response_format", "verbose_json"),
                ("language", "en"),
                ("prompt", "A call. Fritzbox, DSL"),
                ("timestamp_granularities[]", "segment"),
            ],
        ),
        (
            "gpt-4o-transcribe",
            [("response_format", "json"), ("language", "en"), ("prompt", "A call. Fritzbox, DSL")],
        ),
        ("gpt-4o-transcribe-diarize", [("response_format", "diarized_json"), ("language", "en")]),
    ],
)
async def test_each_model_gets_the_fields_it_takes(
    server: WireServer, transport: Transport, model: str, fields: list[tuple[str, str]]
):
    """Hints go out in the form each model knows, and no model gets a field it would refuse."""
    server.act = says({"text": "hi"})
    await ask(server, transport, FULL, model)
    assert server.last.path == "/v1/audio/transcriptions"
    assert server.last.form == [
        ("model", model),
        *fields,
        ("file", Upload("audio.ogg", "audio/ogg", b"OggS")),
    ]


@pytest.mark.parametrize(
    ("file_name", "sent"),
    [
        ("a.opus", "audio.ogg"),
        ("a.oga", "audio.ogg"),
        ("a.MP3", "audio.mp3"),
        ("a.b.wav", "audio.wav"),
        ("a.m4a", "audio.m4a"),
        ("noextension", "audio.bin"),
        ('a.w"\r\nX', "audio.bin"),
    ],
)
def test_the_file_name_is_neutral_and_carries_the_extension(file_name: str, sent: str):
    """A recording's own name stays at home; its extension is one the API knows."""
    built = OpenAIProvider(None).build(audio(file_name=file_name), ModelConfig.of("gpt-transcribe"))
    assert built.files[0].file_name == sent


@pytest.mark.parametrize(("seconds", "chunked"), [(30.0, False), (30.1, True)])
def test_long_audio_with_speakers_is_chunked(seconds: float, chunked: bool):
    """The diarizing model demands a chunking strategy above 30 seconds."""
    model = ModelConfig.of("gpt-4o-transcribe-diarize")
    fields = OpenAIProvider(None).build(audio(duration_seconds=seconds), model).fields
    assert (("chunking_strategy", "auto") in fields) is chunked


def test_parameters_become_form_fields():
    """Lists repeat, flags and objects are JSON, null is left out, and a model's own strategy wins."""
    parameters = {
        "temperature": 0.2,
        "include": ["logprobs"],
        "known_speaker_names[]": ["agent"],
        "chunking_strategy": {"type": "server_vad"},
        "vad_filter": True,
        "nothing": None,
    }
    model = ModelConfig.of({"model": "gpt-4o-transcribe-diarize", "parameters": parameters})
    fields = OpenAIProvider(None).build(audio(duration_seconds=60), model).fields
    assert fields[2:] == (
        ("temperature", "0.2"),
        ("include[]", "logprobs"),
        ("known_speaker_names[]", "agent"),
        ("chunking_strategy", '{"type": "server_vad"}'),
        ("vad_filter", "true"),
    )


async def test_a_plain_answer(server: WireServer, transport: Transport):
    """gpt-transcribe bills seconds and names the languages it heard."""
    server.act = says(
        {
            "text": " Hello there. ",
            "languages": [{"code": "en"}, {"code": "de"}],
            "usage": {"type": "duration", "seconds": 12},
        }
    )
    assert await ask(server, transport, audio(), "gpt-transcribe") == Answer(
        text="Hello there.", usage=Usage(audio_seconds=12.0), model="gpt-transcribe", language="en"
    )


async def test_a_verbose_answer(server: WireServer, transport: Transport):
    """whisper-1 gives duration, a language's name and timed segments; empty ones are dropped."""
    server.act = says(
        {
            "task": "transcribe",
            "language": "german",
            "duration": 11.25,
            "text": "Guten Tag.",
            "segments": [
                {"id": 0, "start": 0.0, "end": 1.5, "text": " Guten Tag.", "avg_logprob": -0.2},
                {"id": 1, "start": 1.5, "end": 1.4, "text": "Ja."},
                {"id": 2, "start": 2.0, "end": 3.0, "text": "  "},
                {"id": 3, "text": "untimed"},
            ],
        }
    )
    answer = await ask(server, transport, audio(), "whisper-1")
    assert (answer.language, answer.duration_seconds) == ("de", 11.25)
    assert answer.usage == Usage(audio_seconds=11.25)
    assert answer.segments == (AnswerSegment(0.0, 1.5, "Guten Tag."), AnswerSegment(1.5, 1.5, "Ja."))


async def test_an_answer_with_speakers(server: WireServer, transport: Transport):
    """The diarizing model names who speaks and bills tokens."""
    server.act = says(
        {
            "task": "transcribe",
            "duration": 4.2,
            "text": "Hi. Hello.",
            "segments": [
                {
                    "type": "transcript.text.segment",
                    "id": "s1",
                    "start": 0,
                    "end": 1,
                    "text": "Hi.",
                    "speaker": "A",
                },
                {
                    "type": "transcript.text.segment",
                    "id": "s2",
                    "start": 1,
                    "end": 2,
                    "text": "Hello.",
                    "speaker": "B",
                },
            ],
            "usage": {
                "type": "tokens",
                "input_tokens": 42,
                "output_tokens": 9,
                "total_tokens": 51,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 42},
            },
        }
    )
    answer = await ask(server, transport, audio(), "gpt-4o-transcribe-diarize")
    assert [segment.speaker for segment in answer.segments] == ["A", "B"]
    assert answer.usage == Usage(input_tokens=42, output_tokens=9, audio_seconds=4.2)


async def test_an_answer_without_usage_bills_the_audio_sent(server: WireServer, transport: Transport):
    """A server that says nothing about duration is billed by the duration of what was sent."""
    server.act = says({"text": ""})
    answer = await ask(server, transport, audio(), "gpt-transcribe")
    assert answer.text == ""
    assert answer.usage == Usage(audio_seconds=11.5)


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"type": "tokens", "input_tokens": None}, {"input_tokens": "42", "output_tokens": 10**400}],
    ids=["none", "empty", "null", "nonsense"],
)
async def test_a_transcript_billed_in_tokens_is_never_free(
    server: WireServer, transport: Transport, usage: Any
):
    """Where the tokens are not told they are estimated from the audio and the text."""
    server.act = says({"text": "Hello there, this is me.", "usage": usage})
    answer = await ask(server, transport, audio(), "gpt-4o-transcribe")
    assert answer.usage.is_estimated
    assert answer.usage.input_tokens >= 115
    assert answer.usage.output_tokens >= 6


@pytest.mark.parametrize(("tokens", "reason"), [(2000, "length"), (1990, "length"), (1900, "stop")])
async def test_a_silently_truncated_transcript_is_noticed(
    server: WireServer, transport: Transport, tokens: int, reason: str
):
    """A text that stops at the output limit or just before comes with status 200, marked as cut off."""
    server.act = says(
        {"text": "and then", "usage": {"type": "tokens", "input_tokens": 4, "output_tokens": tokens}}
    )
    assert (await ask(server, transport, audio(), "gpt-4o-transcribe")).finish_reason == reason


async def test_an_estimate_is_no_sign_of_truncation(server: WireServer, transport: Transport):
    """A long text of a server that tells no usage is taken for what it is."""
    server.act = says({"text": "and then " * 2000})
    answer = await ask(server, transport, audio(), "gpt-4o-transcribe")
    assert answer.usage.is_estimated
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("body", [{}, {"text": None}, {"segments": []}, [], b"hello"])
async def test_a_transcription_without_text_is_a_failure(server: WireServer, transport: Transport, body: Any):
    """No text field, no answer."""
    server.act = says(body)
    with pytest.raises(ServerFailed, match="no answer"):
        await ask(server, transport, audio(), "gpt-transcribe")
