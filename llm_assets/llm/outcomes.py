"""What a call says in the end: the answer, or why there is none, and what the call has been through."""

from __future__ import annotations

from datetime import UTC, datetime

from llm_assets.errors import CallFailed
from llm_assets.llm.requests import Outcome, Request
from llm_assets.llm.services import Found, Tally


def answered(request: Request, found: Found, tally: Tally, finished_at: float) -> Outcome:
    entry = found.entry
    return Outcome(
        key=request.key,
        endpoint=request.endpoint,
        answer=entry.answer,
        provider=entry.provider,
        model=entry.model,
        usage=entry.answer.usage,
        cost_usd=entry.cost_usd,
        from_journal=found.from_journal,
        fallback_reason=entry.fallback_reason,
        attempts=tally.attempts,
        rate_limited=tally.rate_limited,
        wait_seconds=tally.wait_seconds,
        latency_seconds=entry.latency_seconds,
        http_status=tally.http_status,
        request_id=entry.request_id,
        started_at=datetime.fromtimestamp(tally.started_at, UTC),
        finished_at=datetime.fromtimestamp(finished_at, UTC),
    )


def failed(request: Request, error: CallFailed, tally: Tally, finished_at: float) -> Outcome:
    return Outcome(
        key=request.key,
        endpoint=request.endpoint,
        error=error,
        attempts=tally.attempts,
        rate_limited=tally.rate_limited,
        wait_seconds=tally.wait_seconds,
        latency_seconds=tally.latency_seconds,
        http_status=error.http_status,
        request_id=error.request_id,
        started_at=datetime.fromtimestamp(tally.started_at, UTC),
        finished_at=datetime.fromtimestamp(finished_at, UTC),
    )
