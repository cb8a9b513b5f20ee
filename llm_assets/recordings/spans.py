"""Which stretches of a recording a chunk is made of."""

from __future__ import annotations

import numpy as np

from llm_assets.recordings.listen import MOMENTS_PER_SECOND, Heard
from llm_assets.records import Span


class Spans:
    """Grows by what is added in order; stretches that follow each other are one."""

    def __init__(self) -> None:
        self._bounds: list[tuple[float, float]] = []

    def add(self, heard: Heard) -> None:
        """Something heard, which is not empty."""
        gaps = np.flatnonzero(np.diff(heard.places) > 1)
        begins = heard.places[np.concatenate(([0], gaps + 1))]
        ends = heard.places[np.concatenate((gaps, [heard.moments - 1]))] + 1
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            if self._bounds and self._bounds[-1][1] == begin:
                begin = self._bounds.pop()[0]
            self._bounds.append((begin, end))
        # The last moment of a recording may be shorter.
        missing = 1 - (heard.samples.size - (heard.moments - 1) * heard.step) / heard.step
        if missing:
            begin, end = self._bounds[-1]
            self._bounds[-1] = begin, end - missing

    def seconds(self) -> tuple[Span, ...]:
        return tuple(
            Span(begin / MOMENTS_PER_SECOND, end / MOMENTS_PER_SECOND) for begin, end in self._bounds
        )
