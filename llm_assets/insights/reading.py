"""Everything that is asked about one transcript: whole, or in parts whose answers are merged.

The first part tells how small parts have to be; the others are asked side by side, and their answers are
put in the order of the call, whichever comes first. Merging goes the same way, level by level, until one
answer is left. A part without an output ends it: what has not been asked by then is not paid for, what is
under way is waited for and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from llm_assets.insights.ask import Call, Question, settle
from llm_assets.insights.pieces import Answers, Piece, Settled
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.requests import Message
from llm_assets.llm.stream import stream
from llm_assets.records import Transcript

# A client bounds what is on the wire; this bounds how many questions about one call wait for it.
PARTS_AT_A_TIME = 16


def whole_question(transcript: Transcript, extractor: Extractor) -> Question:
    """What is asked about a transcript in one piece."""
    messages = extractor.messages(transcript)
    return _question(transcript, extractor, messages, SpokenText(transcript), "")


def _question(
    transcript: Transcript, extractor: Extractor, messages: tuple[Message, ...], spoken: SpokenText, name: str
) -> Question:
    """Only what is about the whole call, and so has no name, has a subject: the last answer kept for a call
    must never be that for a part of it."""
    whole = f"{transcript.recording_id}/{extractor.name}"
    return Question(f"{whole} {name}".rstrip(), None if name else whole, messages, spoken)


class Reading:
    """Asks about one transcript. `_asked` is everything so far, each step in the order of the call."""

    def __init__(
        self, transcript: Transcript, extractor: Extractor, call: Call, models: Sequence[str]
    ) -> None:
        self._transcript = transcript
        self._extractor = extractor
        self._call = call
        self._models = models
        self._spoken = SpokenText(transcript)
        self._asked: list[Settled] = []

    async def whole(self) -> Settled:
        """What became of the whole call; in parts only where no model takes it in one piece."""
        pieces, is_short = await self._in_pieces(self._transcript), False
        while _useless(pieces) is None and len(pieces) > 1:
            answers = tuple(piece.answer for piece in pieces)
            merged = await self._in_pieces(answers)
            if len(merged) < len(answers):
                pieces, is_short = merged, False
            elif not is_short:
                pieces, is_short = await self._in_few_words(answers), True
            else:
                too_long = next(each for each in reversed(self._asked) if each.verdict.is_too_long)
                pieces = [Piece(answers[:2], too_long)]
        return self._result(_useless(pieces) or pieces[0])

    async def _in_pieces(self, shown: Transcript | Answers) -> list[Piece]:
        """Answers about all of something, in pieces that a model takes, until one is of no use."""
        pieces = [Piece(shown)]
        await self._ask_about(pieces, of=1)
        while pieces[0].is_to_be_cut:
            pieces = [half for piece in pieces for half in piece.halved()]
            await self._ask_about(pieces[:1], of=len(pieces))
        while _useless(pieces) is None and any(piece.is_open for piece in pieces):
            await self._ask_about(pieces, of=len(pieces))
            pieces = [
                each for piece in pieces for each in (piece.halved() if piece.is_to_be_cut else [piece])
            ]
        return pieces

    async def _in_few_words(self, answers: Answers) -> list[Piece]:
        """The same answers, each asked for again."""
        pieces = [Piece((answer,)) for answer in answers]
        await self._ask_about(pieces, of=len(pieces), briefly=True)
        return pieces

    async def _ask_about(self, pieces: Sequence[Piece], *, of: int, briefly: bool = False) -> None:
        """Ask about those that are open, side by side, until one is of no use."""

        async def ask(at: int) -> None:
            if _useless(pieces) is None:
                pieces[at].settled = await self._ask(pieces[at].shown, at + 1, of)

        fresh = [at for at, piece in enumerate(pieces) if piece.is_open or briefly]
        async with aclosing(stream(ask, fresh, concurrency=PARTS_AT_A_TIME)) as asking:
            async for _ in asking:
                pass
        self._asked += [settled for at in fresh if (settled := pieces[at].settled) is not None]

    async def _ask(self, shown: Transcript | Answers, number: int, of: int) -> Settled:
        if isinstance(shown, Transcript):
            name = "" if shown is self._transcript else f"part {number} of {of}"
            messages = self._extractor.messages(shown, is_part=bool(name))
            spoken = SpokenText(shown) if name else self._spoken
        else:
            name = "" if of == 1 else f"merge {number} of {of}"
            messages, spoken = self._extractor.merge_messages(shown), self._spoken
        question = _question(self._transcript, self._extractor, messages, spoken, name)
        verdict, outcomes = await settle(question, self._extractor, self._call, self._models)
        return Settled(verdict, tuple(outcomes), outcomes[-1].fallback_reason)

    def _result(self, piece: Piece) -> Settled:
        """The piece that decides, with everything that was asked before it."""
        settled = piece.known if piece.shown is self._transcript else piece.placed()
        return settled.after(each for each in self._asked if each is not piece.known)


def _useless(pieces: Sequence[Piece]) -> Piece | None:
    """The first, in the order of the call, that was asked about in vain."""
    return next((piece for piece in pieces if piece.is_useless), None)
