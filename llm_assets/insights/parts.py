"""A transcript in two: for calls that no model of the chain can read in one piece."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from llm_assets.records import Segment, Transcript

# Less than this in one piece is never too long for a model; what does not fit then is the prompt.
SHORTEST_CHARACTERS = 2_000


def halves(transcript: Transcript) -> tuple[Transcript, Transcript] | None:
    """Two parts of about the same length, cut between two segments; None when it is too short for that.

    A single segment, or a text without any, is cut between two words. Segments keep their numbers and times.
    """
    segments = [segment for segment in transcript.segments if segment.text.strip()]
    if sum(len(segment.text) for segment in segments) < SHORTEST_CHARACTERS and segments:
        return None
    if len(segments) > 1:
        at = _middle([len(segment.text) for segment in segments])
        return _of(transcript, segments[:at]), _of(transcript, segments[at:])
    text = segments[0].text if segments else transcript.text or ""
    if len(text) < SHORTEST_CHARACTERS:
        return None
    first, second = _cut(text)
    if segments:
        parts = [replace(segments[0], text=half) for half in (first, second)]
        return _of(transcript, parts[:1]), _of(transcript, parts[1:])
    return replace(transcript, text=first), replace(transcript, text=second)


def place_of(part: Transcript) -> str:
    """Where a part lies, for a person: the times from its first to its last segment."""
    if not part.segments:
        return f"{len(part.text or ''):,} characters"
    return f"{part.segments[0].start_seconds:.0f} s to {part.segments[-1].end_seconds:.0f} s"


def _middle(sizes: list[int]) -> int:
    """Before which item to cut so that both sides are as equal as can be; both have at least one."""
    sums = list(accumulate(sizes))
    return min(range(1, len(sizes)), key=lambda at: abs(sums[-1] - 2 * sums[at - 1]))


def _cut(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    at = text.rfind(" ", 0, middle)
    at = at if at > 0 else middle
    return text[:at], text[at:]


def _of(transcript: Transcript, segments: list[Segment]) -> Transcript:
    return replace(transcript, segments=tuple(segments), text=None)
