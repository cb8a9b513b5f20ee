"""The wire format of `/audio/transcriptions`: a multipart form out, one of three JSON shapes back.

What a form may hold differs by model: keywords and several languages are for gpt-transcribe alone, older
models take keywords inside the prompt, and the diarizing one takes no prompt at all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from llm_assets.llm.http import FormFile
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.pricing import AUDIO_TOKENS_PER_SECOND, is_billed_by_time
from llm_assets.llm.providers.languages import language_code
from llm_assets.llm.providers.wire import (
    known_count_in,
    number_in,
    object_in,
    objects_in,
    text_in,
)
from llm_assets.llm.requests import Answer, AnswerSegment, TranscriptionRequest
from llm_assets.llm.tokens import estimate_tokens
from llm_assets.usage import Usage

# The API goes by the extension and knows Ogg only as `ogg`, whatever codec is inside.
_KNOWN_AS = {"oga": "ogg", "opus": "ogg"}
_CONTENT_TYPES = {
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "mpeg": "audio/mpeg",
    "mpga": "audio/mpeg",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "webm": "audio/webm",
}
_LONGEST_UNCHUNKED_SECONDS = 30.0
_CUT_OFF_FROM = 0.98


def form_file(request: TranscriptionRequest) -> FormFile:
    """The audio under a neutral name: a recording's own name is nobody else's business."""
    extension = PurePosixPath(request.file_name).suffix.lstrip(".").lower()
    extension = _KNOWN_AS.get(extension, extension)
    content_type = _CONTENT_TYPES.get(extension, "application/octet-stream")
    named = extension if extension.isascii() and extension.isalnum() else "bin"
    return FormFile("file", f"audio.{named}", request.audio, content_type)


def form_fields(request: TranscriptionRequest, model: ModelConfig) -> tuple[tuple[str, str], ...]:
    """The form's fields beside the file. The model's own parameters come last."""
    fields = [("model", model.model), ("response_format", model.transcription_format)]
    fields.extend(_hints(request, model))
    if model.transcription_format == "verbose_json":
        fields.append(("timestamp_granularities[]", "segment"))
    if (
        model.transcription_format == "diarized_json"
        and request.duration_seconds > _LONGEST_UNCHUNKED_SECONDS
        and "chunking_strategy" not in model.parameters
    ):
        fields.append(("chunking_strategy", "auto"))
    for name, value in model.parameters.items():
        fields.extend(_field(name, value))
    return tuple(fields)


def transcription_answer(
    data: dict[str, Any], request: TranscriptionRequest, model: ModelConfig
) -> Answer | None:
    """The answer in a decoded body, None when it holds none."""
    text = data.get("text")
    if not isinstance(text, str):
        return None
    usage = _usage(data, request, model, text)
    # A token-billed model at its output limit, or some tokens before it, answers 200 with a text that just
    # ends. An estimate of its tokens is no sign of that.
    most = None if usage.is_estimated else model.max_output_tokens
    truncated = most is not None and usage.output_tokens >= most * _CUT_OFF_FROM
    return Answer(
        text=text.strip(),
        usage=usage,
        model=text_in(data, "model") or model.model,
        finish_reason="length" if truncated else "stop",
        language=_language(data),
        duration_seconds=number_in(data, "duration"),
        segments=tuple(_segments(data)),
        service_tier=text_in(data, "service_tier"),
    )


def _hints(request: TranscriptionRequest, model: ModelConfig) -> Iterator[tuple[str, str]]:
    if model.model.startswith("gpt-transcribe"):
        if request.language:
            yield "languages[]", request.language
        for keyword in request.keywords:
            yield "keywords[]", keyword
        if request.prompt:
            yield "prompt", request.prompt
        return
    if request.language:
        yield "language", request.language
    prompt = " ".join(filter(None, (request.prompt, ", ".join(request.keywords))))
    if prompt and model.transcription_format != "diarized_json":
        yield "prompt", prompt


def _field(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list | tuple):
        repeated = name if name.endswith("[]") else f"{name}[]"
        for item in value:
            yield from _field(repeated, item)
    elif isinstance(value, bool | dict):
        yield name, json.dumps(value)
    elif value is not None:
        yield name, str(value)


def _usage(data: dict[str, Any], request: TranscriptionRequest, model: ModelConfig, text: str) -> Usage:
    usage = object_in(data, "usage")
    heard = number_in(usage, "seconds")
    seconds = heard or number_in(data, "duration") or request.duration_seconds
    told = [known_count_in(usage, name) for name in ("input_tokens", "output_tokens")]
    if heard is not None or is_billed_by_time(model) or (not any(told) and is_billed_by_time(model) is None):
        return Usage(input_tokens=told[0] or 0, output_tokens=told[1] or 0, audio_seconds=float(seconds))
    # Billed in tokens, and what is missing of them is estimated upwards: counting nothing would bill nothing.
    knows_output = told[1] is not None and (told[1] > 0 or not text)
    return Usage(
        input_tokens=told[0] or _estimated_input(request),
        output_tokens=told[1] if told[1] is not None and knows_output else estimate_tokens(text),
        audio_seconds=float(seconds),
        is_estimated=not (told[0] and knows_output),
    )


def _estimated_input(request: TranscriptionRequest) -> int:
    hints = " ".join((request.prompt or "", *request.keywords))
    return math.ceil(request.duration_seconds * AUDIO_TOKENS_PER_SECOND) + estimate_tokens(hints)


def _language(data: dict[str, Any]) -> str | None:
    detected = objects_in(data, "languages")
    if detected:
        return text_in(detected[0], "code")
    return language_code(text_in(data, "language"))


def _segments(data: dict[str, Any]) -> Iterator[AnswerSegment]:
    for segment in objects_in(data, "segments"):
        start, end = number_in(segment, "start"), number_in(segment, "end")
        text = (text_in(segment, "text") or "").strip()
        if text and start is not None and end is not None:
            yield AnswerSegment(float(start), float(max(start, end)), text, text_in(segment, "speaker"))
