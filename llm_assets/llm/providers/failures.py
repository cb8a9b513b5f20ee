"""What went wrong, told from a response: one reading for every provider, since none contradicts another.

The status alone misleads. 429 may mean wait, never, too large or no capacity; 400 may mean an empty
account. So the code and, where a provider gives none, the message decide. Servers repeat the key they
were sent, so every text that comes from them is scrubbed before it goes into an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from llm_assets.errors import (
    CallFailed,
    ContextTooLong,
    CredentialsRefused,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    RequestTooLarge,
    SchemaTooComplex,
    ServerFailed,
)
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.providers.headers import duration_seconds, retry_after_seconds
from llm_assets.llm.providers.wire import decode_object, text_in

_LONGEST_MESSAGE_CHARACTERS = 400
_LONGEST_NAME_CHARACTERS = 128
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id")

_NO_CREDIT = re.compile(
    r"^(insufficient_quota|credit_balance_exhausted|billing_error|\w+_(spend|usage)_limit_(exceeded|reached))$"
)
# Anthropic names no code for it. Only how a message begins counts: a 400 may quote what was asked.
_NO_CREDIT_MESSAGE = re.compile(
    r"^(your credit balance is too low|you have reached your specified .{0,20}usage limits)", re.I
)
_ANY_BAD_REQUEST = frozenset({"", "invalid_request_error"})
# A 403 that is about the key. Others are about a prompt, a model or a region.
_BAD_KEY = re.compile(
    r"^(invalid_(api_key|authentication|organization|issuer|project)|incorrect_api_key|authentication_error"
    r"|(permission|access)_(error|denied)|permissiondenied|accessdenied|unauthori[sz]ed|unauthenticated"
    r"|insufficient_permissions?|(account|organization|project|api_key)_(deactivated|disabled|suspended"
    r"|archived|expired|revoked)|ip_not_authorized|missing_scope)$",
    re.I,
)
_BAD_KEY_MESSAGE = re.compile(
    r"not authenticated|unauthenticated|unauthori[sz]ed|(api|access|subscription)[ _-]?key|credential"
    r"|missing scopes|insufficient permissions",
    re.I,
)
_UNNAMED = frozenset({"", "error", "forbidden", "invalid_request_error", "request_forbidden", "403"})
_NO_CAPACITY = frozenset({"slow_down", "server_is_overloaded", "overloaded_error", "overloaded"})
_NO_CAPACITY_MESSAGE = re.compile(r"resource[ _]unavailable|overloaded|at capacity|high demand", re.I)
_TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length", "model_context_window_exceeded"})
_TOO_LONG_MESSAGE = re.compile(
    r"maximum context length|prompt is too long|exceeds? (the )?(model'?s )?(maximum )?context|context limit",
    re.I,
)
# Anthropic compiles schemas, and says how large one may be by refusing it.
_TOO_COMPLEX_MESSAGE = re.compile(
    r"grammar is too large|too many parameters with union types|too many optional parameters"
    r"|schema is too complex",
    re.I,
)
_TOO_LARGE_MESSAGE = re.compile(r"^request too large for", re.I)
_WAIT_IN_MESSAGE = re.compile(r"(?:try again in|retry after) (\d[\d.]*\s?[a-z]*)", re.I)

_SECRETS = re.compile(
    r"\bBearer\s+\S+"
    r"|\b(?:sk|rk|pk|sess|gsk|xai|hf)[-_][\w*.-]{3,}"
    r"|[\w-]*\*{3,}[\w-]*"
)
# What every one of them holds; most texts hold nothing of it.
_TRACE_OF_A_SECRET = re.compile(r"[\s*]|(?:k|ss|ai|hf)[-_]")
_SHORTEST_SECRET = 16
# What a server could steer a terminal with, or write backwards.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_HTML_NOISE = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.I | re.S)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the server told about the failure."""

    message: str
    kind: str
    code: str


