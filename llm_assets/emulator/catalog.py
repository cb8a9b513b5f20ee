"""The models the emulator serves, as data. Facts as of November 2026; they change, so logic only reads them.

`answers_as` is the snapshot a response names where an alias was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

_SNAPSHOT = re.compile(r"-20\d\d-\d\d-\d\d$")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedModel:
    """What the emulator knows of one model.

    `reasoning` models refuse `max_tokens`, and `temperature` unless their effort is `none`.
    Prompt and output limit share `context_tokens`; where `answers_beside` they are for the prompt alone.
    Token-billed transcription cuts its text at `max_output_tokens` and refuses more than
    `max_audio_seconds`; per-minute models bill the duration. `diarizes`: it tells speakers apart, takes no
    prompt, and wants a chunking strategy for all but short audio.
    """

    name: str
    kind: Literal["chat", "transcription"]
    answers_as: str | None = None
    shutdown_date: str | None = None
    reasoning: bool = False
    context_tokens: int = 128_000
    answers_beside: bool = False
    formats: tuple[str, ...] = ("json",)
    billed_by: Literal["duration", "tokens"] = "duration"
    max_output_tokens: int | None = None
    max_audio_seconds: float | None = None
    diarizes: bool = False


def _token_billed(name: str) -> EmulatedModel:
    return EmulatedModel(
        name=name,
        kind="transcription",
        shutdown_date="2027-02-26",
        billed_by="tokens",
        max_output_tokens=2000,
        max_audio_seconds=1500.0,
    )


_CATALOG = (
    EmulatedModel(name="gpt-transcribe", kind="transcription"),
    EmulatedModel(
        name="whisper-1",
        kind="transcription",
        shutdown_date="2027-02-26",
        formats=("json", "verbose_json"),
    ),
    _token_billed("gpt-4o-transcribe"),
    _token_billed("gpt-4o-mini-transcribe"),
    replace(_token_billed("gpt-4o-transcribe-diarize"), formats=("json", "diarized_json"), diarizes=True),
    EmulatedModel(
        name="gpt-6.1-sol", kind="chat", reasoning=True, context_tokens=922_000, answers_beside=True
    ),
    EmulatedModel(
        name="gpt-6-luna", kind="chat", reasoning=True, context_tokens=922_000, answers_beside=True
    ),
    EmulatedModel(
        name="gpt-4o", kind="chat", answers_as="gpt-4o-2024-08-06", shutdown_date="2027-01-14"
    ),
    EmulatedModel(
        name="gpt-4o-mini", kind="chat", answers_as="gpt-4o-mini-2024-07-18", shutdown_date="2027-01-14"
    ),
)  # fmt: skip


def catalog(
    further_chat_models: Iterable[str] = (),
    transcription_output_tokens: int | None = None,
    context_tokens: Mapping[str, int] | None = None,
) -> Mapping[str, EmulatedModel]:
    """All models by name. Further ones are taken for reasoning models by OpenAI's naming.

    `transcription_output_tokens` stands in for the output limit of token-billed transcription,
    `context_tokens` for the context of single models.
    """
    models = {model.name: model for model in _CATALOG}
    for name, model in models.items():
        if transcription_output_tokens and model.billed_by == "tokens":
            models[name] = replace(model, max_output_tokens=transcription_output_tokens)
    for name in further_chat_models:
        reasoning = re.match(r"(gpt-[5-9]|o\d)", name) is not None
        models.setdefault(name, EmulatedModel(name=name, kind="chat", reasoning=reasoning))
    for name, tokens in (context_tokens or {}).items():
        if name not in models:
            raise ValueError(f"context_tokens names {name}, which is not served; add it to `models`")
        models[name] = replace(models[name], context_tokens=tokens, answers_beside=False)
    return models


def find_model(models: Mapping[str, EmulatedModel], name: str) -> EmulatedModel | None:
    """The model of this name; a dated snapshot is its alias answering under its own name."""
    if name in models:
        return models[name]
    alias = models.get(_SNAPSHOT.sub("", name))
    return replace(alias, answers_as=name) if alias else None
