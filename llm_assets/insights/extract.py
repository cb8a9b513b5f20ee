"""One transcript to one insight: read it whole, or in parts that are merged, and say how it ended.

What a reader would get wrong: the rows of a table are made here, not in the client. An answer that came
and cannot be used is paid for all the same, so its cost is in the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from llm_assets.insights.ask import Call, Question, first_request_of, settle
from llm_assets.insights.judge import Verdict
from llm_assets.insights.parts import halves, place_of
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.requests import ChatRequest, Message, Outcome
from llm_assets.records import Insight, RowStatus, Transcript
from llm_assets.usage import Usage

NO_SPEECH = "no speech"
_FEWEST_TO_MERGE_IN_STEPS = 4


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
        return _row(transcript, extractor, verdict, [], None), ()
    reading = _Reading(transcript, extractor, call, models)
    verdict = await reading.whole()
    insight = _row(transcript, extractor, verdict, reading.outcomes, reading.fallback_reason)
    return insight, tuple(reading.outcomes)


def first_request(transcript: Transcript, extractor: Extractor) -> ChatRequest | None:
    """What is asked first about a transcript; None where no model has to read it."""
    if without_asking(transcript) is not None:
        return None
    question = _question(transcript, extractor, extractor.messages(transcript), transcript, "")
    return first_request_of(question, extractor)


def without_asking(transcript: Transcript) -> Verdict | None:
    """How a transcript ends that no model has to read; None for one that a model has to."""
    if transcript.status is not RowStatus.OK:
        return Verdict(transcript.status, error=transcript.error)
    if not (transcript.text or "").strip() and not any(part.text.strip() for part in transcript.segments):
        return Verdict(RowStatus.TOO_SHORT, error=NO_SPEECH)
    return None


def _question(
    transcript: Transcript, extractor: Extractor, messages: tuple[Message, ...], shown: Transcript, name: str
) -> Question:
    """Only what is about the whole call, and so has no name, has a subject: the last answer kept for a call
    must never be that for a part of it."""
    whole = f"{transcript.recording_id}/{extractor.name}"
    return Question(
        key=f"{whole} {name}".rstrip(),
        subject=None if name else whole,
        messages=messages,
        spoken=SpokenText(shown),
    )


class _Reading:
    """Everything that is asked about one transcript."""

    def __init__(
        self, transcript: Transcript, extractor: Extractor, call: Call, models: Sequence[str]
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.fallback_reason: str | None = None
        self._transcript = transcript
        self._extractor = extractor
        self._call = call
        self._models = models

    async def whole(self) -> Verdict:
        """The verdict on the whole call; in parts only where no model takes it in one piece."""
        messages = self._extractor.messages(self._transcript)
        verdict = await self._settled(messages, self._transcript, "")
        parts = halves(self._transcript) if verdict.is_too_long else None
        return verdict if parts is None else await self._in_parts(list(parts))

    async def _in_parts(self, waiting: list[Transcript]) -> Verdict:
        """One part after the other, in the order of the call; the first without an output ends it."""
        self._forget_the_last_call()
        answers: list[str] = []
        while waiting:
            part = waiting.pop(0)
            messages = self._extractor.messages(part, is_part=True)
            verdict = await self._settled(messages, part, f"part {len(answers) + 1}")
            smaller = halves(part) if verdict.is_too_long else None
            if smaller is not None:
                self._forget_the_last_call()
                waiting[:0] = smaller
            elif verdict.status is not RowStatus.OK:
                return replace(verdict, error=f"the part of {place_of(part)}: {verdict.error}")
            else:
                answers.append(self._last_answer())
        return await self._merged(answers, "")

    async def _merged(self, answers: list[str], name: str) -> Verdict:
        """One answer from those of several parts; in steps where they are too long together."""
        messages = self._extractor.merge_messages(answers)
        verdict = await self._settled(messages, self._transcript, name)
        if not verdict.is_too_long or len(answers) < _FEWEST_TO_MERGE_IN_STEPS:
            return verdict
        self._forget_the_last_call()
        middle = len(answers) // 2
        merged: list[str] = []
        for number, some in enumerate((answers[:middle], answers[middle:]), 1):
            verdict = await self._merged(some, f"{name} merge {number}".lstrip())
            if verdict.status is not RowStatus.OK:
                return verdict
            merged.append(self._last_answer())
        return await self._merged(merged, name)

    async def _settled(self, messages: tuple[Message, ...], shown: Transcript, name: str) -> Verdict:
        question = _question(self._transcript, self._extractor, messages, shown, name)
        verdict, outcomes = await settle(question, self._extractor, self._call, self._models)
        self.fallback_reason = self.fallback_reason or outcomes[-1].fallback_reason
        self.outcomes += outcomes
        return verdict

    def _forget_the_last_call(self) -> None:
        """It found the question too long for every model, and the parts are asked instead."""
        self.outcomes.pop()

    def _last_answer(self) -> str:
        answer = self.outcomes[-1].answer
        assert answer is not None
        return answer.text


def _row(
    transcript: Transcript,
    extractor: Extractor,
    verdict: Verdict,
    outcomes: Sequence[Outcome],
    fallback_reason: str | None,
) -> Insight:
    last = outcomes[-1] if outcomes else None
    usage = sum((outcome.usage for outcome in outcomes), Usage())
    return Insight(
        recording_id=transcript.recording_id,
        status=verdict.status,
        output=verdict.output,
        model=last.model if last else None,
        provider=last.provider if last else None,
        fallback_reason=fallback_reason,
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
