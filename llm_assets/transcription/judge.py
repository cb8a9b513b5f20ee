"""Whether an outcome is of use, and if not, what that makes of the recording. Pure.

An answer is no proof of a transcript: a model can refuse, or stop at its output limit with status 200.
"""

from __future__ import annotations

from llm_assets.errors import RequestRejected
from llm_assets.llm.requests import Outcome
from llm_assets.records import RowStatus

Fault = tuple[RowStatus, str]

# What OpenAI and the servers that speak like it say of audio they cannot decode.
_UNDECODABLE = ("could not be decoded", "invalid file format", "corrupted or unsupported")


def fault_of(outcome: Outcome) -> Fault | None:
    """The status and the reason that stand in the way of a transcript, None when nothing does."""
    answer = outcome.answer
    if answer is None:
        return _fault_of_error(outcome.error)
    if answer.refusal is not None or answer.finish_reason == "content_filter":
        return RowStatus.REFUSED, f"refused by {outcome.model}: {answer.refusal or 'content filter'}"
    if answer.finish_reason == "length":
        return RowStatus.FAILED, (
            f"cut off at the output limit of {outcome.model}; lower max_audio_seconds of this model"
        )
    return None


def _fault_of_error(error: Exception | None) -> Fault:
    reason = str(error) or type(error).__name__
    if isinstance(error, RequestRejected) and any(words in reason.lower() for words in _UNDECODABLE):
        return RowStatus.UNREADABLE, reason
    return RowStatus.FAILED, reason
