"""The words the rules go by, from `lexicon.toml`, and the few ways to look something up in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

Weighted = tuple[tuple[re.Pattern[str], float], ...]

_WORDS: dict[str, Any] = tomllib.loads(
    resources.files(__name__.rpartition(".")[0]).joinpath("lexicon.toml").read_text(encoding="utf-8")
)


def _expanded(pattern: str) -> str:
    """With the named parts written out."""
    for name, options in _WORDS["parts"].items():
        pattern = pattern.replace(f"<{name}>", f"(?:{'|'.join(options)})")
    return pattern


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    """One pattern for whole words in any case."""
    return re.compile(rf"(?<!\w)(?:{_expanded('|'.join(patterns))})(?!\w)", re.IGNORECASE)


def _weighted(table: Mapping[str, Sequence[str]]) -> Weighted:
    return tuple((_any(patterns), float(weight)) for weight, patterns in table.items())


def weigh(words: Weighted, plain: str) -> float:
    """The sum of the weights found; a wording that is repeated counts once."""
    return sum(weight * len(set(pattern.findall(plain))) for pattern, weight in words)


CLAUSE_START = _any(_WORDS["clause"]["start"])
STOCK = _any(_WORDS["stock"]["phrases"])
NEGATION = re.compile(rf"\b(?:{'|'.join(_WORDS['negation']['words'])})(?: \w+){{0,2}} $")
POSITIVE = _weighted(_WORDS["positive"])
NEGATIVE = _weighted(_WORDS["negative"])
INTENTS = {label: _weighted(table) for label, table in _WORDS["intents"].items()}
OUTCOMES = {label: _weighted(table) for label, table in _WORDS["outcomes"].items()}
TOPICS = {label: _any(patterns) for label, patterns in _WORDS["topics"].items()}
EFFORT = _any(_WORDS["effort"]["cues"])
DUE = _any(_WORDS["due"]["phrases"])
ENTITIES = {kind: _any(patterns) for kind, patterns in _WORDS["entities"].items()}
PROMISE = re.compile(
    rf"\b(?P<who>{'|'.join(_WORDS['promise']['who'])})(?:['’]ll| will| am going to| are going to)"
    rf" (?P<what>(?!{'|'.join(_WORDS['promise']['not'])})\w+ .*)",
    re.IGNORECASE,
)
REQUEST = re.compile(rf"\bplease (?P<what>(?:{'|'.join(_WORDS['request']['verbs'])})\b.*)", re.IGNORECASE)

_SAYS = {role: _any(patterns) for role, patterns in _WORDS["speakers"].items()}
_LABELS = {role: _any(names) for role, names in _WORDS["labels"].items()}


def role_of(plain: str) -> str | None:
    """Agent or customer by a sentence's own words, None when they do not tell."""
    agent, customer = len(_SAYS["agent"].findall(plain)), len(_SAYS["customer"].findall(plain))
    return None if agent == customer else "agent" if agent > customer else "customer"


def role_of_label(label: str) -> str | None:
    """Agent or customer by the name that a transcript gives the speaker."""
    return next((role for role, names in _LABELS.items() if names.search(label)), None)
