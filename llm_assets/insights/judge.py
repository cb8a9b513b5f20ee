"""What one answer is worth: a valid output, or the reason why it is none, by kind.

A refusal and a content filter's stop are final for their model: nothing is argued with. An answer that is
not valid, or was cut off, can be repaired by the model that gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llm_assets.errors import ContextTooLong, RequestTooLarge
from llm_assets.insights.answers import InvalidAnswer, parse_answer
from llm_assets.insights.schema import OutputForm
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.requests import Answer, Outcome, OutcomeStatus
from llm_assets.records import RowStatus


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a question ended: a status with the output or the reason.

    `is_too_long` says that no model of the chain can take the question in one piece.
    """

    status: RowStatus
    output: dict[str, Any] | None = None
    error: str | None = None
    is_too_long: bool = False


def judge(outcome: Outcome, form: OutputForm, spoken: SpokenText) -> tuple[Verdict, Outcome]:
    """The verdict on an outcome, and the outcome with it."""
    verdict = _verdict(outcome, form, spoken)
    if verdict.status is RowStatus.REFUSED:
        return verdict, outcome._replace(judged=OutcomeStatus.REFUSED, problem=verdict.error)
    if verdict.status is RowStatus.INVALID_OUTPUT:
        return verdict, outcome._replace(judged=OutcomeStatus.INVALID_OUTPUT, problem=verdict.error)
    return verdict, outcome


def _verdict(outcome: Outcome, form: OutputForm, spoken: SpokenText) -> Verdict:
    answer = outcome.answer
    if answer is None:
        is_too_long = isinstance(outcome.error, ContextTooLong | RequestTooLarge)
        return Verdict(RowStatus.FAILED, None, str(outcome.error or "no answer came"), is_too_long)
    if answer.refusal is not None:
        return Verdict(RowStatus.REFUSED, error=f"the model refused: {answer.refusal}")
    if answer.finish_reason == "content_filter":
        return Verdict(RowStatus.REFUSED, error="the provider's content filter stopped the answer")
    if answer.finish_reason == "length":
        return Verdict(RowStatus.INVALID_OUTPUT, error=cut_off(answer))
    try:
        return Verdict(RowStatus.OK, output=parse_answer(answer.text, form, spoken))
    except InvalidAnswer as error:
        return Verdict(RowStatus.INVALID_OUTPUT, error=str(error))


def cut_off(answer: Answer) -> str:
    return f"the answer was cut off at the output limit, after {answer.usage.output_tokens} tokens"
