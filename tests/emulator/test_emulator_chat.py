"""Chat completions over HTTP: answers, and what OpenAI refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

REFUND = "Transcript:\n[0 00:00 customer] I want a refund. The screen is broken."
SCHEMA = {
    "type": "object",
    "properties": {"intent": {"type": "string", "enum": ["refund", "other"]}},
    "required": ["intent"],
    "additionalProperties": False,
}


def strict(schema: Any = SCHEMA, name: str = "Insights") -> dict[str, Any]:
    described = {"name": name, "schema": schema, "strict": True}
    return {"type": "json_schema", "json_schema": described}


async def test_an_answer_looks_like_openais_and_says_what_it_is(emulated: Any) -> None:
    """The shape is OpenAI's, the snapshot answers for the alias, and two places tell the truth."""
    async with emulated() as client:
        reply = await client.chat(REFUND, response_format=strict())
    choice = reply.body["choices"][0]
    assert reply.status == 200
    assert json.loads(choice["message"]["content"]) == {"intent": "refund"}
    assert choice["message"]["refusal"] is None
    assert choice["finish_reason"] == "stop"
    assert reply.body["object"] == "chat.completion"
    assert reply.body["model"] == "gpt-4o-2024-08-06"
    assert reply.body["system_fingerprint"] == "llm-assets-emulator"
    assert reply.headers["x-emulator"] == "llm-assets"
    assert reply.headers["x-request-id"].startswith("req_")


async def test_usage_is_about_four_characters_a_token(emulated: Any) -> None:
    """Prompt with schema, answer, total, and the details that a client may read."""
    async with emulated() as client:
        usage = (await client.chat("x" * 400, response_format={"type": "text"})).body["usage"]
    assert usage["prompt_tokens"] == 104
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0


