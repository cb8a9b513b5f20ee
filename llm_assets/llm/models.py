"""What is configured about models, limits, budget and retries: frozen values, validated when built.

What a model is known for (context window, parameters it takes, prices nobody else lists) is data in
`models.toml`, never a constant in logic: those facts change, and every one of them can be overridden.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

CACHED = "cached"


class _Frozen(BaseModel):
    # A value that does not fit may be a key: no error shows it.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True)


class Limits(_Frozen):
    """What a provider allows. None means: not configured, learn it from the first answer's headers."""

    requests_per_minute: int | None = Field(default=None, gt=0)
    requests_per_day: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_day: int | None = Field(default=None, gt=0)


class Price(_Frozen):
    """US dollars. Overrides the price list for one model."""

    input_usd_per_million_tokens: Decimal | None = Field(default=None, ge=0)
    cached_input_usd_per_million_tokens: Decimal | None = Field(default=None, ge=0)
    output_usd_per_million_tokens: Decimal | None = Field(default=None, ge=0)
    usd_per_audio_minute: Decimal | None = Field(default=None, ge=0)


class ModelConfig(_Frozen):
    """One entry of a model chain.

    `pool` names the quota the model draws on; models that share one at the provider share the name.
    `structured_output`: `json_schema` where the server holds answers to a schema, `json_object` where it only
    knows JSON (Anthropic: a tool that must be called), `none` where it knows neither; the schema is in the
    prompt then. `parameters` go into the request body as they are (`reasoning_effort`, `temperature`, …).
    """

    model: str = Field(min_length=1)
    provider: Literal["openai", "anthropic"] = "openai"
    base_url: str | None = None
    api_key: SecretStr | None = None
    pool: str | None = None
    context_window: int | None = Field(default=None, gt=0)
    max_output_tokens: int | None = Field(default=None, gt=0)
    output_limit_parameter: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    transcription_format: Literal["json", "verbose_json", "diarized_json"] = "json"
    max_audio_seconds: float | None = Field(default=None, gt=0)
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    limits: Limits | None = None
    price: Price | None = None

    @field_validator("base_url")
    @classmethod
    def _no_trailing_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @classmethod
    def of(cls, entry: str | ModelConfig | Mapping[str, Any]) -> ModelConfig:
        """A full configuration from a name or from the fields that differ from what is known of it."""
        if isinstance(entry, ModelConfig):
            return entry
        given: dict[str, Any] = {"model": entry} if isinstance(entry, str) else dict(entry)
        name = str(given.get("model", ""))
        made_by = {"provider": "anthropic"} if name.startswith("claude-") else {}
        return cls.model_validate(made_by | known_model(name) | given)


class BudgetConfig(_Frozen):
    """What may be spent. A budget counts what was settled plus what is reserved, in all processes.

    `when_exceeded`: `downgrade` tries the cheaper models further down the chain, then `cached`, then
    stops; `stop` stops at once.
    """

    usd_per_run: Decimal | None = Field(default=None, ge=0)
    usd_per_day: Decimal | None = Field(default=None, ge=0)
    tokens_per_run: int | None = Field(default=None, ge=0)
    tokens_per_day: int | None = Field(default=None, ge=0)
    warn_at: float = Field(default=0.8, gt=0, le=1)
    when_exceeded: Literal["downgrade", "stop"] = "downgrade"
    allow_unknown_prices: bool = False


class RetryConfig(_Frozen):
    """How often and how long a call is tried again. Waits double, with full jitter.

    `max_attempts` is per model, and once more after an outage that the call has waited out.
    """

    max_attempts: int = Field(default=6, ge=1)
    first_wait_seconds: float = Field(default=0.5, gt=0)
    max_wait_seconds: float = Field(default=60.0, gt=0)
    max_retry_after_seconds: float = Field(default=300.0, ge=0)
    connect_timeout_seconds: float = Field(default=10.0, gt=0)
    read_timeout_seconds: float = Field(default=300.0, gt=0)
    deadline_seconds: float = Field(default=1800.0, gt=0)
    cool_down_seconds: float = Field(default=60.0, ge=0)


class ClientConfig(_Frozen):
    """Everything an `LLMClient` needs. The core reads no environment: whoever builds this may.

    `chat` and `transcription` are the model chains, tried in this order; the chat chain may end in
    `cached`. `api_key` and `base_url` are for entries of provider `openai` that name none of their own.
    `state` is a SQLite file or a database URL (journal, budget, limits); None keeps all in memory.
    `quota` moves limits and budget to Redis (`redis://…`). `limits` are per pool (a model's own name
    unless it says otherwise). `headroom` is the share of every limit that is left to others.
    `state_patience_seconds` is how long a state or quota that is locked or out of reach is tried again.
    """

    chat: tuple[ModelConfig | Literal["cached"], ...] = ()
    transcription: tuple[ModelConfig, ...] = ()
    api_key: SecretStr | None = None
    base_url: str | None = None
    anthropic_api_key: SecretStr | None = None
    limits: Mapping[str, Limits] = Field(default_factory=dict)
    budget: BudgetConfig = BudgetConfig()
    retry: RetryConfig = RetryConfig()
    state: str | None = Field(default=None, min_length=1, repr=False)
    quota: str | None = Field(default=None, repr=False)
    state_patience_seconds: float = Field(default=30.0, ge=0)
    max_concurrency: int = Field(default=256, ge=1)
    headroom: float = Field(default=0.0, ge=0, lt=1)
    timezone: str = "UTC"

    @field_validator("chat", "transcription", mode="before")
    @classmethod
    def _entries(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("a model chain is a list of models, in the order in which they are tried")
        entries = cast("Sequence[Any]", value)
        return tuple(entry if entry == CACHED else ModelConfig.of(entry) for entry in entries)

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"{value!r} is no time zone; it looks like Europe/Berlin or UTC") from None
        return value

    @field_validator("chat")
    @classmethod
    def _cached_comes_last(
        cls, value: tuple[ModelConfig | Literal["cached"], ...]
    ) -> tuple[ModelConfig | Literal["cached"], ...]:
        if value == (CACHED,):
            raise ValueError("'cached' is the last resort of a chain; name at least one model before it")
        if CACHED in value[:-1]:
            raise ValueError("'cached' is the last resort and can only stand at the end of a chain")
        return value


@cache
def _known_models() -> dict[str, dict[str, Any]]:
    text = resources.files("llm_assets.llm").joinpath("models.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


def known_model(name: str) -> dict[str, Any]:
    """What is known of a model by its name or by the longest known name it starts with.

    Dated snapshots (`gpt-4o-2024-08-06`) are known by the name before the date.
    """
    known = _known_models()
    matches = [key for key in known if name == key or name.startswith(f"{key}-2")]
    if not matches:
        return {}
    return {key: value for key, value in known[max(matches, key=len)].items() if key != "shutdown_date"}
