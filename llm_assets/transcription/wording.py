"""Texts put together and measured, in languages with spaces between words and in those without. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from llm_assets.records import Segment

# Scripts written without spaces: Thai, Lao, Tibetan, Burmese, Khmer, then Chinese and Japanese with their
# punctuation and full-width forms.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff00-\uffef\U00020000-\U0003ffff]"
)
# A character that is a syllable or a word: kana, Chinese characters, Hangul.
_SYLLABLE = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
_LETTERS_PER_SYLLABLE = 3
LETTERS_PER_WORD = 5


def joined(texts: Iterable[str]) -> str:
    """The texts one after the other, with a space between them unless both sides are written without."""
    whole: list[str] = []
    for text in filter(None, (text.strip() for text in texts)):
        if whole and not (_UNSPACED.match(whole[-1][-1]) and _UNSPACED.match(text[0])):
            whole.append(" ")
        whole.append(text)
    return "".join(whole)


def letter_count(text: str) -> int:
    """Letters and digits; a character that is a syllable counts as three of them.

    So a minute of talk is about as many in every language, whatever it is written in.
    """
    letters = sum(character.isalnum() for character in text)
    return letters + (_LETTERS_PER_SYLLABLE - 1) * len(_SYLLABLE.findall(text))


def dialogue(segments: Iterable[Segment]) -> str:
    """A line for every turn, `speaker: what is said`; a turn of nobody known is the bare words."""
    turns = groupby(segments, key=lambda segment: (segment.channel, segment.speaker))
    return "\n".join(_turn(*who, joined(each.text for each in said)) for who, said in turns)


def _turn(channel: int | None, speaker: str | None, words: str) -> str:
    name = speaker or ("" if channel is None else f"channel {channel}")
    return f"{name}: {words}" if name else words
