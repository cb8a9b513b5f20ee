"""How the customer feels, from weighed words. A negated word counts for the other side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from llm_assets.emulator.extraction import lexicon
from llm_assets.emulator.extraction.transcript import CallTranscript, Sentence

_CLEAR = 0.2
_MOST_THANKS = 0.5


@dataclass(frozen=True, slots=True)
class Feelings:
    """Weights of what sounds pleased and of what does not."""

    positive: float = 0.0
    negative: float = 0.0

    def __add__(self, other: Feelings) -> Feelings:
        return Feelings(self.positive + other.positive, self.negative + other.negative)

    @property
    def score(self) -> float:
        """-1 (furious) to 1 (delighted); few words never reach the ends."""
        return round((self.positive - self.negative) / (self.positive + self.negative + 1.5), 2)

    @property
    def label(self) -> str:
        weaker, stronger = sorted((self.positive, self.negative))
        if weaker >= 2 and weaker / stronger > 0.6:
            return "mixed"
        if abs(self.score) < _CLEAR:
            return "neutral"
        return "positive" if self.score > 0 else "negative"

    @property
    def strength(self) -> float:
        return self.positive + self.negative


@lru_cache(maxsize=4096)
def feelings_of(sentence: Sentence) -> Feelings:
    """What one sentence says about how its speaker feels, politeness aside."""
    plain = lexicon.STOCK.sub(" ", sentence.plain)
    positive, flipped_negative = _weigh(plain, lexicon.POSITIVE)
    negative, flipped_positive = _weigh(plain, lexicon.NEGATIVE)
    if positive <= _MOST_THANKS and not flipped_negative:
        positive = min(positive, _MOST_THANKS)
    return Feelings(positive + flipped_positive / 4, negative + flipped_negative)


def customer_feelings(transcript: CallTranscript) -> Feelings:
    """The customer's own sentences; what nobody is known to have said counts too."""
    return sum(
        (feelings_of(sentence) for sentence in transcript.sentences if sentence.role != "agent"), Feelings()
    )


def _weigh(plain: str, words: lexicon.Weighted) -> tuple[float, float]:
    """Weights of the words as they stand, and of those that are negated."""
    straight = flipped = 0.0
    for pattern, weight in words:
        for found in pattern.finditer(plain):
            if lexicon.NEGATION.search(plain, 0, found.start()):
                flipped += weight
            else:
                straight += weight
    return straight, flipped


def strongest(sentences: Sequence[Sentence], count: int) -> list[Sentence]:
    """The sentences that say most about why the customer called and how they felt, in order."""
    weights = [_weight(sentence) for sentence in sentences]
    ranked = sorted(range(len(sentences)), key=lambda index: -weights[index])[:count]
    return [sentences[index] for index in sorted(ranked) if weights[index] > 0]


def _weight(sentence: Sentence) -> float:
    if sentence.role == "agent" or not 3 <= len(sentence.plain.split()) <= 40:
        return 0.0
    reasons = sum(lexicon.weigh(words, sentence.plain) for words in lexicon.INTENTS.values())
    return feelings_of(sentence).strength + reasons
