"""A transcript as it stands in a prompt, taken apart into sentences.

Tolerant on purpose: numbered lines (`[3 00:12 agent] …`), `Agent: …`, or one run of lower-case words
without any punctuation, as a speech recogniser gives it. A sentence's text is always verbatim.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from llm_assets.emulator.extraction import lexicon

_HEADER = re.compile(r"^[\s#*]*(?:the )?transcript\b[^\n:]{0,40}:[ \t]*", re.IGNORECASE | re.MULTILINE)
_LINE = re.compile(r"^\s*\[(?P<head>[^\]\n]{0,80})\]\s*(?P<text>.*)$")
_SPEAKER = re.compile(r"^\s*(?P<head>[A-Za-z][\w ]{0,24}):\s+(?P<text>.+)$")
_FENCE = re.compile(r"^\s*(?:```\w*|\"\"\"|</?[A-Za-z_]+>)\s*$")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_TIME = re.compile(r"\d+:\d\d(?::\d\d)?(?:[.,]\d+)?")
_LONG_CLAUSE_WORDS, _SHORT_CLAUSE_WORDS = 14, 4


@dataclass(frozen=True, slots=True)
class Sentence:
    """`plain` is the text in lower case without punctuation. `role` is agent, customer or None."""

    text: str
    plain: str
    segment_index: int | None
    speaker: str | None
    role: str | None = None


@dataclass(frozen=True)
class CallTranscript:
    """All sentences of a call in order."""

    sentences: tuple[Sentence, ...]

    @cached_property
    def plain(self) -> str:
        return " . ".join(sentence.plain for sentence in self.sentences)

    @property
    def word_count(self) -> int:
        return sum(len(sentence.plain.split()) for sentence in self.sentences)


def find_transcript(user_messages: Iterable[str]) -> CallTranscript:
    """The transcript in the last user message that holds one, else the whole last user message.

    A repair request comes after the transcript; it holds none, so the one before it counts.
    """
    texts = list(user_messages) or [""]
    marked = [text for text in texts if _HEADER.search(text) or any(map(_LINE.match, text.splitlines()))]
    return parse_transcript((marked or texts)[-1])


def parse_transcript(text: str) -> CallTranscript:
    """The sentences of the text after a `Transcript:` heading, or of the whole text."""
    heading = _HEADER.search(text)
    body = text[heading.end() :] if heading else text
    lines = [line for line in body.splitlines() if line.strip() and not _FENCE.match(line)]
    return CallTranscript(tuple(_with_roles(list(_sentences(lines)))))


def plain_words(text: str) -> str:
    """Lower case, straight apostrophes, no other punctuation, single spaces."""
    return " ".join(re.sub(r"[^\w'@.+-]|(?<!\d)\.|\.(?!\d)", " ", text.lower().replace("’", "'")).split())


def _sentences(lines: list[str]) -> Iterator[Sentence]:
    for ordinal, line in enumerate(lines):
        index, speaker, text = _parts(line, ordinal)
        for piece in _SENTENCE_END.split(text):
            for clause in _clauses(piece.strip()):
                yield Sentence(clause, plain_words(clause), index, speaker)


def _parts(line: str, ordinal: int) -> tuple[int | None, str | None, str]:
    """Segment index, speaker and words of one line."""
    if bracketed := _LINE.match(line):
        words = bracketed["head"].replace(",", " ").split()
        numbers = [word for word in words if word.isdigit()]
        named = [word for word in words if not word.isdigit() and not _TIME.fullmatch(word)]
        return int(numbers[0]) if numbers else ordinal, " ".join(named) or None, bracketed["text"]
    if spoken := _SPEAKER.match(line):
        return None, spoken["head"].strip(), spoken["text"]
    return None, None, line.strip()


def _clauses(piece: str) -> Iterator[str]:
    """A long run without punctuation is cut where a clause seems to begin; anything else stays whole."""
    if len(piece.split()) <= _LONG_CLAUSE_WORDS or re.search(r"[,;.?!]", piece):
        if piece:
            yield piece
        return
    start = 0
    for cue in lexicon.CLAUSE_START.finditer(piece):
        if len(piece[start : cue.start()].split()) >= _SHORT_CLAUSE_WORDS:
            yield piece[start : cue.start()].strip()
            start = cue.start()
    yield piece[start:].strip()


def _with_roles(sentences: list[Sentence]) -> Iterator[Sentence]:
    """Who is agent and who is customer: by the label's name, else by what the label's owner says."""
    votes: dict[str, Counter[str]] = {}
    for sentence in sentences:
        guess = lexicon.role_of(sentence.plain)
        if sentence.speaker and guess:
            votes.setdefault(sentence.speaker, Counter())[guess] += 1
    for sentence in sentences:
        if sentence.speaker is None:
            yield replace(sentence, role=lexicon.role_of(sentence.plain))
            continue
        named = lexicon.role_of_label(sentence.speaker)
        voted = votes.get(sentence.speaker, Counter()).most_common(1)
        yield replace(sentence, role=named or (voted[0][0] if voted else None))
