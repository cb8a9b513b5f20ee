"""How large a request is before it is sent: the most it can cost, and how long its answer is likely to be."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, insort
from collections import deque

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.pricing import AUDIO_TOKENS_PER_SECOND, is_billed_by_time, worst_nano_usd
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.requests import ChatRequest, OutputSchema, Request

# What a provider adds around every message and for the schema it is told to follow.
_FRAME_TOKENS = 64
_TOKENS_PER_MESSAGE = 8
_LIMIT_PARAMETERS = ("max_completion_tokens", "max_tokens")
_OUTPUT_IF_UNLIMITED = 128_000
# Nobody speaks that fast in any script; where a model names no limit, the most a transcript can have.
_TRANSCRIPT_TOKENS_PER_SECOND = 20
_REMEMBERED_ANSWERS = 256
_REMEMBERED_KINDS = 256


def most_input_tokens(request: ChatRequest) -> int:
    """A bound no tokenizer passes: every token is at least one byte of UTF-8."""
    size = framing_tokens(request)
    for message in request.messages:
        size += len(message.content.encode("utf-8", "replace"))
    if request.output_schema is not None:
        size += _SCHEMA_SIZES.of(request.output_schema)
    return size


def _schema_size(schema: OutputSchema) -> int:
    return len(repr(schema.schema).encode()) + len((schema.description or "").encode())


def _schema_text(schema: OutputSchema) -> str:
    told = json.dumps(schema.schema, ensure_ascii=False, separators=(",", ":"))
    return f"{schema.name}{schema.description or ''}{told}"


_SCHEMA_SIZES = Remembered(_schema_size)
_SCHEMA_TEXTS = Remembered(_schema_text)


def framing_tokens(request: ChatRequest) -> int:
    """What a provider adds to the texts of a request, rather more than less."""
    return _FRAME_TOKENS + _TOKENS_PER_MESSAGE * len(request.messages)


def told_schema(request: ChatRequest) -> str:
    """The schema as a model reads it with every request; empty without one."""
    return _SCHEMA_TEXTS.of(request.output_schema) if request.output_schema is not None else ""


def most_output_tokens(request: ChatRequest, model: ModelConfig) -> int:
    # What the model's own parameters say is sent as it is, whatever the request says.
    own = _OWN_LIMITS.of(model) if model.parameters else 0
    return own or request.max_output_tokens or model.max_output_tokens or _OUTPUT_IF_UNLIMITED


def _own_limit(model: ModelConfig) -> int:
    own = [model.parameters.get(name) for name in _LIMIT_PARAMETERS]
    return max((value for value in own if isinstance(value, int)), default=0)


_OWN_LIMITS = Remembered(_own_limit)


def worst_case(request: Request, model: ModelConfig) -> tuple[int | None, int]:
    """The most one attempt can cost: in billionths of a US dollar, None when the price is unknown, and in
    tokens."""
    if isinstance(request, ChatRequest):
        tokens_in, tokens_out = most_input_tokens(request), most_output_tokens(request, model)
        price = worst_nano_usd(model, input_tokens=tokens_in, output_tokens=tokens_out)
        return price, tokens_in + tokens_out
    prompt = len((request.prompt or "").encode("utf-8", "replace"))
    prompt += sum(len(word.encode("utf-8", "replace")) for word in request.keywords)
    # Whole seconds are billed by some, and measured a little differently by all.
    seconds = math.ceil(request.duration_seconds) + 1
    output = model.max_output_tokens or seconds * _TRANSCRIPT_TOKENS_PER_SECOND
    price = worst_nano_usd(model, input_tokens=prompt, output_tokens=output, audio_seconds=seconds)
    heard = 0 if is_billed_by_time(model) else seconds * AUDIO_TOKENS_PER_SECOND + output
    return price, prompt + heard


class OutputSizes:
    """The 95th percentile of the output tokens that came back lately, per model and output schema."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], deque[int]] = {}
        self._sorted: dict[tuple[str, str], list[int]] = {}

    def add(self, request: ChatRequest, model: ModelConfig, output_tokens: int) -> None:
        key = _kind(request, model)
        if key not in self._latest and len(self._latest) >= _REMEMBERED_KINDS:
            oldest = next(iter(self._latest))
            del self._latest[oldest], self._sorted[oldest]
        latest = self._latest.setdefault(key, deque())
        ordered = self._sorted.setdefault(key, [])
        latest.append(output_tokens)
        insort(ordered, output_tokens)
        if len(latest) > _REMEMBERED_ANSWERS:
            del ordered[bisect_left(ordered, latest.popleft())]

    def expected(self, request: ChatRequest, model: ModelConfig) -> int:
        """What to count on for the next answer; before the first one, a quarter of what is allowed."""
        ordered = self._sorted.get(_kind(request, model))
        allowed = most_output_tokens(request, model)
        if not ordered:
            return min(allowed // 4, 1000)
        return min(ordered[int(0.95 * (len(ordered) - 1))], allowed)


def _kind(request: ChatRequest, model: ModelConfig) -> tuple[str, str]:
    return model.model, request.output_schema.name if request.output_schema else ""
