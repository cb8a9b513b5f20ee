"""What the emulator is asked to be: frozen values, validated when built.

Limits are what a key may use; a limit of None is no limit and sends no header for its kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

LatencyKind = Literal["constant", "exponential", "log-normal"]
FAULT_KINDS = (
    "server_error",
    "overloaded",
    "slow_down",
    "reset",
    "truncated",
    "invalid_json",
    "html",
    "unauthorized",
    "refusal",
    "content_filter",
    "invalid_output",
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuotaLimits(_Frozen):
    """What one pool of models may use. None means unlimited."""

    requests_per_minute: int | None = Field(default=None, gt=0)
    requests_per_day: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_day: int | None = Field(default=None, gt=0)


class Latency(_Frozen):
    """How long an answer takes at least. `sigma` is the spread of the log-normal's logarithm."""

    kind: LatencyKind = "constant"
    mean_seconds: float = Field(default=0.0, ge=0)
    sigma: float = Field(default=0.5, ge=0, le=3)


class Faults(_Frozen):
    """The share of admitted requests that go wrong, by kind. Together at most 1.

    The first eight are failures of the service. `refusal`, `content_filter` and `invalid_output` are
    whole chat answers that are of no use; a transcription that draws one of them is answered as usual.
    """

    server_error: float = Field(default=0.0, ge=0, le=1, description="500")
    overloaded: float = Field(default=0.0, ge=0, le=1, description="503 server_is_overloaded")
    slow_down: float = Field(default=0.0, ge=0, le=1, description="429 slow_down")
    reset: float = Field(default=0.0, ge=0, le=1, description="the connection is reset without an answer")
    truncated: float = Field(default=0.0, ge=0, le=1, description="the connection closes half way")
    invalid_json: float = Field(default=0.0, ge=0, le=1, description="200 with a body that is not JSON")
    html: float = Field(default=0.0, ge=0, le=1, description="502 with a proxy's HTML page")
    unauthorized: float = Field(default=0.0, ge=0, le=1, description="401")
    refusal: float = Field(default=0.0, ge=0, le=1, description="the model refuses")
    content_filter: float = Field(default=0.0, ge=0, le=1, description="the answer is cut by a filter")
    invalid_output: float = Field(default=0.0, ge=0, le=1, description="JSON that breaks the schema")

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Self:
        if sum(share for _, share in self.shares()) > 1 + 1e-9:
            raise ValueError("the shares of all faults together are more than 1")
        return self

    def shares(self) -> tuple[tuple[str, float], ...]:
        """Kind and share of every fault that can happen, in the order they are drawn."""
        return tuple((kind, share) for kind in FAULT_KINDS if (share := float(getattr(self, kind))) > 0)


def _default_workers() -> int:
    return max(1, min(4, os.cpu_count() or 1))


class EmulatorConfig(_Frozen):
    """Everything about one emulator.

    - `port` 0 takes a free one. `api_key` None accepts every key, but not none at all.
    - `limits` hold for each pool that `limits_by_pool` does not name. A model's pool is its own name
      unless `pools` puts it with others. Dated snapshots share the pool of their alias.
    - `initial_level`: how full the buckets are at the start, as a share.
    - `quota_window_seconds`: the size of the per-minute buckets. 60 lets a minute's worth go at once; 1
      enforces 60 requests a minute as 1 a second.
    - `charge_refused`: what a request refused with 429 costs: one request (as OpenAI does), its requests
      and tokens (`all`), or nothing. A level never falls below zero.
    - `charged_tokens`: at admission a request costs the `larger` of its output limit and the estimate from
      its characters, as OpenAI documents it, or the `sum` of both.
    - `headers`: whether the `x-ratelimit-…` headers tell the state at admission, at the answer, or are
      left out. `retry_after` False leaves out `retry-after` and `retry-after-ms`.
    - `neighbour_share`: the share of every refill that somebody else on the same key takes.
    - `insufficient_quota_after`: the account's credit is gone after this many admitted requests.
    - `chat_answer`: `extractive` reads the transcript; `fixed` answers `fixed_answer` and reports
      `fixed_completion_tokens`, so that a load test measures the client.
    - `cached_prompt_share`: the share of prompt tokens reported as cached, in steps of 128.
    - `models`: names of further chat models to serve.
    - `context_tokens`: the context of single models, for prompt and answer together.
    - `fixed_transcript`: what is said in every recording, for load tests: nothing is decoded or recognised.
    - `transcription_output_tokens`: where token-billed transcription cuts its text, instead of at 2,000.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    seed: int = 0
    api_key: str | None = None
    models: tuple[str, ...] = ()
    context_tokens: Mapping[str, PositiveInt] = Field(default_factory=dict)
    limits: QuotaLimits = QuotaLimits()
    limits_by_pool: Mapping[str, QuotaLimits] = Field(default_factory=dict)
    pools: Mapping[str, str] = Field(default_factory=dict)
    initial_level: float = Field(default=1.0, ge=0, le=1)
    quota_window_seconds: float = Field(default=60.0, gt=0, le=60)
    charge_refused: Literal["requests", "all", "nothing"] = "requests"
    charged_tokens: Literal["larger", "sum"] = "larger"
    headers: Literal["admission", "answer", "none"] = "admission"
    retry_after: bool = True
    neighbour_share: float = Field(default=0.0, ge=0, lt=1)
    latency: Latency = Latency()
    faults: Faults = Faults()
    faults_by_model: Mapping[str, Faults] = Field(default_factory=dict)
    insufficient_quota_after: int | None = Field(default=None, ge=0)
    chat_answer: Literal["extractive", "fixed"] = "extractive"
    fixed_answer: str = '{"answer": "fixed"}'
    fixed_completion_tokens: int = Field(default=8, ge=0)
    cached_prompt_share: float = Field(default=0.0, ge=0, le=1)
    fixed_transcript: str | None = None
    transcription_output_tokens: int | None = Field(default=None, gt=0)
    recognizer_workers: int = Field(default_factory=_default_workers, ge=1)

    def fault_shares(self, model: str) -> tuple[tuple[str, float], ...]:
        """Kind and share of the faults that requests to a model meet."""
        return self.faults_by_model.get(model, self.faults).shares()
