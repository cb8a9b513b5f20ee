"""Months as values: their days, their neighbours and their names."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from llm_assets.errors import ConfigurationError
from llm_assets.report.text import MONTHS

_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})(-01)?")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar. As text it is `2026-03`."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2026-03`, or its first day, as Dagster writes it. Raises ConfigurationError."""
        found = _MONTH.fullmatch(text.strip())
        if not found or not 1 <= int(found["month"]) <= 12 or found["year"] == "0000":
            raise ConfigurationError(f"{text!r} is not a month: write it as YYYY-MM, such as 2026-03")
        return cls(int(found["year"]), int(found["month"]))

    @classmethod
    def of(cls, day: date) -> Month:
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def name(self) -> str:
        return f"{MONTHS[self.month - 1]} {self.year}"

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=number) for number in range(self.last.day))

    @property
    def before(self) -> Month:
        """The month before; the first month there is, January of year 1, stands before itself."""
        return self if self.first == date.min else Month.of(self.first - timedelta(days=1))
