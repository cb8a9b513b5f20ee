"""A transcript read again from answers that are kept: which of its calls would cost nothing now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from llm_assets.errors import CallFailed
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.reading import Reading
from llm_assets.llm.requests import ChatRequest, Outcome
from llm_assets.records import Transcript

Look = Callable[[ChatRequest], Awaitable[Outcome | None]]


@dataclass(slots=True)
class Replay:
    """How many calls have their answers, and how many were found without before it could not go on."""

    kept: int = 0
    missing: int = 0


async def replay(transcript: Transcript, extractor: Extractor, look: Look, models: Sequence[str]) -> Replay:
    """Go through all calls about a transcript as far as their answers are kept. Asks nobody.

    `look` gives what is known of a request, None where a model would be asked. Where one of several parts
    is missing, those after it may not be looked at.
    """
    found = Replay()

    async def call(request: ChatRequest) -> Outcome:
        outcome = await look(request)
        if outcome is None:
            found.missing += 1
            now = datetime.now(UTC)
            error = CallFailed("it would be asked")
            return Outcome(key=request.key, endpoint="chat", error=error, started_at=now, finished_at=now)
        found.kept += outcome.answer is not None
        return outcome

    await Reading(transcript, extractor, call, models).whole()
    return found
