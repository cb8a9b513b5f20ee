"""Everything that is asked about one transcript: whole, or in parts whose answers are merged.

The first part tells how small parts have to be; the others are asked side by side, and their answers are
put in the order of the call, whichever comes first. A part without an output ends it: what has not been
asked by then is not paid for, what is under way is waited for and counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from llm_assets.insights.answers import one_line
from llm_assets.insights.ask import Call, Question, settle
from llm_assets.insights.judge import Verdict
from llm_assets.insights.parts import halves, place_of
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.requests import Message, Outcome
from llm_assets.llm.stream import stream
from llm_assets.records import RowStatus, Transcript

# A client bounds what is on the wire; this bounds how many questions about one call wait for it.
PARTS_AT_A_TIME = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Settled:
    """A question's verdict, and the outcomes of all calls it took, the deciding one last."""

    verdict: Verdict
    outcomes: tuple[Outcome, ...]
    fallback_reason: str | None = None

    @property
    def is_ok(self) -> bool:
        return self.verdict.status is RowStatus.OK

    @property
    def answer(self) -> str:
        """The valid answer, as one line of JSON."""
        answer = self.outcomes[-1].answer
        assert answer is not None
        return one_line(answer.text)

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

    def because(self, where: str) -> Settled:
        """The same with its place in front of the error."""
        return replace(self, verdict=replace(self.verdict, error=f"{where}: {self.verdict.error}"))


@dataclass(slots=True)
class _Part:
    """A stretch of the transcript, and what became of the question about it; None before it is asked."""

    shown: Transcript
    settled: Settled | None = None

    @property
    def known(self) -> Settled:
        assert self.settled is not None
        return self.settled

    @property
    def is_to_be_cut(self) -> bool:
        return self.settled is not None and self.known.verdict.is_too_long and halves(self.shown) is not None

    @property
    def is_useless(self) -> bool:
        return self.settled is not None and not self.known.is_ok and not self.is_to_be_cut

    def halved(self) -> list[_Part]:
        """Both halves, not asked about yet; the part itself where it is too short for that."""
        cut = halves(self.shown)
        return [self] if cut is None else [_Part(half) for half in cut]


def whole_question(transcript: Transcript, extractor: Extractor) -> Question:
    """What is asked about a transcript in one piece."""
    return _question(transcript, extractor, extractor.messages(transcript), SpokenText(transcript), "")


def _question(
    transcript: Transcript, extractor: Extractor, messages: tuple[Message, ...], spoken: SpokenText, name: str
) -> Question:
    """Only what is about the whole call, and so has no name, has a subject: the last answer kept for a call
    must never be that for a part of it."""
    whole = f"{transcript.recording_id}/{extractor.name}"
    return Question(f"{whole} {name}".rstrip(), None if name else whole, messages, spoken)


class Reading:
    """Asks about one transcript."""

    def __init__(
        self, transcript: Transcript, extractor: Extractor, call: Call, models: Sequence[str]
    ) -> None:
        self._transcript = transcript
        self._extractor = extractor
        self._call = call
        self._models = models
        self._spoken = SpokenText(transcript)

    async def whole(self) -> Settled:
        """What became of the whole call; in parts only where no model takes it in one piece."""
        messages = self._extractor.messages(self._transcript)
        whole = _Part(self._transcript, await self._ask(messages, self._spoken, ""))
        return await self._in_parts(whole) if whole.is_to_be_cut else whole.known

    async def _in_parts(self, whole: _Part) -> Settled:
        parts, asked = [whole], list[Settled]()
        while parts[0].is_to_be_cut:
            asked.append(parts[0].known)
            parts = [half for part in parts for half in part.halved()]
            await self._ask_about(parts[:1], len(parts))
        while any(part.settled is None for part in parts) and not _useless(parts):
            await self._ask_about(parts, len(parts))
            asked += [part.known for part in parts if part.is_to_be_cut]
            if not _useless(parts):
                parts = [
                    piece for part in parts for piece in (part.halved() if part.is_to_be_cut else [part])
                ]
        read = [part.known for part in parts if part.settled is not None and not part.is_to_be_cut]
        if (useless := _useless(parts)) is not None:
            others = [each for each in read if each is not useless.known]
            return useless.known.because(f"the part of {place_of(useless.shown)}").after([*asked, *others])
        return (await self._merged([each.answer for each in read], "")).after([*asked, *read])

    async def _ask_about(self, parts: Sequence[_Part], of: int) -> None:
        """Ask about those that have not been asked about, until one has no output to offer."""

        async def ask(at: int) -> None:
            part = parts[at]
            if part.settled is None and not _useless(parts):
                messages = self._extractor.messages(part.shown, is_part=True)
                part.settled = await self._ask(messages, SpokenText(part.shown), f"part {at + 1} of {of}")

        await _side_by_side(ask, range(len(parts)))

    async def _merged(self, answers: Sequence[str], name: str) -> Settled:
        """One answer from those for several parts; in steps where they are too long together."""
        together = await self._merge(answers, name)
        if not together.verdict.is_too_long:
            return together
        steps = await self._shortened(answers, name)
        if (failed := next((step for step in steps if step and not step.is_ok), None)) is not None:
            return failed.after([together, *(step for step in steps if step and step is not failed)])
        shorter = [step.answer if step else answers[0] for step in steps]
        merge = self._merged if len(answers) > 2 else self._merge
        return (await merge(shorter, name)).after([together, *filter(None, steps)])

    async def _shortened(self, answers: Sequence[str], name: str) -> list[Settled | None]:
        """Two shorter answers for many: of each half one. Of two, each is asked for again in few words.

        None stands for a half that is one answer already.
        """

        async def shorten(number: int) -> Settled | None:
            half = answers[: len(answers) // 2] if number == 1 else answers[len(answers) // 2 :]
            inner = f"{name} merge {number}".lstrip()
            if len(answers) > 2:
                return await self._merged(half, inner) if len(half) > 1 else None
            return await self._merge(half, inner)

        return await _side_by_side(shorten, (1, 2))

    async def _merge(self, answers: Sequence[str], name: str) -> Settled:
        settled = await self._ask(self._extractor.merge_messages(answers), self._spoken, name)
        return settled if settled.is_ok else settled.because(f"merging the answers for {len(answers)} parts")

    async def _ask(self, messages: tuple[Message, ...], spoken: SpokenText, name: str) -> Settled:
        question = _question(self._transcript, self._extractor, messages, spoken, name)
        verdict, outcomes = await settle(question, self._extractor, self._call, self._models)
        return Settled(verdict, tuple(outcomes), outcomes[-1].fallback_reason)


def _useless(parts: Iterable[_Part]) -> _Part | None:
    """The first part, in the order of the call, that has no output to offer."""
    return next((part for part in parts if part.is_useless), None)


async def _side_by_side(function: Callable[[Item], Awaitable[Result]], items: Sequence[Item]) -> list[Result]:
    """The results in the order of `items`. The first exception cancels the rest and is raised after it."""
    found: dict[int, Result] = {}

    async def one(at: int) -> tuple[int, Result]:
        return at, await function(items[at])

    async with aclosing(stream(one, range(len(items)), concurrency=PARTS_AT_A_TIME)) as results:
        async for at, result in results:
            found[at] = result
    return [found[at] for at in range(len(items))]
