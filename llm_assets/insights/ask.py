"""One question until there is a valid answer or no hope of one: repair, then the next model of the chain.

An invalid answer is shown to its model again with what was wrong. When that does not help, or the model
declines, the models further down the chain are asked afresh. No answer is guessed, patched or dropped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from llm_assets.insights.judge import Verdict, cut_off, judge
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.requests import Answer, ChatRequest, Message, Outcome
from llm_assets.llm.retry import is_mendable
from llm_assets.records import RowStatus

Call = Callable[[ChatRequest], Awaitable[Outcome]]


_REPAIR = "#"


def is_repair(outcome: Outcome) -> bool:
    """Whether a call asked again for something that had been answered invalidly."""
    return _REPAIR in outcome.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a transcript, or a part of one; `spoken` is what was shown of it.

    With a `subject` the last answer kept for it may stand in while no model can be asked.
    """

    key: str
    subject: str | None
    messages: tuple[Message, ...]
    spoken: SpokenText


@dataclass(frozen=True, slots=True)
class _After:
    """The model whose answer was of no use, and why."""

    model: str
    reason: str


async def settle(
    question: Question, extractor: Extractor, call: Call, models: Sequence[str]
) -> tuple[Verdict, list[Outcome]]:
    """The verdict on a question, and the outcomes of the calls it took, the deciding one last.

    `models` are the names of the chain, in its order. `call` raises nothing for one call; what it raises to
    stop the run passes through.
    """
    outcomes = list[Outcome]()
    after: _After | None = None
    useless: Verdict | None = None
    while True:
        verdict, asked = await _ask_one_model(question, extractor, call, after)
        if verdict.status is RowStatus.FAILED and useless is not None and not _can_be_mended(asked[-1]):
            return useless, [*asked, *outcomes]  # nobody else can be asked, so the answer before stands
        outcomes += asked
        behind = _behind(models, outcomes[-1])
        if verdict.status not in (RowStatus.REFUSED, RowStatus.INVALID_OUTPUT) or not behind:
            return verdict, outcomes
        useless = verdict
        after = _After(outcomes[-1].model or "", verdict.status.value)


def first_request_of(question: Question, extractor: Extractor) -> ChatRequest:
    """What is asked first."""
    return _request(question, extractor, question.messages, repair=0, after=None)


async def _ask_one_model(
    question: Question, extractor: Extractor, call: Call, after: _After | None
) -> tuple[Verdict, list[Outcome]]:
    messages = question.messages
    outcomes: list[Outcome] = []
    while True:
        request = _request(question, extractor, messages, repair=len(outcomes), after=after)
        verdict, outcome = judge(await call(request), extractor.form, question.spoken)
        outcomes.append(outcome)
        if verdict.status is not RowStatus.OK and _is_old(outcome):
            # What was kept from before is of no use, and asking without it says what stands in the way now:
            # an outage is for a later run, a budget that is spent stops this one.
            return await _ask_one_model(replace(question, subject=None), extractor, call, after)
        invalid = verdict.status is RowStatus.INVALID_OUTPUT
        if outcome.answer is None or not invalid or len(outcomes) > extractor.repairs:
            return verdict, outcomes
        messages = question.messages + _complaint(outcome.answer, verdict.error or "", len(outcomes))


def _request(
    question: Question,
    extractor: Extractor,
    messages: tuple[Message, ...],
    *,
    repair: int,
    after: _After | None,
) -> ChatRequest:
    return ChatRequest(
        messages=messages,
        key=f"{question.key}{_REPAIR}{repair}" if repair else question.key,
        subject=question.subject,
        output_schema=extractor.schema,
        max_output_tokens=extractor.max_output_tokens,
        after_model=after.model if after else None,
        after_reason=after.reason if after else None,
    )


def _behind(models: Sequence[str], outcome: Outcome) -> Sequence[str]:
    """The models of the chain further down than the one that answered."""
    places = [place for place, model in enumerate(models, 1) if model == outcome.model]
    return models[places[-1] :] if places else ()


def _is_old(outcome: Outcome) -> bool:
    """Whether the chain's last resort gave the answer, which was kept for another prompt or model."""
    return (outcome.fallback_reason or "").startswith("cached")


def _can_be_mended(outcome: Outcome) -> bool:
    return outcome.error is not None and is_mendable(outcome.error)


def _complaint(answer: Answer, problem: str, repair: int) -> tuple[Message, ...]:
    """Only the last answer is shown: with all of them the model would read its old mistakes again.

    The number of the repair is told, so that a mistake that is made twice is not the same question twice:
    the journal would give the same mistake a third time.
    """
    if answer.finish_reason == "length":
        asked = f"Before, {cut_off(answer)}. Answer again, complete and much shorter. (Correction {repair}.)"
        return (Message("user", asked),)
    return (
        Message("assistant", answer.text),
        Message(
            "user",
            f"That answer is not valid:\n{problem}\n\n"
            f"Answer again with the whole JSON object, corrected, and nothing else. (Correction {repair}.)",
        ),
    )
