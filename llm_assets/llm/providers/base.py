"""What the client asks of every provider; a provider turns neutral values into wire formats and back.

A provider neither waits nor retries nor sends: it builds a request, reads an answer and says what went
wrong in the terms of `errors.py`. All of it is synchronous and free of I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from llm_assets.llm.http import HttpRequest, HttpResponse
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import Answer, ChatRequest, Request
from llm_assets.usage import Usage


class DimensionReport(NamedTuple):
    """What a server told about one dimension of a limit. What it did not tell is None.

    `reset_seconds` is how long until the whole limit is available again, so the window of the limit shows
    in (limit - remaining) / reset_seconds.
    """

    limit: float | None
    remaining: float | None
    reset_seconds: float | None


class LimitReport(NamedTuple):
    """What a server told about its limits, true at some moment between sending and answering."""

    requests: DimensionReport | None
    tokens: DimensionReport | None


class Provider(Protocol):
    """One provider's wire format, with the credentials it needs."""

    @property
    def name(self) -> str:
        """The name that stands in outcomes and the journal."""
        ...

    @property
    def counts_output(self) -> bool:
        """Whether the provider's limiter counts what is generated rather than what may be."""
        ...

    def build(self, request: Request, model: ModelConfig) -> HttpRequest:
        """The HTTP request that asks `model`. Raises ConfigurationError when the provider cannot do it."""
        ...

    def parse(self, request: Request, model: ModelConfig, response: HttpResponse) -> Answer:
        """The answer in a response. Raises the tree under CallFailed when there is none."""
        ...

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The provider's name for a request, for its support, without anything secret in it."""
        ...

    def limit_report(self, headers: Mapping[str, str]) -> LimitReport | None:
        """What the headers of any response say about the limits, None when they say nothing."""
        ...

    def charged_tokens(self, request: ChatRequest, model: ModelConfig, expected_output_tokens: int) -> int:
        """What the provider's limiter takes from its token bucket when it admits the request."""
        ...

    def settled_tokens(self, usage: Usage) -> int | None:
        """What the provider's limiter has taken in the end; None where the charge at admission stands."""
        ...
