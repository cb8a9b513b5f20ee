"""Numbers and names as a reader wants them. Unknown is a word, never a zero."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from llm_assets import money

UNKNOWN = "unknown"
NONE = "–"

_MOST_CHARACTERS = 200


def plain(text: object) -> str:
    """Text from a table on one line: no line breaks, no control characters, not endless."""
    shown = "".join(character if character.isprintable() else " " for character in str(text))
    shown = " ".join(shown.split())
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}…"


def short(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def count(number: float) -> str:
    return f"{number:,.0f}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 recording`, `2 recordings`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def usd(amount: Decimal | float | None) -> str:
    """An amount for people."""
    return UNKNOWN if amount is None else money.usd(amount)


def exact(number: Decimal | float | None, decimals: int = 9) -> str:
    """A number with all its digits, for a table that is copied."""
    if number is None:
        return UNKNOWN
    text = f"{number:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(part: float, whole: float) -> str:
    if not whole:
        return NONE
    # A share that is not all is never shown as all, nor one that is not nothing as nothing.
    percent = 100 * part / whole
    if 99.5 <= percent < 100 or 0 < percent < 0.5:
        return f"{min(max(percent, 0.1), 99.9):.1f}%"
    return f"{percent:.0f}%"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def signed(number: float | None) -> str:
    """A score with its sign, as typographers write it."""
    if number is None:
        return NONE
    return f"{number:+.2f}".replace("-", "−") if abs(number) >= 0.005 else "0.00"


def weekday(day: date) -> str:
    """`Mon 2 March`, without the system's language."""
    return f"{_DAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
