"""Audio transcriptions: what a form must hold, and the answer in the shapes OpenAI has for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import PurePosixPath
from typing import Any

from aiohttp import BodyPartReader, MultipartReader

from llm_assets.emulator.catalog import EmulatedModel
from llm_assets.emulator.chat_request import CHARACTERS_PER_TOKEN, tokens_of
from llm_assets.emulator.error_answer import ErrorAnswer, bad_request, missing
from llm_assets.emulator.speech.spoken import Speech, Stretch, Word
from llm_assets.emulator.speech.voices import speaker_labels
from llm_assets.usage import Usage

MAX_FILE_BYTES = 25 * 1024 * 1024
EXTENSIONS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_MAX_FIELD_BYTES = 64 * 1024
_LEAST_SECONDS = 0.1
_AUDIO_TOKENS_PER_SECOND = 10
_SEEK_FRAMES_PER_SECOND = 100
_LONGEST_UNCHUNKED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """A form as it came: fields by name (`languages[]` may come several times) and the file."""

    fields: dict[str, list[str]]
    file_name: str | None
    audio: bytes

    def field(self, name: str, default: str) -> str:
        return self.fields.get(name, [default])[-1]

    @property
    def audio_sha256(self) -> str:
        return sha256(self.audio).hexdigest()

    def content_hash(self) -> bytes:
        """The same for the same form, whatever its boundary and order."""
        content = blake2b(self.audio, digest_size=16)
        content.update(repr((self.file_name, sorted(self.fields.items()))).encode())
        return content.digest()


async def read_form(reader: MultipartReader) -> TranscriptionForm:
    """Raises ErrorAnswer for a file that is too large."""
    fields: dict[str, list[str]] = {}
    file_name, audio = None, b""
    async for part in reader:
        if not isinstance(part, BodyPartReader):
            raise bad_request("Nested multipart bodies are not supported.")
        if part.name == "file":
            file_name, audio = part.filename or "", await _read(part, MAX_FILE_BYTES)
        else:
            text = (await _read(part, _MAX_FIELD_BYTES)).decode("utf-8", "replace")
            fields.setdefault(part.name or "", []).append(text)
    return TranscriptionForm(fields, file_name, audio)


async def _read(part: BodyPartReader, most_bytes: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(256 * 1024):
        content += chunk
        if len(content) > most_bytes:
            raise ErrorAnswer(
                413,
                f"413: Maximum content size limit ({most_bytes}) exceeded ({len(content)} bytes read)",
                "server_error",
            )
    return bytes(content)


def check_form(form: TranscriptionForm, model: EmulatedModel) -> None:
    """Raises ErrorAnswer in OpenAI's words for what it would refuse before listening."""
    if model.kind != "transcription":
        raise bad_request(f"Model {model.name} is not supported for transcription.", "model")
    if form.file_name is None:
        raise missing("file")
    if PurePosixPath(form.file_name).suffix.lstrip(".").lower() not in EXTENSIONS:
        raise bad_request(f"Invalid file format. Supported formats: {list(EXTENSIONS)}", "file")
    wanted = form.field("response_format", "json")
    if wanted not in model.formats:
        raise bad_request(
            f"response_format '{wanted}' is not compatible with model '{model.name}'. Use one of "
            f"{list(model.formats)} instead.",
            "response_format",
            "unsupported_value",
        )
    if model.diarizes and "prompt" in form.fields:
        raise bad_request("Prompt is not supported for diarization models.", "prompt")
    if form.field("stream", "false").lower() == "true":
        raise bad_request("Unsupported parameter: the emulator does not know 'stream'.", "stream")


def undecodable() -> ErrorAnswer:
    return bad_request("The audio file could not be decoded or its format is not supported.", "file")


