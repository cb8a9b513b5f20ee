"""Everything the rules find in one call. docs/emulator.md has the same rules as a table.

Each finding is made once, when it is asked for first, and none of them is a guess beyond the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from llm_assets.emulator.extraction import lexicon
from llm_assets.emulator.extraction.feelings import Feelings, customer_feelings, strongest
from llm_assets.emulator.extraction.transcript import CallTranscript, Sentence

_MOST_TOPICS, _MOST_ENTITIES, _MOST_QUOTES, _MOST_ACTIONS = 5, 8, 2, 6
_MOST_ACTION_WORDS = 16
_LOOSE_ENDS = ("and", "but", "or", "when", "that", "because", "goodbye", "good", "bye")

_INTENT_SENTENCES = {
    "refund": "The customer asks for a refund.",
    "cancellation": "The customer wants to cancel.",
    "complaint": "The customer complains.",
    "support": "The customer reports that something does not work.",
    "purchase": "The customer wants to buy something.",
    "praise": "The customer calls to give praise.",
    "information": "The customer asks a question.",
    "other": "The call has none of the usual reasons.",
}
_OUTCOME_SENTENCES = {
    "refunded": "A refund was granted.",
    "cancelled": "The cancellation was accepted.",
    "escalated": "It was handed to somebody else.",
    "resolved": "It was settled in the call.",
    "follow_up": "Somebody will come back to it.",
    "unresolved": "It was left open.",
    "not_applicable": "There was nothing to settle.",
}


class Reading:
    """One transcript, read."""

    def __init__(self, transcript: CallTranscript) -> None:
        self.transcript = transcript

    @cached_property
    def feelings(self) -> Feelings:
        return customer_feelings(self.transcript)

    @property
    def intent(self) -> str:
        return self._said_intent or "other"

    @property
    def outcome(self) -> str:
        """A wrong number and praise have nothing to settle, whatever is promised on the way."""
        if self.intent in ("praise", "other"):
            return "not_applicable"
        return self._said_outcome or ("resolved" if self.intent == "information" else "unresolved")

    @cached_property
    def topics(self) -> list[str]:
        """The subjects, most mentioned first."""
        counts = {name: len(words.findall(self.transcript.plain)) for name, words in lexicon.TOPICS.items()}
        return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])[
            :_MOST_TOPICS
        ]

    @cached_property
    def quotes(self) -> list[Sentence]:
        return strongest(self.transcript.sentences, _MOST_QUOTES)

    @cached_property
    def action_items(self) -> list[dict[str, Any]]:
        items = [item for sentence in self.transcript.sentences if (item := _action(sentence))]
        return items[:_MOST_ACTIONS]

    @cached_property
    def entities(self) -> list[dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for sentence in self.transcript.sentences:
            for kind, name in _entities(sentence.text):
                found.setdefault(name.lower(), {"name": name, "kind": kind})
        return list(found.values())[:_MOST_ENTITIES]

    @cached_property
    def effort(self) -> int:
        """1 (done at once) to 5 (several contacts and still not done)."""
        spoken = (part.plain for part in self.transcript.sentences if part.role != "agent")
        cues = sum(len(set(lexicon.EFFORT.findall(plain))) for plain in spoken)
        open_ended = self.outcome in ("unresolved", "escalated", "follow_up")
        return min(5, 1 + cues + (1 if open_ended and self.intent != "information" else 0))

    @cached_property
    def confidence(self) -> float:
        """Never high: these are rules. Lower for few words and for findings without a cue."""
        words = self.transcript.word_count
        said = (self._said_intent is not None, self._said_outcome is not None, self.feelings.strength >= 2)
        return round(0.2 + 0.15 * sum(said) + (0.15 if words >= 40 else 0.0), 2)

    @cached_property
    def summary(self) -> str:
        said = f"“{self.quotes[0].text}” " if self.quotes else ""
        if not said and self.topics:
            said = f"It is about: {', '.join(self.topics)}. "
        return f"{_INTENT_SENTENCES[self.intent]} {said}{_OUTCOME_SENTENCES[self.outcome]}"

    @cached_property
    def _said_intent(self) -> str | None:
        return _best(lexicon.INTENTS, self.transcript.plain)

    @cached_property
    def _said_outcome(self) -> str | None:
        return _best(lexicon.OUTCOMES, self.transcript.plain)


def _best(labels: Mapping[str, lexicon.Weighted], plain: str) -> str | None:
    """The label with the greatest weight, None without any."""
    scores = {label: lexicon.weigh(words, plain) for label, words in labels.items()}
    best = max(scores, key=lambda label: scores[label])
    return best if scores[best] >= 1 else None


def _action(sentence: Sentence) -> dict[str, Any] | None:
    promise = lexicon.PROMISE.search(sentence.text)
    found = promise or lexicon.REQUEST.search(sentence.text)
    if found is None:
        return None
    due = lexicon.DUE.search(found["what"])
    what = found["what"].replace(due[0], " ") if due else found["what"]
    words = re.sub(r"[.?!,;]+\s*$", "", " ".join(what.split())).split()[:_MOST_ACTION_WORDS]
    while words and words[-1].lower() in _LOOSE_ENDS:
        words.pop()
    if not words:
        return None
    phrase = " ".join(words)
    owner = _owner(promise["who"].lower(), sentence) if promise else _other(sentence)
    return {"what": phrase[0].upper() + phrase[1:], "owner": owner, "due": due[0] if due else None}


def _owner(who: str, sentence: Sentence) -> str | None:
    if who in ("i", "we"):
        return sentence.role or "agent"
    return who.removeprefix("our ").removeprefix("my ") if who.startswith(("our ", "my ")) else None


def _other(sentence: Sentence) -> str:
    """Whoever is asked is not the one who asks."""
    return "customer" if sentence.role == "agent" else "agent"


def _entities(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in lexicon.ENTITIES.items():
        for found in pattern.finditer(text):
            named = next((part for part in found.groups() if part), found[0])
            yield kind, named.strip(" .,")
