"""What a test or a benchmark asks of the emulator itself, under `/emulator/`. No key is needed.

GET  /emulator/audit    what was served, refused, faulted, served twice; the quota's state and ideal time
POST /emulator/reset    a fresh audit and buckets as at the start; changed limits stay
POST /emulator/limits   {"model": "gpt-4o", "requests_per_minute": 300, "neighbour_share": 0.5}
"""

from __future__ import annotations

import json
from typing import Any, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llm_assets.emulator.error_answer import bad_request
from llm_assets.emulator.service import Service
from llm_assets.emulator.wire import EMULATOR_HEADER, json_response

_LIMITS = ("requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day")


class LimitChange(BaseModel):
    """What is left out stays as it is; null is unlimited. Without `model`: every pool in use."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    requests_per_minute: int | None = Field(default=None, gt=0)
    requests_per_day: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_day: int | None = Field(default=None, gt=0)
    neighbour_share: float | None = Field(default=None, ge=0, lt=1)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set - {"model"}:
            raise ValueError(f"name one of {', '.join((*_LIMITS, 'neighbour_share'))}")
        return self


def admin_routes(service: Service) -> list[web.RouteDef]:
    """The emulator's own endpoints."""

    async def audit(request: web.Request) -> web.Response:
        return json_response(200, audit_report(service), EMULATOR_HEADER)

    async def reset(request: web.Request) -> web.Response:
        service.reset()
        return json_response(200, audit_report(service), EMULATOR_HEADER)

    async def limits(request: web.Request) -> web.Response:
        try:
            change = LimitChange.model_validate(json.loads(await request.read() or b"{}"))
        except ValueError as error:
            problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            return json_response(400, bad_request(f"Invalid limits: {problem}").body(), EMULATOR_HEADER)
        _apply(change, service)
        return json_response(200, {"quotas": service.account.report()}, EMULATOR_HEADER)

    return [
        web.get("/emulator/audit", audit),
        web.post("/emulator/reset", reset),
        web.post("/emulator/limits", limits),
    ]


def audit_report(service: Service) -> dict[str, Any]:
    """The audit's counts and every pool's quota, as plain JSON values."""
    return service.audit.snapshot() | {"quotas": service.account.report()}


def _apply(change: LimitChange, service: Service) -> None:
    limits = {name: getattr(change, name) for name in _LIMITS if name in change.model_fields_set}
    pool = None if change.model is None else service.account.pool_of(change.model)
    service.account.change_limits(pool, limits, change.neighbour_share)
