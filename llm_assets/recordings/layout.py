"""Where the recordings of a day are below the root: a pattern, compiled when definitions load.

    {date:%Y-%m-%d}/**/*            a folder for each day, and whatever is below it
    {date:%Y/%m/%d}/*.wav           nested folders, only what lies directly in the innermost
    calls/{date:%Y%m%d}_*           the day is in the name of the recording
    */{date:%Y-%m-%d}/**/*          a folder for each agent, in it one for each day
    **/*                            no date: the day on which a recording was last modified

`*` and `?` stay within one name, `**` is any number of folders. For one day the dates are plain text, so
whatever stands before the first wildcard never has to be looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

from llm_assets.recordings.pattern import Segment, Token, parsed

# What a date is made of: how it is written for a day, and what it looks like.
_WRITTEN: Mapping[str, Callable[[date], str]] = {
    "Y": lambda day: f"{day.year:04}",
    "m": lambda day: f"{day.month:02}",
    "d": lambda day: f"{day.day:02}",
    "y": lambda day: f"{day.year % 100:02}",
    "j": lambda day: f"{day.timetuple().tm_yday:03}",
}
_LOOKS_LIKE = {
    "Y": "(?:19|20)[0-9]{2}",
    "m": "(?:0[1-9]|1[0-2])",
    "d": "(?:0[1-9]|[12][0-9]|3[01])",
    "y": "[0-9]{2}",
    "j": "[0-3][0-9]{2}",
}
# Lazily, so that of two dates in a name the first one counts.
_WILDCARDS = {"*": "[^/]*?", "?": "[^/]", "**": ".*"}
_FOLDERS = "(?:[^/]+/)*?"


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be listed: all that begins with `head` in the folders that match `folders`, one in another.

    `is_deep` is whether folders below it are wanted too. Days with equal plans are one listing.
    """

    folders: tuple[Segment, ...]
    head: str
    is_deep: bool


@dataclass(frozen=True)
class Layout:
    """A compiled pattern. `has_date` is false when the day is the one of the last modification."""

    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, pattern: str) -> Layout:
        """Raises ValueError that says what is wrong with the pattern."""
        layout = cls(parsed(pattern, frozenset(_WRITTEN)))
        _require_a_whole_date(layout.letters)
        return layout

    @cached_property
    def letters(self) -> frozenset[str]:
        return frozenset(token.value for segment in self.segments for token in segment if token.is_date)

    @property
    def has_date(self) -> bool:
        return bool(self.letters)

    @property
    def names_its_extension(self) -> bool:
        """Whether the pattern itself says how the names of recordings end."""
        return self.segments[-1][-1].is_text

    @property
    def extension(self) -> str:
        """How the pattern says that names end (`.wav`), empty if it leaves that open."""
        _, dot, extension = self.segments[-1][-1].value.rpartition(".")
        return dot + extension if dot and self.names_its_extension else ""

    def plan(self, day: date) -> Plan:
        """What to list for this day: as little as the pattern allows."""
        segments = [_filled(segment, day) for segment in self.segments]
        last = len(segments) - 1
        wild = (
            index
            for index, segment in enumerate(segments)
            if is_deep(segment) or (index >= self._last_dated and not is_plain(segment))
        )
        stop = min(next(wild, last), last)
        return Plan(tuple(segments[:stop]), head(segments[stop]), stop < last or is_deep(segments[stop]))

    def has_place_for(self, path: str) -> bool:
        return self._regex.fullmatch(path) is not None

    def day_of(self, path: str) -> date | None:
        """The day a path belongs to, None if it is not in the layout. Only for a layout with a date."""
        found = self._regex.fullmatch(path)
        return found and date_of(found.groupdict())

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        """In any case: `*.wav` means `CALL.WAV` too."""
        *folders, name = self.segments
        known: set[str] = set()
        parts = [_FOLDERS if is_deep(each) else regex_of(each, known) + "/" for each in folders]
        return re.compile("".join([*parts, regex_of(name, known)]), re.IGNORECASE | re.DOTALL)

    @cached_property
    def _last_dated(self) -> int:
        dated = [index for index, segment in enumerate(self.segments) if any(t.is_date for t in segment)]
        return max(dated, default=-1)


@lru_cache(maxsize=64)
def layout_of(pattern: str) -> Layout:
    """See `Layout.of`: compiled once for each pattern."""
    return Layout.of(pattern)


def is_plain(segment: Segment) -> bool:
    return all(token.is_text for token in segment)


def is_deep(segment: Segment) -> bool:
    return segment[0].value == "**"


def head(segment: Segment) -> str:
    """The plain text that a name begins with."""
    return segment[0].value if segment[0].is_text else ""


def name_matches(segment: Segment, name: str) -> bool:
    return re.fullmatch(regex_of(segment, set()), name, re.IGNORECASE) is not None


def regex_of(segment: Segment, known: set[str]) -> str:
    """A part of the date that is `known` already has to be the same again; the others become known."""
    parts: list[str] = []
    for token in segment:
        if token.is_text:
            parts.append(re.escape(token.value))
        elif not token.is_date:
            parts.append(_WILDCARDS[token.value])
        elif token.value in known:
            parts.append(f"(?P={token.value})")
        else:
            known.add(token.value)
            parts.append(f"(?P<{token.value}>{_LOOKS_LIKE[token.value]})")
    return "".join(parts)


def date_of(parts: Mapping[str, str]) -> date | None:
    """The day that all parts together are; None if there is no such day."""
    numbers = {letter: int(value) for letter, value in parts.items()}
    year = numbers["Y"] if "Y" in numbers else 2000 + numbers["y"]
    try:
        if "m" in numbers and "d" in numbers:
            day = date(year, numbers["m"], numbers["d"])
        else:
            day = date(year, 1, 1) + timedelta(days=numbers["j"] - 1)
    except (ValueError, OverflowError):
        return None
    return day if all(_WRITTEN[letter](day) == value for letter, value in parts.items()) else None


def _filled(segment: Segment, day: date) -> Segment:
    """Dates as text, and neighbouring texts as one, so that the head is as long as can be."""
    return tuple(_joined([_written(token, day) for token in segment]))


def _written(token: Token, day: date) -> Token:
    return Token("text", _WRITTEN[token.value](day)) if token.is_date else token


def _joined(tokens: Sequence[Token]) -> Iterator[Token]:
    text = ""
    for token in tokens:
        if token.is_text:
            text += token.value
            continue
        if text:
            yield Token("text", text)
        text = ""
        yield token
    if text:
        yield Token("text", text)


def _require_a_whole_date(letters: frozenset[str]) -> None:
    if letters and not letters & {"Y", "y"}:
        raise ValueError("the date has no year (%Y)")
    if letters and "j" not in letters and not letters >= {"m", "d"}:
        missing = "day (%d)" if "m" in letters else "month (%m)"
        raise ValueError(f"the date has no {missing}")
