"""The keys of the journal: answers that were paid for are found by every later version."""

from __future__ import annotations

from llm_assets.llm.journal_keys import journal_keys, shape_of
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import ChatRequest, Message, OutputSchema, Request, TranscriptionRequest

PLAIN = ModelConfig(model="gpt-4o-mini")
OTHER = ModelConfig(
    model="x",
    parameters={"b": 1, "a": 2.5},
    max_output_tokens=99,
    transcription_format="verbose_json",
    structured_output="none",
)


def keys(request: Request) -> list[str]:
    models = ((PLAIN, "http://a/v1"), (OTHER, "srv"))
    shapes = [shape_of(model, server, request.endpoint) for model, server in models]
    return [key.hex()[:16] for key in journal_keys(request, shapes)]


def test_a_chat_has_the_key_it_always_had() -> None:
    """Whatever changes in how it is made: another key would pay for every answer again."""
    schema = OutputSchema("n", {"a": 1, "b": [2]}, "d")
    messages = (Message("user", "ä"), Message("system", "x" * 100))
    request = ChatRequest(messages=messages, max_output_tokens=16, output_schema=schema)
    assert keys(request) == ["1640e33b6b5a7b70", "cf47b99c7cc3a1a2"]
    assert keys(ChatRequest(messages=(Message("user", "\ud800"),))) == [
        "aae37115d8887c46",
        "a04d4f0bf6f0fbb4",
    ]


def test_a_transcription_has_the_key_it_always_had() -> None:
    request = TranscriptionRequest(
        audio=b"x",
        file_name="a.mp3",
        sha256="ab",
        duration_seconds=2,
        keywords=("ä", "b"),
        language="de",
        prompt="p",
    )
    assert keys(request) == ["28bac791d178227c", "668cb80d5edd8f01"]
