"""From seconds in the audio that was sent to seconds in the recording. Pure.

Where long silences were left out of the audio, its times jump over them.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.records import Span


def in_recording(start_seconds: float, end_seconds: float, spans: Sequence[Span]) -> Span:
    """Where in the recording a stretch of the audio lies; the audio is the `spans` one after the other.

    Models let a segment run past the audio they heard, so the answer stays within the spans. A stretch
    that begins where two spans meet begins with the second one, and one that ends there ends with the
    first: the silence between them belongs to neither.
    """
    start = _begins_at(start_seconds, spans)
    return Span(start, max(_ends_at(end_seconds, spans), start))


def _begins_at(seconds: float, spans: Sequence[Span]) -> float:
    left = max(seconds, 0.0)
    for span in spans:
        if left < span.end_seconds - span.start_seconds:
            return span.start_seconds + left
        left -= span.end_seconds - span.start_seconds
    return spans[-1].end_seconds


def _ends_at(seconds: float, spans: Sequence[Span]) -> float:
    left = max(seconds, 0.0)
    for span in spans:
        if left <= span.end_seconds - span.start_seconds:
            return span.start_seconds + left
        left -= span.end_seconds - span.start_seconds
    return spans[-1].end_seconds
