"""Whether a request can be sent at all: what is wrong with one row is said of it, and stops no other."""

from __future__ import annotations

import json
import math
from typing import Any

from llm_assets.errors import RequestRejected
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.requests import ChatRequest, Message, OutputSchema, Request, TranscriptionRequest

_ROLES = ("system", "user", "assistant")


def require_usable(request: Any) -> Request:
    """The request. Raises RequestRejected, saying what is wrong, when no provider could be asked with it."""
    if isinstance(request, ChatRequest):
        problem = _chat_problem(request)
    elif isinstance(request, TranscriptionRequest):
        problem = _transcription_problem(request)
    else:
        raise no_request(request)
    if problem is not None:
        raise RequestRejected(f"the request {request.key!r} cannot be sent: {problem}")
    return request


def no_request(given: object) -> TypeError:
    """What to raise where something else than a request was given."""
    return TypeError(f"a ChatRequest or TranscriptionRequest is expected, not {type(given).__name__}")


def _chat_problem(request: ChatRequest) -> str | None:
    messages: Any = request.messages
    if not isinstance(messages, tuple | list) or not messages:
        return "messages is a tuple of at least one Message"
    for turn in messages:
        if not isinstance(turn, Message) or turn.role not in _ROLES or not isinstance(turn.content, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            return f"a message is a Message with a role of {', '.join(_ROLES)} and a text"
    limit: Any = request.max_output_tokens
    if limit is not None and (type(limit) is not int or limit < 1):
        return "max_output_tokens is a whole number of at least 1"
    schema: Any = request.output_schema
    if schema is None:
        return None
    return _SCHEMAS.of(schema) if isinstance(schema, OutputSchema) else "output_schema is an OutputSchema"


def _schema_problem(schema: OutputSchema) -> str | None:
    try:
        json.dumps([schema.name, schema.description, schema.schema])
    except (TypeError, ValueError, RecursionError) as error:
        return f"output_schema is no JSON ({error})"
    return None


_SCHEMAS = Remembered(_schema_problem)


def _transcription_problem(request: TranscriptionRequest) -> str | None:
    audio: Any = request.audio
    seconds: Any = request.duration_seconds
    texts: list[Any] = [request.language, request.prompt]
    if not isinstance(audio, bytes):
        return "audio is bytes"
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
        return "duration_seconds is a number of seconds"
    if not all(text is None or isinstance(text, str) for text in texts):
        return "language and prompt are texts"
    return None
