"""Whether an outcome is of use, and if not, what that makes of the recording. Pure.

An answer is no proof of a transcript: a model can refuse, stop at its output limit with status 200, or
stop early for no reason.
"""

from __future__ import annotations

from llm_assets.errors import RequestRejected
from llm_assets.llm.requests import Answer, Outcome
from llm_assets.records import AudioChunk, RowStatus
from llm_assets.transcription.wording import LETTERS_PER_WORD, letter_count

Fault = tuple[RowStatus, str]

# What OpenAI and the servers that speak like it say of audio they cannot decode.
_UNDECODABLE = ("could not be decoded", "invalid file format", "corrupted or unsupported")

# People say 100 to 200 words in a minute of speech. So far below only where something is missing, or where
# what was heard was no speech (music in a waiting line). Where nobody listened, most of it may be silence.
FEWEST_WORDS_PER_SPEECH_MINUTE = 30.0
FEWEST_WORDS_PER_MINUTE = 6.0
# Shorter ones hold too little to tell.
_JUDGED_FROM_SPEECH_SECONDS, _JUDGED_FROM_SECONDS = 30.0, 60.0
# Halves of a text that was cut short say about twice as much; recognised anew, the same says a little more.
_MORE_TIMES, _MORE_LETTERS = 1.5, 25


def fault_of(outcome: Outcome) -> Fault | None:
    """The status and the reason that stand in the way of a transcript, None when nothing does.

    A text that was cut off is none: it can be asked for in smaller parts.
    """
    answer = outcome.answer
    if answer is None:
        return _fault_of_error(outcome.error)
    if answer.refusal is not None or answer.finish_reason == "content_filter":
        return RowStatus.REFUSED, f"refused by {outcome.model}: {answer.refusal or 'content filter'}"
    return None


def is_cut_off(answer: Answer) -> bool:
    """Whether the provider's own figures say that the text just ends."""
    return answer.finish_reason == "length"


def says_too_little(text: str, chunk: AudioChunk) -> bool:
    """Whether a text is far too short for the speech in its chunk, for its length where that is unknown."""
    if chunk.speech_seconds is not None:
        seconds, fewest = chunk.speech_seconds, FEWEST_WORDS_PER_SPEECH_MINUTE
        return seconds >= _JUDGED_FROM_SPEECH_SECONDS and words_per_minute(text, seconds) < fewest
    return is_suspiciously_short(text, chunk.audio_seconds)


def says_more(halves: str, whole: str) -> bool:
    """Whether the halves of a chunk, asked apart, hold what the text of the whole left out."""
    return letter_count(halves) > letter_count(whole) * _MORE_TIMES + _MORE_LETTERS


def words_per_minute(text: str, seconds: float) -> float:
    """Words of five letters, so that languages written without spaces can be measured too."""
    return letter_count(text) / LETTERS_PER_WORD / max(seconds, 1.0) * 60


def is_suspiciously_short(text: str, seconds: float) -> bool:
    """Whether hardly anything is said in a recording of a minute or more. It may be silence; look at it."""
    return seconds >= _JUDGED_FROM_SECONDS and words_per_minute(text, seconds) < FEWEST_WORDS_PER_MINUTE


def _fault_of_error(error: Exception | None) -> Fault:
    reason = str(error) or type(error).__name__
    if isinstance(error, RequestRejected) and any(words in reason.lower() for words in _UNDECODABLE):
        return RowStatus.UNREADABLE, reason
    return RowStatus.FAILED, reason