async def test_cached_tokens_come_in_steps_of_128(emulated: Any) -> None:
    """As a share of the prompt, where a test wants to see them priced."""
    async with emulated(cached_prompt_share=0.5) as client:
        usage = (await client.chat("x" * 4000)).body["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 384


async def test_too_few_tokens_cut_the_answer(emulated: Any) -> None:
    """The text ends within the limit, is billed up to it, and `finish_reason` says so."""
    async with emulated() as client:
        reply = await client.chat(REFUND, response_format=strict(), max_completion_tokens=2)
    assert reply.body["choices"][0]["finish_reason"] == "length"
    assert len(reply.body["choices"][0]["message"]["content"]) == 8
    assert reply.body["usage"]["completion_tokens"] == 2


async def test_the_same_question_gets_the_same_answer(emulated: Any) -> None:
    """Content and usage do not depend on when or how often it is asked."""
    async with emulated() as client:
        first, second = await client.chat(REFUND), await client.chat(REFUND)
    assert first.body["choices"] == second.body["choices"]
    assert first.body["usage"] == second.body["usage"]


async def test_messages_may_come_in_parts(emulated: Any) -> None:
    """A content of text parts is read like a plain string."""
    async with emulated() as client:
        parts = [{"type": "text", "text": REFUND}]
        reply = await client.post(
            "/v1/chat/completions",
            json={
                "model": "gpt-4o",
                "messages": [{"role": "user", "content": parts}],
                "response_format": strict(),
            },
        )
    assert json.loads(reply.body["choices"][0]["message"]["content"]) == {"intent": "refund"}


async def test_a_fixed_answer_serves_load_tests(emulated: Any) -> None:
    """The text and the tokens are what is configured, whatever is asked."""
    async with emulated(chat_answer="fixed", fixed_answer="{}", fixed_completion_tokens=77) as client:
        reply = await client.chat("anything")
    assert reply.body["choices"][0]["message"]["content"] == "{}"
    assert reply.body["usage"]["completion_tokens"] == 77


REFUSED = [
    ({"messages": []}, "empty_array", "messages"),
    ({"messages": "hi"}, "invalid_type", "messages"),
    ({"messages": [{"role": "robot", "content": "hi"}]}, "invalid_value", "messages[0].role"),
    ({"model": "gpt-6-luna", "max_tokens": 5}, "unsupported_parameter", "max_tokens"),
    ({"model": "gpt-6-luna", "temperature": 0.2}, "unsupported_value", "temperature"),
    ({"model": "gpt-6-luna", "reasoning_effort": "huge"}, "invalid_value", "reasoning_effort"),
    ({"stream": True}, "unsupported_parameter", "stream"),
    ({"n": 2}, "unsupported_parameter", "n"),
    ({"tools": [{"type": "function"}]}, "unsupported_parameter", "tools"),
    ({"max_tokens": 0}, "invalid_type", "max_tokens"),
    ({"response_format": {"type": "yaml"}}, "invalid_value", "response_format.type"),
    ({"response_format": {"type": "json_object"}}, None, "messages"),
    ({"response_format": strict(name="a b")}, "invalid_value", "response_format.json_schema.name"),
    ({"response_format": strict({"type": "array"})}, None, "response_format"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        "missing_required_parameter",
        "response_format.json_schema.name",
    ),
]


@pytest.mark.parametrize(("change", "code", "param"), REFUSED)
async def test_what_openai_refuses_is_refused(
    emulated: Any, change: dict[str, Any], code: str | None, param: str
) -> None:
    """400 with OpenAI's code and the parameter that is wrong."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **change}
    async with emulated() as client:
        reply = await client.post("/v1/chat/completions", json=body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert (reply.error["code"], reply.error["param"]) == (code, param)


async def test_a_schema_outside_strict_mode_is_refused_with_the_place(emulated: Any) -> None:
    """The message names the schema, the context and the rule."""
    broken = SCHEMA | {"properties": {"intent": {"type": "string", "default": "other"}}}
    async with emulated() as client:
        reply = await client.chat(REFUND, response_format=strict(broken))
    assert reply.error["message"] == (
        "Invalid schema for response_format 'Insights': In context=('properties', 'intent'), "
        "'default' is not permitted."
    )


async def test_reasoning_models_take_temperature_without_reasoning(emulated: Any) -> None:
    """`reasoning_effort` none allows it; `max_completion_tokens` is always theirs."""
    async with emulated() as client:
        reply = await client.chat(
            model="gpt-6-luna", reasoning_effort="none", temperature=0.2, max_completion_tokens=50
        )
    assert reply.status == 200


async def test_a_prompt_beyond_the_context_is_refused(emulated: Any) -> None:
    """`context_length_exceeded`, with both numbers."""
    async with emulated() as client:
        reply = await client.chat("word " * 110_000)
    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"
    assert "maximum context length is 128000 tokens" in reply.error["message"]


@pytest.mark.parametrize(("limit", "status"), [(400, 200), (900, 400)])
async def test_a_prompt_and_its_answer_share_the_context(emulated: Any, limit: int, status: int) -> None:
    """A prompt that fits alone is refused together with an output limit that leaves it no room."""
    async with emulated(models=("small",), context_tokens={"small": 1000}) as client:
        reply = await client.chat("word " * 400, model="small", max_tokens=limit)
    assert reply.status == status
    if status == 400:
        assert reply.error["code"] == "context_length_exceeded"
        assert "in the completion" in reply.error["message"]


async def test_the_context_of_a_model_that_is_not_served_is_a_mistake(emulated: Any) -> None:
    """A name that is written wrong would limit nothing."""
    with pytest.raises(ValueError, match="tiny, which is not served"):
        async with emulated(context_tokens={"tiny": 1000}):
            pass


async def test_an_unknown_model_is_not_found(emulated: Any) -> None:
    """404 `model_not_found`; a configured name and a dated snapshot of a known one are served."""
    async with emulated(models=("gpt-5-mini",)) as client:
        assert (await client.chat(model="gpt-9")).error["code"] == "model_not_found"
        assert (await client.chat(model="gpt-9")).status == 404
        assert (await client.chat(model="gpt-5-mini")).status == 200
        snapshot = await client.chat(model="gpt-4o-mini-2024-07-18")
        assert snapshot.body["model"] == "gpt-4o-mini-2024-07-18"


async def test_every_key_is_accepted_but_not_none(emulated: Any) -> None:
    """401 without a key; with one configured, 401 for every other."""
    async with emulated() as client:
        assert (await client.get("/v1/models", headers={"Authorization": ""})).status == 401
        missing = await client.post("/v1/chat/completions", json={}, headers={"Authorization": ""})
        assert missing.status == 401
        assert "You didn't provide an API key" in missing.error["message"]
    async with emulated(api_key="sk-right-key-123") as client:
        wrong = await client.chat()
        assert (wrong.status, wrong.error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("payload", [b"", b"no json", b"[1]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(emulated: Any, payload: bytes) -> None:
    """400 in OpenAI's words, never a 500."""
    async with emulated() as client:
        reply = await client.post("/v1/chat/completions", data=payload)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"


async def test_models_tell_when_they_shut_down(emulated: Any) -> None:
    """The list, one model, and `shutdown_date` where one is known."""
    async with emulated() as client:
        listed = {model["id"]: model for model in (await client.get("/v1/models")).body["data"]}
        one = await client.get("/v1/models/whisper-1")
        assert (await client.get("/v1/models/nobody")).status == 404
    assert listed["gpt-4o"]["shutdown_date"] == "2027-01-14"
    assert "shutdown_date" not in listed["gpt-6-luna"]
    assert one.body == listed["whisper-1"]


async def test_an_unknown_url_says_so(emulated: Any) -> None:
    """404 with the method and the path, as a JSON error."""
    async with emulated() as client:
        reply = await client.post("/v1/embeddings", json={})
    assert reply.status == 404
    assert reply.error["message"] == "Invalid URL (POST /v1/embeddings)"
