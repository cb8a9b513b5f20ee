"""A model that gives prepared outcomes, and outcomes to prepare."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_assets.errors import CallFailed
from llm_assets.llm.requests import Answer, ChatRequest, Outcome
from llm_assets.usage import Usage

MOMENT = datetime(2026, 3, 2, 23, 45, tzinfo=UTC)
Reply = Outcome | Exception


def answered(text: str, **more: Any) -> Outcome:
    answer = Answer(text=text, usage=Usage(input_tokens=100, output_tokens=20), model="m-2026-01-01")
    answer = answer._replace(**{key: more.pop(key) for key in ("finish_reason", "refusal") if key in more})
    facts: dict[str, Any] = {"model": "m", "provider": "openai", "cost_usd": Decimal("0.001")} | more
    return Outcome(
        key="",
        endpoint="chat",
        answer=answer,
        usage=answer.usage,
        started_at=MOMENT,
        finished_at=MOMENT,
        **facts,
    )


def failed(error: CallFailed) -> Outcome:
    return Outcome(key="", endpoint="chat", error=error, started_at=MOMENT, finished_at=MOMENT)


class PreparedModel:
    """Replies by a function of the request, or one after the other; keeps what it was asked."""

    def __init__(self, *replies: Reply, by: Callable[[ChatRequest], Reply] | None = None) -> None:
        self.asked: list[ChatRequest] = []
        self._replies = list(replies)
        self._by = by or (lambda request: self._replies.pop(0))

    async def call(self, request: ChatRequest) -> Outcome:
        self.asked.append(request)
        reply = self._by(request)
        if isinstance(reply, Exception):
            raise reply
        return reply._replace(key=request.key)


def lines_of(request: ChatRequest) -> list[str]:
    """What a request shows of a transcript, or of the answers to merge."""
    return request.messages[1].content.rpartition(":\n")[2].splitlines()


def as_json(**fields: Any) -> str:
    return json.dumps(fields)