def check_speech(form: TranscriptionForm, speech: Speech, model: EmulatedModel) -> None:
    """Raises ErrorAnswer for audio that is too short or too long for the model, or for this form."""
    if speech.duration_seconds < _LEAST_SECONDS:
        raise bad_request(
            f"Audio file is too short. Minimum audio length is {_LEAST_SECONDS} seconds.",
            "file",
            "audio_too_short",
        )
    if model.max_audio_seconds is not None and speech.duration_seconds > model.max_audio_seconds:
        raise bad_request(
            f"audio duration {speech.duration_seconds} seconds is longer than {model.max_audio_seconds:g} "
            "seconds which is the maximum for this model",
            "file",
            "invalid_value",
        )
    unchunked = "chunking_strategy" not in form.fields
    if model.diarizes and unchunked and speech.duration_seconds > _LONGEST_UNCHUNKED_SECONDS:
        raise bad_request(
            "chunking_strategy is required for diarization models with audio longer than "
            f"{_LONGEST_UNCHUNKED_SECONDS:g} seconds",
            "chunking_strategy",
            "missing_required_parameter",
        )


def transcription_usage(speech: Speech, model: EmulatedModel) -> Usage:
    """What is billed: seconds, rounded up, or tokens."""
    if model.billed_by == "duration":
        return Usage(audio_seconds=math.ceil(speech.duration_seconds))
    return Usage(
        input_tokens=math.ceil(speech.duration_seconds * _AUDIO_TOKENS_PER_SECOND),
        output_tokens=tokens_of(len(_text(speech, model))),
    )


def transcription_body(form: TranscriptionForm, speech: Speech, model: EmulatedModel) -> dict[str, Any]:
    """As OpenAI sends it for the format asked for."""
    usage = _usage_body(transcription_usage(speech, model), model)
    if form.field("response_format", "json") == "json":
        return {"text": _text(speech, model), "usage": usage}
    if form.field("response_format", "json") == "diarized_json":
        return {
            "task": "transcribe",
            "duration": round(speech.duration_seconds, 3),
            "text": _text(speech, model),
            "segments": list(_turns(speech, model)),
            "usage": usage,
        }
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": "english",
        "duration": round(speech.duration_seconds, 3),
        "text": speech.text,
    }
    granularities = form.fields.get("timestamp_granularities[]", ["segment"])
    if "word" in granularities:
        body["words"] = [_word(word) for stretch in speech.stretches for word in stretch.words]
    if "segment" in granularities:
        body["segments"] = [_segment(index, stretch) for index, stretch in enumerate(speech.stretches)]
    return body | {"usage": usage}


def _text(speech: Speech, model: EmulatedModel) -> str:
    """A text that just ends, with status 200, is what OpenAI gives past the output limit."""
    most = None if model.max_output_tokens is None else model.max_output_tokens * CHARACTERS_PER_TOKEN
    return speech.text[:most]


def _turns(speech: Speech, model: EmulatedModel) -> Iterator[dict[str, Any]]:
    """The stretches with their speakers, up to where the text is cut."""
    left = len(_text(speech, model))
    labels = speaker_labels([stretch.pitch_hz for stretch in speech.stretches])
    for index, (stretch, label) in enumerate(zip(speech.stretches, labels, strict=True)):
        if left <= 0:
            return
        yield {
            "type": "transcript.text.segment",
            "id": f"seg_{index}",
            "start": stretch.start_seconds,
            "end": stretch.end_seconds,
            "text": f" {stretch.text[:left]}",
            "speaker": label,
        }
        left -= len(stretch.text) + 1


def _usage_body(usage: Usage, model: EmulatedModel) -> dict[str, Any]:
    if model.billed_by == "duration":
        return {"type": "duration", "seconds": int(usage.audio_seconds)}
    return {
        "type": "tokens",
        "input_tokens": usage.input_tokens,
        "input_token_details": {"text_tokens": 0, "audio_tokens": usage.input_tokens},
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.text, "start": word.start_seconds, "end": word.end_seconds}


def _segment(index: int, stretch: Stretch) -> dict[str, Any]:
    """The recogniser has no figures of its own for the last three; these are neutral ones."""
    return {
        "id": index,
        "seek": int(stretch.start_seconds * _SEEK_FRAMES_PER_SECOND),
        "start": stretch.start_seconds,
        "end": stretch.end_seconds,
        "text": f" {stretch.text}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