class Failures:
    """Reads failures of one provider; knows its key only to keep it out of every text."""

    def __init__(self, provider: str, secret: str | None, key_setting: str) -> None:
        self._provider = provider
        self._secret = secret or None
        self._where_it_stands = _where_it_stands(secret) if secret else None
        self._key_setting = key_setting

    def of(self, response: HttpResponse) -> CallFailed:
        """The failure that a status other than 2xx stands for."""
        status = response.status
        told = self._told(response)
        kind, message = self._judge(status, told, response)
        return kind(
            message,
            status,
            told.code or told.kind or None,
            self.request_id(response.headers),
            _wait_seconds(response.headers, told.message),
        )

    def no_answer(self, response: HttpResponse, what: str) -> CallFailed:
        """A status that says success with a body that is none, or a failure told with status 200."""
        data = decode_object(response.body)
        error = data.get("error") if data else None
        if error:
            code = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
            status = code if isinstance(code, int) and 400 <= code <= 599 else 500
            return self.of(HttpResponse(status, response.headers, response.body))
        kind = self.scrubbed(
            response.headers.get("content-type", "no content type"), _LONGEST_NAME_CHARACTERS
        )
        return ServerFailed(
            f"{self._provider} sent an answer that is no answer: {what} "
            f"({kind}, {len(response.body)} bytes): {self._snippet(response.body)}",
            response.status,
            None,
            self.request_id(response.headers),
        )

    def _judge(self, status: int, told: _Told, response: HttpResponse) -> tuple[type[CallFailed], str]:
        if 300 <= status < 400:
            return RequestRejected, self._redirected(response)
        if _has_no_credit(status, told):
            return QuotaExhausted, (
                f"the {self._provider} account has no credit or reached its spend limit, "
                f"and waiting does not help: {told.message}"
            )
        if status == 401 or (status == 403 and _is_about_the_key(told)):
            return CredentialsRefused, (
                f"{self._provider} refused the credentials: {_sentence(told.message)} "
                f"Set {self._key_setting} to a key that may use this model."
            )
        return _kind(status, told), f"{self._provider}: {told.message}"

    def _redirected(self, response: HttpResponse) -> str:
        target = urlsplit(response.headers.get("location", ""))
        where = f"{target.scheme}://{target.hostname}" if target.hostname else "another address"
        return (
            f"{self._provider} answered with a redirect to {where}, which is not followed "
            "because the request carries a key; set base_url to the address that answers"
        )

    def _told(self, response: HttpResponse) -> _Told:
        data = decode_object(response.body) or {}
        error = data.get("error", data)
        if isinstance(error, dict):
            facts = cast("dict[str, Any]", error)
            message = text_in(facts, "message") or _text(facts.get("detail"))
        else:
            facts, message = {}, _text(error)
        code = facts.get("code")
        return _Told(
            self.scrubbed(message) if message else self._without_message(response),
            self.scrubbed(text_in(facts, "type") or ""),
            self.scrubbed(code) if isinstance(code, str) else "",
        )

    def _without_message(self, response: HttpResponse) -> str:
        snippet = self._snippet(response.body)
        said = f"the server said: {snippet}" if snippet else "the server said nothing"
        hint = " Is base_url right? It usually ends in /v1." if response.status in (404, 405) else ""
        return f"HTTP {response.status} without an error message, {said}{hint}"

    def _snippet(self, body: bytes) -> str:
        text = body[: 8 * _LONGEST_MESSAGE_CHARACTERS].decode("utf-8", "replace")
        return self.scrubbed(" ".join(_HTML_NOISE.sub(" ", text).split()))

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The provider's name for the request, for its support; what a server sends is not trusted."""
        for name in _REQUEST_ID_HEADERS:
            if name in headers:
                return self.scrubbed(headers[name], most=_LONGEST_NAME_CHARACTERS)
        return None

    def scrubbed(self, text: str, most: int = _LONGEST_MESSAGE_CHARACTERS) -> str:
        """The text without anything that looks like a key, cut to a readable length."""
        if self._where_it_stands and self._secret and self._secret in text:
            text = self._where_it_stands.sub("[key]", text)
        if _TRACE_OF_A_SECRET.search(text):
            text = _SECRETS.sub("[key]", text)
        if not text.isprintable():
            text = _UNPRINTABLE.sub(" ", text)
        return text if len(text) <= most else f"{text[:most].rstrip()} …"


def _sentence(text: str) -> str:
    """Something follows it, and not every server ends its messages with a full stop."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _where_it_stands(secret: str) -> re.Pattern[str]:
    """A short key is a word that means nothing ("emulator", "ollama"): inside other words it is none, and
    one of nothing but letters is none in a path."""
    found = re.escape(secret)
    if len(secret) >= _SHORTEST_SECRET:
        return re.compile(found)
    around = r"[\w/]" if secret.isalpha() else r"\w"
    return re.compile(rf"(?<!{around}){found}(?!{around})")


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if value else None


def _has_no_credit(status: int, told: _Told) -> bool:
    if status == 402:
        return True
    if status not in (400, 403, 429):
        return False
    if _NO_CREDIT.match(told.code) or _NO_CREDIT.match(told.kind):
        return True
    unnamed = status != 400 or (not told.code and told.kind in _ANY_BAD_REQUEST)
    return unnamed and bool(_NO_CREDIT_MESSAGE.match(told.message))


def _is_about_the_key(told: _Told) -> bool:
    """By code or type; where these say nothing, by the message of a server that gives a reason in words."""
    if _BAD_KEY.match(told.code) or _BAD_KEY.match(told.kind):
        return True
    unnamed = told.code.lower() in _UNNAMED and told.kind.lower() in _UNNAMED
    return unnamed and bool(_BAD_KEY_MESSAGE.search(told.message))


def _kind(status: int, told: _Told) -> type[CallFailed]:
    if status in (413, 429) and _TOO_LARGE_MESSAGE.match(told.message):
        return RequestTooLarge
    if status == 429:
        return Overloaded if _lacks_capacity(told) else RateLimited
    if status == 529 or (status == 503 and _lacks_capacity(told)):
        return Overloaded
    if status >= 500 or status in (408, 409):
        return ServerFailed
    if told.code in _TOO_LONG or (status in (400, 413) and _TOO_LONG_MESSAGE.search(told.message)):
        return ContextTooLong
    if status == 400 and _TOO_COMPLEX_MESSAGE.search(told.message):
        return SchemaTooComplex
    return RequestRejected


def _lacks_capacity(told: _Told) -> bool:
    return (
        told.code in _NO_CAPACITY
        or told.kind in _NO_CAPACITY
        or bool(_NO_CAPACITY_MESSAGE.search(f"{told.code} {told.message}"))
    )


def _wait_seconds(headers: Mapping[str, str], message: str) -> float | None:
    """What the headers ask for, else what the message does (`Please try again in 1.822s.`)."""
    asked = retry_after_seconds(headers)
    if asked is not None:
        return asked
    found = _WAIT_IN_MESSAGE.search(message)
    if found is None:
        return None
    return duration_seconds(re.sub(r"\s?seconds?$", "s", found[1].lower().rstrip(".")).replace(" ", ""))
