"""The identity of an answer: a hash of everything that shapes it.

It leaves out what does not (who asked, when, the caller's own name for the request), so a later run that
asks the same finds the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.remembered import Remembered
from llm_assets.llm.requests import ChatRequest, Endpoint, OutputSchema, Request, TranscriptionRequest

_KEY_VERSION = 1


class Shape(NamedTuple):
    """What of a model on its server shapes its answers, whatever is asked."""

    fixed: bytes
    max_output_tokens: int | None


def shape_of(model: ModelConfig, server: str, endpoint: Endpoint) -> Shape:
    named = [_KEY_VERSION, model.provider, model.model, dict(model.parameters), endpoint]
    form = model.structured_output if endpoint == "chat" else model.transcription_format
    return Shape(_json([*named, form]) + server.encode(), model.max_output_tokens)


def journal_keys(request: Request, shapes: Sequence[Shape]) -> tuple[bytes, ...]:
    """The identity of each model's answer: its shape, its output limit and what is asked, as one hash."""
    asked = _asked(request)
    limit = request.max_output_tokens if isinstance(request, ChatRequest) else None
    return tuple(
        [
            sha256(b"%s\n%d\n%s" % (shape.fixed, limit or shape.max_output_tokens or 0, asked)).digest()
            for shape in shapes
        ]
    )


def _asked(request: Request) -> bytes:
    """The hash of what is asked, whichever model answers."""
    if isinstance(request, TranscriptionRequest):
        hints = [request.sha256, request.language, request.prompt, list(request.keywords)]
        return sha256(_json(hints)).digest()
    digest = sha256(_SCHEMAS.of(request.output_schema))
    for message in request.messages:
        content = message.content.encode("utf-8", "surrogatepass")
        digest.update(b"\n%s %d\n" % (message.role.encode(), len(content)))
        digest.update(content)
    return digest.digest()


def _schema(schema: OutputSchema | None) -> bytes:
    if schema is None:
        return b""
    # The order of properties shapes an answer too, so nothing is sorted here.
    return json.dumps([schema.name, schema.description, schema.schema], default=str).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


_SCHEMAS = Remembered(_schema)
