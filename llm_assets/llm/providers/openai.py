"""OpenAI and every server that speaks its language: Azure, vLLM, Ollama, speaches, the emulator.

`base_url` is the address up to and including `/v1`; what follows its question mark (Azure's `api-version`)
stays behind the path of each call. Errors never show the key, also where the server repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from llm_assets.llm.http import HttpRequest, HttpResponse
from llm_assets.llm.models import ModelConfig
from llm_assets.llm.providers.address import address
from llm_assets.llm.providers.audio_transcriptions import form_fields, form_file, transcription_answer
from llm_assets.llm.providers.base import LimitReport
from llm_assets.llm.providers.chat_completions import CHARACTERS_PER_TOKEN, ChatCompletions
from llm_assets.llm.providers.credentials import key_text
from llm_assets.llm.providers.failures import Failures
from llm_assets.llm.providers.headers import openai_limits
from llm_assets.llm.providers.parameters import output_limit
from llm_assets.llm.providers.wire import decode_object
from llm_assets.llm.requests import Answer, ChatRequest, Request
from llm_assets.usage import Usage

OPENAI_BASE_URL = "https://api.openai.com/v1"

_USER_AGENT = "llm-assets"
_AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
# Servers without keys of their own still want to see one.
_NO_KEY = "unused"


class OpenAIProvider:
    """Chat completions and audio transcriptions at one base URL with one key."""

    name = "openai"
    counts_output = False

    def __init__(self, api_key: SecretStr | None, base_url: str = OPENAI_BASE_URL) -> None:
        setting = "OPENAI_API_KEY (or this entry's api_key)"
        key = key_text(api_key, setting)
        self._failures = Failures(self.name, key, setting)
        self._headers = _credentials(base_url, key or _NO_KEY) | {"User-Agent": _USER_AGENT}
        self._json_headers = self._headers | {"Content-Type": "application/json"}
        self._chat_url = address(base_url, "chat/completions")
        self._transcription_url = address(base_url, "audio/transcriptions")
        self._chat = ChatCompletions()

    def build(self, request: Request, model: ModelConfig) -> HttpRequest:
        """The HTTP request that asks `model`. Raises ConfigurationError for parameters it must not set."""
        if isinstance(request, ChatRequest):
            return HttpRequest(self._chat_url, self._json_headers, body=self._chat.body(request, model))
        return HttpRequest(
            self._transcription_url,
            self._headers,
            fields=form_fields(request, model),
            files=(form_file(request),),
        )

    def parse(self, request: Request, model: ModelConfig, response: HttpResponse) -> Answer:
        """The answer in a response. Raises the tree under CallFailed when there is none."""
        if not 200 <= response.status < 300:
            raise self._failures.of(response)
        data = decode_object(response.body)
        if data is None:
            raise self._failures.no_answer(response, "no JSON object")
        answer = self._answer(data, request, model)
        if answer is None:
            raise self._failures.no_answer(response, "the fields of an answer are missing")
        return answer

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The provider's name for a request, for its support, without anything secret in it."""
        return self._failures.request_id(headers)

    def limit_report(self, headers: Mapping[str, str]) -> LimitReport | None:
        """What the `x-ratelimit-…` headers say, None when there are none."""
        return openai_limits(headers)

    def charged_tokens(self, request: ChatRequest, model: ModelConfig, expected_output_tokens: int) -> int:
        """The larger of the output limit and the characters' estimate, which is what OpenAI charges.

        What is expected back plays no part: without an output limit OpenAI charges the characters alone.
        """
        estimate = -(-self._chat.characters(request) // CHARACTERS_PER_TOKEN)
        return max(output_limit(request, model) or 0, estimate)

    def settled_tokens(self, usage: Usage) -> None:
        """OpenAI gives nothing back: a request that answers less than it might have costs the same."""

    def _answer(self, data: dict[str, Any], request: Request, model: ModelConfig) -> Answer | None:
        if isinstance(request, ChatRequest):
            return self._chat.answer(data, request, model)
        return transcription_answer(data, request, model)


def _credentials(base_url: str, key: str) -> dict[str, str]:
    host = urlsplit(base_url).hostname or ""
    return {"api-key": key} if host.endswith(_AZURE_HOSTS) else {"Authorization": f"Bearer {key}"}
