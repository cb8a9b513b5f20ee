"""What is asked of a model and what comes back, in no provider's words.

A request is one logical call: its outcome may have taken several attempts and several models.
"""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Literal, NamedTuple

from llm_assets.errors import LLMAssetsError
from llm_assets.usage import Usage

Endpoint = Literal["chat", "transcription"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The JSON schema an answer must satisfy. `name` matches `[a-zA-Z0-9_-]{1,64}`.

    It keeps a copy: what becomes of the caller's own dict later does not change what was asked.
    """

    name: str
    schema: dict[str, Any]
    description: str | None = None

    def __post_init__(self) -> None:
        with suppress(Exception):  # what is no JSON is said of the request, when it is asked
            object.__setattr__(self, "schema", deepcopy(self.schema))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """Ask a chat model for text, or for JSON that satisfies `output_schema`.

    `key` is the caller's own name for the request and comes back on the outcome. `subject` says what
    the answer is about (for insights: recording and extractor); the chain's last resort `cached`
    looks up the last answer kept for the same subject.

    A model can answer and be of no use. With `after_model`, its name, only the models further down the
    chain are asked, without `cached`; `after_reason` says in a word why, as the `fallback_reason`.
    """

    messages: tuple[Message, ...]
    key: str = ""
    subject: str | None = None
    output_schema: OutputSchema | None = None
    max_output_tokens: int | None = None
    after_model: str | None = None
    after_reason: str | None = None

    endpoint: ClassVar[Endpoint] = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """Ask a transcription model for the text of one encoded piece of audio.

    `file_name` carries the extension that tells the format. `sha256` is the hexadecimal hash of `audio`.
    """

    audio: bytes = field(repr=False)
    file_name: str
    sha256: str
    duration_seconds: float
    key: str = ""
    subject: str | None = None
    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()

    endpoint: ClassVar[Endpoint] = "transcription"


Request = ChatRequest | TranscriptionRequest


@dataclass(frozen=True, slots=True)
class AnswerSegment:
    """A stretch of speech as the provider timed it, relative to the audio that was sent."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None


class Answer(NamedTuple):
    """What a provider answered, with the usage it bills. Kept as is in the journal.

    `model` is the name the provider gave, usually a dated snapshot of the alias that was asked.
    `finish_reason` is `stop`, `length` or `content_filter` in every provider's case.
    """

    text: str
    usage: Usage
    model: str
    finish_reason: Literal["stop", "length", "content_filter"] = "stop"
    refusal: str | None = None
    language: str | None = None
    duration_seconds: float | None = None
    segments: tuple[AnswerSegment, ...] = ()
    service_tier: str | None = None


class OutcomeStatus(StrEnum):
    """`answered` says that an answer came, not that its content is of use.

    Whoever reads the answer can say that it is not: it declines (`refused`), or it is not what was asked for
    (`invalid_output`). It is paid for all the same.
    """

    ANSWERED = "answered"
    REFUSED = "refused"
    INVALID_OUTPUT = "invalid_output"
    FAILED = "failed"


class Outcome(NamedTuple):
    """What became of one request, whichever model answered it and however many attempts it took.

    `cost_usd` is what the answer cost when it was paid for, also when it came from the journal;
    None when the price is unknown. `spent_usd` is what this call added to the bill.
    `fallback_reason` is None when the first model of the chain answered.
    `error` says why there is no answer; exactly one of `answer` and `error` is set.
    `judged` is what its reader made of the answer, None where nobody has read it or it is of use; `problem`
    says what was wrong with it.
    """

    key: str
    endpoint: Endpoint
    started_at: datetime
    finished_at: datetime
    answer: Answer | None = None
    error: LLMAssetsError | None = None
    provider: str | None = None
    model: str | None = None
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    from_journal: bool = False
    fallback_reason: str | None = None
    attempts: int = 0
    rate_limited: int = 0
    wait_seconds: float = 0.0
    latency_seconds: float = 0.0
    http_status: int | None = None
    request_id: str | None = None
    judged: Literal[OutcomeStatus.REFUSED, OutcomeStatus.INVALID_OUTPUT] | None = None
    problem: str | None = None

    @property
    def status(self) -> OutcomeStatus:
        if self.answer is None:
            return OutcomeStatus.FAILED
        return self.judged or OutcomeStatus.ANSWERED

    @property
    def spent_usd(self) -> Decimal:
        return Decimal(0) if self.from_journal or self.cost_usd is None else self.cost_usd
