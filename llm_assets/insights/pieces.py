"""What is asked at once about a call, a stretch of its transcript or answers to merge, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from llm_assets.insights.answers import one_line
from llm_assets.insights.judge import Verdict
from llm_assets.insights.parts import halves, place_of
from llm_assets.llm.requests import Outcome
from llm_assets.records import RowStatus, Transcript

Answers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A question's verdict, and the outcomes of all calls it took, the deciding one last."""

    verdict: Verdict
    outcomes: tuple[Outcome, ...] = ()
    fallback_reason: str | None = None

    def after(self, earlier: Iterable[Settled]) -> Settled:
        """The same with what was asked on the way to it.

        A refusal of a question's length is no call to count when something shorter was asked instead.
        """
        outcomes, reasons = list[Outcome](), list[str | None]()
        for each in earlier:
            outcomes += each.outcomes[:-1] if each.verdict.is_too_long else each.outcomes
            reasons.append(None if each.verdict.is_too_long else each.fallback_reason)
        reason = next(filter(None, [*reasons, self.fallback_reason]), None)
        return Settled(self.verdict, (*outcomes, *self.outcomes), reason)


@dataclass(slots=True)
class Piece:
    """Something to ask about, and what became of it; None before it is asked."""

    shown: Transcript | Answers
    settled: Settled | None = None

    @property
    def known(self) -> Settled:
        assert self.settled is not None
        return self.settled

    @property
    def is_open(self) -> bool:
        """Whether there is something to ask. A single answer needs no merging."""
        return self.settled is None and (isinstance(self.shown, Transcript) or len(self.shown) > 1)

    @property
    def answer(self) -> str:
        """The valid answer, as one line of JSON. One that was not to be merged with others is its own."""
        if self.settled is None:
            assert not isinstance(self.shown, Transcript)
            return self.shown[0]
        answer = self.settled.outcomes[-1].answer
        assert answer is not None
        return one_line(answer.text)

    @property
    def is_to_be_cut(self) -> bool:
        return self.settled is not None and self.settled.verdict.is_too_long and self._halves() is not None

    @property
    def is_useless(self) -> bool:
        """Whether it was asked about in vain."""
        is_ok = self.settled is None or self.settled.verdict.status is RowStatus.OK
        return not is_ok and not self.is_to_be_cut

    def halved(self) -> list[Piece]:
        """Both halves, not asked about yet; the piece itself where it cannot be cut."""
        cut = self._halves()
        return [self] if cut is None else [Piece(half) for half in cut]

    def placed(self) -> Settled:
        """What became of it, with its place in the error, where there is one."""
        verdict = self.known.verdict
        if verdict.error is None:
            return self.known
        if isinstance(self.shown, Transcript):
            where = f"the part of {place_of(self.shown)}"
        else:
            where = f"merging the answers for {len(self.shown)} parts"
        return replace(self.known, verdict=replace(verdict, error=f"{where}: {verdict.error}"))

    def _halves(self) -> tuple[Transcript | Answers, Transcript | Answers] | None:
        if isinstance(self.shown, Transcript):
            return halves(self.shown)
        middle = len(self.shown) // 2
        return (self.shown[:middle], self.shown[middle:]) if middle else None
