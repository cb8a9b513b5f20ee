"""One transcript to one insight: ask, check the answer, ask again when it is not valid, and say how it ended.

What a reader would get wrong: the rows of a table are made here, not in the client. An answer that came
and cannot be used is paid for all the same, so its cost is in the row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm_assets.insights.answers import InvalidAnswer, parse_answer
from llm_assets.insights.prompts import Extractor
from llm_assets.llm.requests import Answer, ChatRequest, Message, Outcome
from llm_assets.records import Insight, RowStatus, Transcript
from llm_assets.usage import Usage

MAX_REPAIRS = 2
NO_SPEECH = "no speech"

Call = Callable[[ChatRequest], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How an extraction ended: a status with the output or the reason."""

    status: RowStatus
    output: dict[str, Any] | None = None
    error: str | None = None


async def extract(
    transcript: Transcript, extractor: Extractor, call: Call
) -> tuple[Insight, tuple[Outcome, ...]]:
    """The insight of one transcript and the outcomes of the calls it took, none when there was no need.

    - A transcript that is not ok passes its status and reason on. One without words is `too_short`.
    - An answer that is not valid, or was cut off, is asked for again with what was wrong, up to
      `MAX_REPAIRS` times; then the row is `invalid_output`.
    - A refusal and a content filter's stop are `refused`; a call without an answer is `failed`.

    `call` raises nothing for one call; what it raises to stop the run (RunStopped, StateUnavailable)
    passes through.
    """
    if transcript.status is not RowStatus.OK:
        return _row(transcript, extractor, _Verdict(transcript.status, error=transcript.error), ()), ()
    if not (transcript.text or "").strip() and not any(part.text.strip() for part in transcript.segments):
        return _row(transcript, extractor, _Verdict(RowStatus.TOO_SHORT, error=NO_SPEECH), ()), ()
    verdict, outcomes = await _ask(transcript, extractor, call)
    return _row(transcript, extractor, verdict, outcomes), outcomes


async def _ask(
    transcript: Transcript, extractor: Extractor, call: Call
) -> tuple[_Verdict, tuple[Outcome, ...]]:
    question = extractor.messages(transcript)
    messages = question
    outcomes: list[Outcome] = []
    while True:
        outcome = await call(_request(transcript, extractor, messages, repair=len(outcomes)))
        outcomes.append(outcome)
        verdict = _judge(outcome, extractor)
        invalid = verdict.status is RowStatus.INVALID_OUTPUT
        if outcome.answer is None or not invalid or len(outcomes) > MAX_REPAIRS:
            return verdict, tuple(outcomes)
        messages = question + _complaint(outcome.answer, verdict.error or "")


def _request(
    transcript: Transcript, extractor: Extractor, messages: tuple[Message, ...], repair: int
) -> ChatRequest:
    subject = f"{transcript.recording_id}/{extractor.name}"
    return ChatRequest(
        messages=messages,
        key=f"{subject}#{repair}" if repair else subject,
        subject=subject,
        output_schema=extractor.schema,
        max_output_tokens=extractor.max_output_tokens,
    )


def _judge(outcome: Outcome, extractor: Extractor) -> _Verdict:
    answer = outcome.answer
    if answer is None:
        return _Verdict(RowStatus.FAILED, error=str(outcome.error or "no answer came"))
    if answer.refusal is not None:
        return _Verdict(RowStatus.REFUSED, error=f"the model refused: {answer.refusal}")
    if answer.finish_reason == "content_filter":
        return _Verdict(RowStatus.REFUSED, error="the provider's content filter stopped the answer")
    if answer.finish_reason == "length":
        return _Verdict(RowStatus.INVALID_OUTPUT, error=_cut_off(answer))
    try:
        return _Verdict(RowStatus.OK, output=parse_answer(answer.text, extractor.form))
    except InvalidAnswer as error:
        return _Verdict(RowStatus.INVALID_OUTPUT, error=str(error))


def _cut_off(answer: Answer) -> str:
    return f"the answer was cut off at the output limit, after {answer.usage.output_tokens} tokens"


def _complaint(answer: Answer, problem: str) -> tuple[Message, ...]:
    """Only the last answer is shown: with all of them the model would read its old mistakes again."""
    if answer.finish_reason == "length":
        return (Message("user", f"Before, {problem}. Answer again, complete and much shorter."),)
    return (
        Message("assistant", answer.text),
        Message(
            "user",
            f"That answer is not valid:\n{problem}\n\n"
            "Answer again with the whole JSON object, corrected, and nothing else.",
        ),
    )


def _row(
    transcript: Transcript, extractor: Extractor, verdict: _Verdict, outcomes: tuple[Outcome, ...]
) -> Insight:
    last = outcomes[-1] if outcomes else None
    usage = sum((outcome.usage for outcome in outcomes), Usage())
    return Insight(
        recording_id=transcript.recording_id,
        status=verdict.status,
        output=verdict.output,
        model=last.model if last else None,
        provider=last.provider if last else None,
        fallback_reason=last.fallback_reason if last else None,
        from_journal=bool(outcomes) and all(outcome.from_journal for outcome in outcomes),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=_cost(outcomes),
        prompt_version=extractor.prompt_version,
        extracted_at=last.finished_at if last else None,
        error=verdict.error,
    )


def _cost(outcomes: tuple[Outcome, ...]) -> Decimal | None:
    """What the answers cost together; None when the price of one is unknown. No answer, no cost."""
    costs = [outcome.cost_usd for outcome in outcomes if outcome.answer is not None]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
