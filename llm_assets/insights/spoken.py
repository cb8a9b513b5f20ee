"""What was said in a call, as validators of output models see it: is this passage really in the transcript?

Speech recognition and models differ in case, punctuation and blanks, which are not spoken; so letters and
digits alone are compared. Nothing else is forgiven.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo

from llm_assets.records import Segment, Transcript

_NOT_SPOKEN = re.compile(r"[\W_]+")


class SpokenText:
    """A transcript, or the part of one that a model was shown."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript

    @property
    def segments(self) -> tuple[Segment, ...]:
        return self.transcript.segments

    @cached_property
    def text(self) -> str:
        """Everything that is said; that of the segments, where there are any."""
        said = " ".join(segment.text for segment in self.segments)
        return said if said.strip() else self.transcript.text or ""

    def has(self, quote: str) -> bool:
        """Whether the words of `quote` are in the transcript, one after the other. False without words."""
        words = _spoken(quote)
        return bool(words) and words in self._compared

    def segments_with(self, quote: str) -> list[int]:
        """The indexes of the segments in which `quote` begins; it may go on into the next ones."""
        words, found = _spoken(quote), list[int]()
        at = self._compared.find(words) if words and any(self._parts) else -1
        while at >= 0:
            index = self.segments[bisect_right(self._starts, at) - 1].segment_index
            if index not in found:
                found.append(index)
            at = self._compared.find(words, at + 1)
        return found

    @cached_property
    def _parts(self) -> list[str]:
        return [_spoken(segment.text) for segment in self.segments]

    @cached_property
    def _compared(self) -> str:
        return "".join(self._parts) or _spoken(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = list[int](), 0
        for part in self._parts:
            starts.append(at)
            at += len(part)
        return starts


def spoken_of(info: ValidationInfo) -> SpokenText | None:
    """The transcript an answer is about; None when a model is validated for another reason."""
    context: Any = info.context
    found = context.get("transcript") if isinstance(context, dict) else None
    return found if isinstance(found, SpokenText) else None


def _require_spoken(quote: str, info: ValidationInfo) -> str:
    spoken = spoken_of(info)
    if spoken is not None and not spoken.has(quote):
        raise ValueError("is not in the transcript; copy a passage word for word, or leave it out")
    return quote


Verbatim = Annotated[str, AfterValidator(_require_spoken)]
"""A text that stands in the transcript word for word; case, blanks and punctuation do not count."""


def _spoken(text: str) -> str:
    return _NOT_SPOKEN.sub("", unicodedata.normalize("NFKC", text).casefold())
