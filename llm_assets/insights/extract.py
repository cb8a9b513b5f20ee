"""One transcript to one insight: read it whole, or in parts that are merged, and say how it ended.

What a reader would get wrong: the rows of a table are made here, not in the client. An answer that came
and cannot be used is paid for all the same, so its cost is in the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from llm_assets.insights.ask import Call, first_request_of
from llm_assets.insights.judge import Verdict
from llm_assets.insights.pieces import Settled
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.reading import Reading, whole_question
from llm_assets.llm.requests import ChatRequest, Outcome
from llm_assets.records import Insight, RowStatus, Transcript
from llm_assets.usage import Usage

NO_SPEECH = "no speech"


async def extract(
    transcript: Transcript, extractor: Extractor, call: Call, models: Sequence[str] = ()
) -> tuple[Insight, tuple[Outcome, ...]]:
    """The insight of one transcript and the outcomes of the calls it took, none when there was no need.

    - A transcript that is not ok passes its status and reason on. One without words is `too_short`.
    - An answer that is not valid, or was cut off, is asked for again with what was wrong, up to
      `extractor.repairs` times, then of the next of `models` (the names of the chain, in its order); then the
      row is `invalid_output`.
    - A refusal and a content filter's stop go to the next model at once; then the row is `refused`.
    - A transcript that is too long for every model is read in parts, and the answers are merged.
    - A call without an answer is `failed`.

    `call` raises nothing for one call; what it raises to stop the run (RunStopped, StateUnavailable)
    passes through.
    """
    if (verdict := without_asking(transcript)) is not None:
        return _row(transcript, extractor, Settled(verdict)), ()
    settled = await Reading(transcript, extractor, call, models).whole()
    return _row(transcript, extractor, settled), settled.outcomes


def first_request(transcript: Transcript, extractor: Extractor) -> ChatRequest | None:
    """What is asked first about a transcript; None where no model has to read it."""
    if without_asking(transcript) is not None:
        return None
    return first_request_of(whole_question(transcript, extractor), extractor)


def without_asking(transcript: Transcript) -> Verdict | None:
    """How a transcript ends that no model has to read; None for one that a model has to."""
    if transcript.status is not RowStatus.OK:
        return Verdict(transcript.status, error=transcript.error)
    if not (transcript.text or "").strip() and not any(part.text.strip() for part in transcript.segments):
        return Verdict(RowStatus.TOO_SHORT, error=NO_SPEECH)
    return None


def _row(transcript: Transcript, extractor: Extractor, settled: Settled) -> Insight:
    verdict, outcomes = settled.verdict, settled.outcomes
    last = outcomes[-1] if outcomes else None
    usage = sum((outcome.usage for outcome in outcomes), Usage())
    return Insight(
        recording_id=transcript.recording_id,
        status=verdict.status,
        output=verdict.output,
        model=last.model if last else None,
        provider=last.provider if last else None,
        fallback_reason=settled.fallback_reason,
        from_journal=bool(outcomes) and all(outcome.from_journal for outcome in outcomes),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=_cost(outcomes),
        prompt_version=extractor.prompt_version,
        extracted_at=last.finished_at if last else None,
        error=verdict.error,
    )


def _cost(outcomes: Sequence[Outcome]) -> Decimal | None:
    """What the answers cost together; None when the price of one is unknown. No answer, no cost."""
    costs = [outcome.cost_usd for outcome in outcomes if outcome.answer is not None]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
