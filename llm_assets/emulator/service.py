"""The life of one request: key, model, quota, fault, answer, and what the audit says of it.

Quota comes before anything else about a request is judged, so a request that is wrong costs one too, as
at OpenAI. Nothing is logged per request: this is also the server that load tests run against.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from llm_assets.clock import Clock
from llm_assets.emulator.account import Account
from llm_assets.emulator.audit import Audit
from llm_assets.emulator.catalog import EmulatedModel, catalog, find_model
from llm_assets.emulator.chance import Chance
from llm_assets.emulator.config import EmulatorConfig
from llm_assets.emulator.endpoints import Endpoint, Question
from llm_assets.emulator.error_answer import (
    ErrorAnswer,
    bad_request,
    insufficient_quota,
    no_key,
    rate_limited,
    unknown_model,
    wrong_key,
)
from llm_assets.emulator.faults import ANSWERED, BROKEN, broken_response, fault_error
from llm_assets.emulator.wire import Exchange, json_response


class Service:
    """Answers requests for one emulated account."""

    def __init__(self, config: EmulatorConfig, clock: Clock) -> None:
        self.config = config
        self.audit = Audit()
        self.account = Account(config, clock)
        self.models: Mapping[str, EmulatedModel] = catalog(
            config.models, config.transcription_output_tokens, config.context_tokens
        )
        self._fault_shares = {name: config.fault_shares(name) for name in self.models}
        self._clock = clock
        self._ordinal = 0

    def reset(self) -> None:
        """A fresh audit and buckets as at the start; changed limits stay."""
        self.audit.reset()
        self.account.reset()

    def authorize(self, request: web.Request) -> None:
        """Raises ErrorAnswer without a key, or with a wrong one where one is configured."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise no_key()
        if self.config.api_key is not None and key.strip() != self.config.api_key:
            raise wrong_key(key.strip())

    def find(self, name: str) -> EmulatedModel:
        """Raises ErrorAnswer for a model that is not served."""
        model = find_model(self.models, name)
        if model is None:
            raise unknown_model(name)
        return model

    async def handle(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        """Answer one request, whatever becomes of it."""
        exchange = self._begun(request)
        try:
            self.authorize(request)
            question = await endpoint.read(request)
            model = self.find(question.model)
        except (ErrorAnswer, web.HTTPRequestEntityTooLarge, RecursionError) as problem:
            error = _as_error(problem)
            self.audit.turned_away[str(error.status)] += 1
            return self._error(error, exchange)
        try:
            return await self._answer(endpoint, question, model, exchange)
        except ErrorAnswer as error:
            return self._error(error, exchange)

    def _begun(self, request: web.Request) -> Exchange:
        now = self._clock.now()
        self._ordinal += 1
        self.audit.begin(now)
        return Exchange(request, self._ordinal, now)

    async def _answer(
        self, endpoint: Endpoint, question: Question, model: EmulatedModel, exchange: Exchange
    ) -> web.StreamResponse:
        entry = self.audit.of(model.name)
        entry.received += 1
        self._admit(model, question, exchange)
        chance = Chance(self.config.seed, question.content_hash, self.audit.attempt(question.content_hash))
        exchange.due_at += chance.latency_seconds(self.config.latency)
        fault = question.marked_fault or chance.fault(self._fault_shares[model.name])
        body, usage = {}, None
        if fault is None or fault in ANSWERED | BROKEN:
            body, usage = await self._made(endpoint, question, model, fault, exchange)
        await self._wait(exchange)
        if fault is not None:
            entry.faulted[fault] += 1
        if usage is None or fault in BROKEN:
            return await self._broken(str(fault), body, exchange)
        if exchange.is_abandoned:
            entry.hung_up += 1
        else:
            self.audit.serve(model.name, endpoint.name, question.content_hash, usage)
        return self._response(200, body, exchange)

    def _admit(self, model: EmulatedModel, question: Question, exchange: Exchange) -> None:
        """Raises ErrorAnswer when the quota or the account's credit does not allow it."""
        entry = self.audit.of(model.name)
        quota = exchange.quota = self.account.quota_of(self.account.pool_of(model.name))
        now = self._clock.now()
        refusal = quota.admit(question.charged_tokens, now)
        if self.config.headers != "none":
            exchange.limit_headers = quota.headers(now)
        if refusal is not None:
            entry.refused[refusal.dimension.field] += 1
            raise rate_limited(refusal, model.name, self.config.retry_after)
        self.audit.admit(now)
        if not self.account.has_credit():
            entry.faulted["insufficient_quota"] += 1
            raise insufficient_quota()

    async def _made(
        self,
        endpoint: Endpoint,
        question: Question,
        model: EmulatedModel,
        fault: str | None,
        exchange: Exchange,
    ) -> tuple[dict[str, Any], Any]:
        try:
            return await endpoint.answer(question, model, fault, exchange.ordinal)
        except (ErrorAnswer, RecursionError) as problem:
            error = _as_error(problem)
            self.audit.of(model.name).rejected[str(error.status)] += 1
            raise error from problem

    async def _broken(self, fault: str, body: dict[str, Any], exchange: Exchange) -> web.StreamResponse:
        error = fault_error(fault)
        if error is not None:
            return self._error(error, exchange)
        now = self._clock.now()
        self.audit.end(now)
        return await broken_response(fault, body, exchange.request, exchange.headers(self.config, now))

    async def _wait(self, exchange: Exchange) -> None:
        remaining = exchange.due_at - self._clock.now()
        if remaining > 0:
            await self._clock.sleep(remaining)

    def _response(self, status: int, body: dict[str, Any], exchange: Exchange) -> web.Response:
        now = self._clock.now()
        self.audit.end(now)
        return json_response(status, body, exchange.headers(self.config, now))

    def _error(self, error: ErrorAnswer, exchange: Exchange) -> web.Response:
        response = self._response(error.status, error.body(), exchange)
        response.headers.update(error.headers)
        return response


def _as_error(problem: BaseException) -> ErrorAnswer:
    if isinstance(problem, ErrorAnswer):
        return problem
    if isinstance(problem, web.HTTPRequestEntityTooLarge):
        return ErrorAnswer(413, "Maximum content size limit exceeded", "server_error")
    return bad_request("The JSON of your request nests too deeply.")
