"""The one resource: model chains, limits, budget and retries, as Dagster configuration.

Keys are `EnvVar`s: a value written out would be stored in Dagster's snapshot of the project and shown in
the UI. A variable that is not set counts as not given, so the project loads without any key; what is
missing is said once, when a run begins.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from pydantic import Field, ValidationError

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import ClientConfig
from llm_assets.orchestration.settings import DEFAULT_CHAT_CHAIN, DEFAULT_TRANSCRIPTION_CHAIN

if TYPE_CHECKING:
    from llm_assets.llm.client import LLMClient

logger = logging.getLogger(__name__)

# A run that is terminated has to end within seconds. Answers take longer, so some are given up.
DRAIN_SECONDS = 1.0
_SECRETS = ("api_key", "anthropic_api_key")


class OpenAIResource(dg.ConfigurableResource["OpenAIResource"]):
    """Calls models of OpenAI, Anthropic or any OpenAI-compatible server, within limits and budget."""

    api_key: str | None = Field(
        default=None,
        repr=False,
        description="OpenAI's API key, as EnvVar. Not needed with a base URL of yours.",
    )
    base_url: str | None = Field(
        default=None, description="Of any OpenAI-compatible server, with its /v1. Default: OpenAI itself."
    )
    anthropic_api_key: str | None = Field(
        default=None, repr=False, description="For chain entries with provider anthropic, as EnvVar."
    )
    transcription: list[Any] = Field(
        default=list(DEFAULT_TRANSCRIPTION_CHAIN),
        description="Transcription models, tried in this order: names, or mappings of a full configuration.",
    )
    chat: list[Any] = Field(
        default=list(DEFAULT_CHAT_CHAIN),
        description="Chat models, tried in this order; 'cached' as the last is the last answer kept.",
    )
    limits: dict[str, Any] = Field(
        default={},
        description="By model: requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day. "
        "What is not here is learned from the provider's answers.",
    )
    budget: dict[str, Any] = Field(
        default={},
        description="usd_per_run, usd_per_day, tokens_per_run, tokens_per_day, warn_at, when_exceeded "
        "('downgrade' or 'stop'), allow_unknown_prices.",
    )
    retry: dict[str, Any] = Field(
        default={}, description="max_attempts, time-outs and waits in seconds; see RetryConfig."
    )
    max_concurrency: int = Field(default=256, ge=1, description="The most calls in flight at one time.")
    headroom: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of every limit that is left to other programs, from 0 to 1.",
    )
    state: str | None = Field(
        default=None,
        description="SQLite file or database URL of journal, budget and limits. None: in memory.",
    )
    quota: str | None = Field(
        default=None, description="Redis URL for limits and budget of several machines. None: in the state."
    )
    state_patience_seconds: float = Field(
        default=30.0, ge=0, description="How long a state or quota that is out of reach is tried again."
    )
    timezone: str = Field(default="UTC", description="Where a day of the budget begins.")

    def __init__(self, **fields: Any) -> None:
        super().__init__(
            **{name: value for name, value in fields.items() if not _names_unset_variable(value)}
        )
        # A chain or a budget that cannot work is said when the project loads, not when a run pays.
        self._config(_unresolved)

    def get_resource_definition(self) -> Any:
        for name in _SECRETS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, dg.EnvVar):
                warnings.warn(
                    f'{name} is written out, so Dagster stores and shows it; use dg.EnvVar("…").',
                    stacklevel=2,
                )
        return super().get_resource_definition()

    def client(
        self,
        run_id: str,
        priority: int = 0,
        warn: Callable[[str], None] = logger.warning,
        chat: Sequence[Any] | None = None,
    ) -> LLMClient:
        """A client for one run, to be entered (`async with`) in the loop that uses it.

        `chat` is another chain in the place of the resource's. Entering raises one ConfigurationError, before
        any work, when a model of a chain has no key and no server of its own.
        """
        from llm_assets.llm.client import LLMClient

        return LLMClient(
            self.client_config(chat),
            run_id=run_id,
            priority=priority,
            drain_seconds=DRAIN_SECONDS,
            warn=warn,
        )

    def client_config(self, chat: Sequence[Any] | None = None) -> ClientConfig:
        """The configuration as the core takes it, with another `chat` chain if one is given.

        Raises ConfigurationError.
        """
        return self._config(_from_environment, chat)

    def _config(
        self, look_up: Callable[[str], str | None], chat: Sequence[Any] | None = None
    ) -> ClientConfig:
        fields = {name: getattr(self, name) for name in ClientConfig.model_fields if hasattr(self, name)}
        if chat is not None:
            fields["chat"] = list(chat)
        resolved = {name: _resolved(value, look_up) for name, value in fields.items()}
        try:
            return ClientConfig.model_validate({k: v for k, v in resolved.items() if v is not None})
        except ValidationError as error:
            raise ConfigurationError(f"{type(self).__name__}: {_problems(error)}") from None


def _names_unset_variable(value: object) -> bool:
    return isinstance(value, dg.EnvVar) and not value.get_value()


def _resolved(value: Any, look_up: Callable[[str], str | None]) -> Any:
    """A copy in which every reference to a variable, however deep, is what `look_up` says.

    Dagster resolves references in plain fields; inside a chain entry they arrive as `{"env": name}`.
    """
    if isinstance(value, dg.EnvVar):
        return look_up(value.env_var_name)
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if set(mapping) == {"env"}:
            return look_up(mapping["env"])
        return {key: _resolved(entry, look_up) for key, entry in mapping.items()}
    if isinstance(value, list):
        return [_resolved(entry, look_up) for entry in cast("list[Any]", value)]
    return value


def _unresolved(name: str) -> None:
    """While the project loads, a variable's value is of no interest."""


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(
            f"{name} is not set, and the model chains refer to it. Set it, or remove the entry."
        )
    return value


def _problems(error: ValidationError) -> str:
    """What is wrong and where, without the values: one of them may be a key."""
    found = error.errors(include_input=False, include_context=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
