"""The answer to a chat call: by rules, fixed for load tests, or useless where a fault asks for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from llm_assets.emulator.chat_request import CHARACTERS_PER_TOKEN, ChatCall, tokens_of
from llm_assets.emulator.config import EmulatorConfig
from llm_assets.emulator.error_answer import bad_request
from llm_assets.emulator.extraction.answer import json_answer, text_answer
from llm_assets.emulator.schema.accepts import Unsatisfiable
from llm_assets.usage import Usage

FINGERPRINT = "llm-assets-emulator"
_CACHE_STEP = 128
_REFUSAL = "I'm sorry, but I can't help with that."
_MISFIT = '{"unexpected": "this answer does not fit the schema"}'

FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The first and only choice, and the tokens it is billed as."""

    content: str | None
    refusal: str | None
    finish_reason: FinishReason
    usage: Usage

    def body(self, answer_id: str, created: int, model: str) -> dict[str, Any]:
        """As OpenAI sends it."""
        message = {"role": "assistant", "content": self.content, "refusal": self.refusal}
        return {
            "id": answer_id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
            ],
            "usage": {
                "prompt_tokens": self.usage.input_tokens,
                "completion_tokens": self.usage.output_tokens,
                "total_tokens": self.usage.total_tokens,
                "prompt_tokens_details": {"cached_tokens": self.usage.cached_tokens, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }


def answer_chat(call: ChatCall, config: EmulatorConfig, fault: str | None) -> ChatAnswer:
    """CPU-bound for long transcripts. Raises ErrorAnswer when no value satisfies the schema."""
    if fault == "refusal":
        return ChatAnswer(None, _REFUSAL, "stop", _usage(call, tokens_of(len(_REFUSAL)), config))
    if fault == "content_filter":
        return ChatAnswer("", None, "content_filter", _usage(call, 0, config))
    text, tokens = (_MISFIT, tokens_of(len(_MISFIT))) if fault == "invalid_output" else _text(call, config)
    if call.max_tokens is not None and tokens > call.max_tokens:
        cut = text[: call.max_tokens * CHARACTERS_PER_TOKEN]
        return ChatAnswer(cut, None, "length", _usage(call, call.max_tokens, config))
    return ChatAnswer(text, None, "stop", _usage(call, tokens, config))


def _text(call: ChatCall, config: EmulatorConfig) -> tuple[str, int]:
    """The whole answer and its tokens."""
    if config.chat_answer == "fixed":
        return config.fixed_answer, config.fixed_completion_tokens
    if call.format == "text":
        text = text_answer(call.turns)
        return text, tokens_of(len(text))
    try:
        text = json_answer(call.turns, call.schema)
    except Unsatisfiable as error:
        raise bad_request(
            f"The emulator found no value for this schema: {error}.", "response_format"
        ) from error
    return text, tokens_of(len(text))


def _usage(call: ChatCall, output_tokens: int, config: EmulatorConfig) -> Usage:
    cached = int(call.prompt_tokens * config.cached_prompt_share) // _CACHE_STEP * _CACHE_STEP
    return Usage(input_tokens=call.prompt_tokens, cached_tokens=cached, output_tokens=output_tokens)
