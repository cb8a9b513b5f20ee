"""The two endpoints that answer: how a request is read, what it costs at admission, how it is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol, cast

from aiohttp import web

from llm_assets.emulator.catalog import EmulatedModel
from llm_assets.emulator.chance import marked_fault
from llm_assets.emulator.chat_answer import answer_chat
from llm_assets.emulator.chat_request import charged_tokens, parse_chat
from llm_assets.emulator.config import EmulatorConfig
from llm_assets.emulator.error_answer import ErrorAnswer, bad_request, missing
from llm_assets.emulator.speech.pool import SpeechPool, is_installed
from llm_assets.emulator.speech.spoken import (
    RecognizerCrashed,
    Speech,
    Stopped,
    UndecodableAudio,
    fixed_speech,
)
from llm_assets.emulator.transcription import (
    TranscriptionForm,
    check_form,
    check_speech,
    read_form,
    transcription_body,
    transcription_usage,
    undecodable,
)
from llm_assets.usage import Usage

NO_RECOGNIZER = "speech recognition needs pocketsphinx: pip install 'llm-assets[local]'"
_LONG_BODY_BYTES = 40_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request that was read, before anything about it is judged."""

    model: str
    content_hash: bytes
    charged_tokens: int
    marked_fault: str | None
    content: Any
    size_bytes: int


class Endpoint(Protocol):
    """What `Service` needs of an endpoint."""

    name: str

    async def read(self, request: web.Request) -> Question:
        """Raises ErrorAnswer when the body cannot be read."""
        ...

    async def answer(
        self, question: Question, model: EmulatedModel, fault: str | None, ordinal: int
    ) -> tuple[dict[str, Any], Usage]:
        """The body of the answer and what it is billed as. Raises ErrorAnswer."""
        ...


class ChatEndpoint:
    """`POST /v1/chat/completions`."""

    name = "chat"

    def __init__(self, config: EmulatorConfig, now: Callable[[], float]) -> None:
        self._config, self._now = config, now

    async def read(self, request: web.Request) -> Question:
        raw = await request.read()
        try:
            body: object = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise bad_request("We could not parse the JSON body of your request: a JSON object is expected.")
        content = cast("dict[str, Any]", body)
        return Question(
            model=_model_name(content.get("model")),
            content_hash=blake2b(raw, digest_size=16).digest(),
            charged_tokens=charged_tokens(content, self._config.charged_tokens),
            marked_fault=marked_fault(raw),
            content=content,
            size_bytes=len(raw),
        )

    async def answer(
        self, question: Question, model: EmulatedModel, fault: str | None, ordinal: int
    ) -> tuple[dict[str, Any], Usage]:
        call = parse_chat(question.content, model)
        if question.size_bytes > _LONG_BODY_BYTES:
            answer = await asyncio.to_thread(answer_chat, call, self._config, fault)
        else:
            answer = answer_chat(call, self._config, fault)
        name = model.answers_as or model.name
        return answer.body(f"chatcmpl-emulator-{ordinal:08}", int(self._now()), name), answer.usage


class TranscriptionEndpoint:
    """`POST /v1/audio/transcriptions`."""

    name = "transcription"

    def __init__(self, config: EmulatorConfig) -> None:
        self._pool = SpeechPool(config.recognizer_workers)
        self._fixed = None if config.fixed_transcript is None else fixed_speech(config.fixed_transcript)

    async def read(self, request: web.Request) -> Question:
        if not request.content_type.startswith("multipart/"):
            raise bad_request("Invalid content type: multipart/form-data is expected.")
        form = await read_form(await request.multipart())
        return Question(
            model=_model_name(form.fields.get("model", [None])[-1]),
            content_hash=await asyncio.to_thread(form.content_hash),
            charged_tokens=0,
            marked_fault=marked_fault(form.field("prompt", "").encode()),
            content=form,
            size_bytes=len(form.audio),
        )

    async def answer(
        self, question: Question, model: EmulatedModel, fault: str | None, ordinal: int
    ) -> tuple[dict[str, Any], Usage]:
        form: TranscriptionForm = question.content
        check_form(form, model)
        speech = await self._recognize(form)
        check_speech(form, speech, model)
        return transcription_body(form, speech, model), transcription_usage(speech, model)

    async def stop(self) -> None:
        await self._pool.stop()

    async def _recognize(self, form: TranscriptionForm) -> Speech:
        if self._fixed is not None:
            return self._fixed
        if not is_installed():
            raise ErrorAnswer(501, f"The emulator's {NO_RECOGNIZER}", "server_error", "recognizer_missing")
        try:
            return await self._pool.recognize(form.audio, form.audio_sha256)
        except UndecodableAudio as error:
            raise undecodable() from error
        except (RecognizerCrashed, Stopped) as error:
            raise ErrorAnswer(500, f"The emulator's recognizer failed: {error}", "server_error") from error


def _model_name(named: object) -> str:
    if not isinstance(named, str) or not named:
        raise missing("model")
    return named
