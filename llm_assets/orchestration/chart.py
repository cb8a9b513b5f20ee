"""A picture of a run's calls for its metadata: answers and refusals over time, and cost by model.

An SVG of a few kilobytes inside Markdown, since Dagster's UI shows images of a data URI: no library, no
file, no network. Everything in it is a number or a model's name, escaped.
"""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from llm_assets.llm.requests import Outcome
from llm_assets.money import usd

WIDTH, HEIGHT = 640, 260
BUCKETS = 40
_LEFT, _RIGHT, _TOP, _PLOT = 48, 12, 34, 96
_BAR, _BARS_TOP = 16, 188
_MODELS = 3
_ANSWERED, _REFUSED, _COST, _INK = "#3b82f6", "#ef4444", "#10b981", "#64748b"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Answers and refusals in `BUCKETS` equal parts of `seconds`."""

    seconds: float
    answered: tuple[int, ...]
    refused: tuple[int, ...]


class CallsChart:
    """Takes in calls one by one and draws those that were sent. What it keeps of one is a few bytes."""

    def __init__(self) -> None:
        self._first = math.inf
        self._ends = array("d")
        self._answered = array("B")
        self._refused = array("L")
        self._costs: dict[str, Decimal] = {}

    def add(self, outcome: Outcome) -> None:
        """Take in one call."""
        if outcome.from_journal:
            return
        self._first = min(self._first, outcome.started_at.timestamp())
        self._ends.append(outcome.finished_at.timestamp())
        self._answered.append(outcome.answer is not None)
        self._refused.append(outcome.rate_limited)
        if outcome.model and outcome.cost_usd is not None:
            self._costs[outcome.model] = self._costs.get(outcome.model, Decimal(0)) + outcome.cost_usd

    def markdown(self) -> str | None:
        """Markdown with the picture. None when nothing was sent: then there is nothing to see."""
        if not self._ends:
            return None
        dearest = sorted(self._costs.items(), key=lambda each: each[1], reverse=True)[:_MODELS]
        encoded = base64.b64encode(_svg(self.timeline(), dearest).encode()).decode("ascii")
        return f"![Calls over time and cost by model](data:image/svg+xml;base64,{encoded})"

    def timeline(self) -> Timeline:
        """When calls were answered, and where on the way they were refused."""
        seconds = max(self._ends) - self._first if self._ends else 0.0
        answered, refused = [0] * BUCKETS, [0] * BUCKETS
        for end, is_answered, refusals in zip(self._ends, self._answered, self._refused, strict=True):
            at = min(int((end - self._first) / seconds * BUCKETS), BUCKETS - 1) if seconds > 0 else 0
            answered[at] += is_answered
            refused[at] += refusals
        return Timeline(seconds, tuple(answered), tuple(refused))


def _svg(line: Timeline, costs: Sequence[tuple[str, Decimal]]) -> str:
    per_minute = 60 * BUCKETS / line.seconds if line.seconds > 0 else 0.0
    highest = max(*line.answered, *line.refused, 1)
    rate = f"peak {max(line.answered) * per_minute:,.0f} answers a minute" if per_minute else "one moment"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="{_INK}">',
        _text(_LEFT, 18, f"Answers over {line.seconds:,.1f} s, {rate}"),
        *_columns(line.answered, highest, _ANSWERED),
        *_columns(line.refused, highest, _REFUSED),
        _text(_LEFT, _TOP + _PLOT + 18, "0 s"),
        _text(WIDTH - _RIGHT, _TOP + _PLOT + 18, f"{line.seconds:,.1f} s", anchor="end"),
        _text(WIDTH - _RIGHT, 18, f"{sum(line.refused):,} refused", anchor="end", fill=_REFUSED),
        _text(_LEFT, _BARS_TOP - 10, "Cost by model"),
        *_bars(costs),
        "</svg>",
    ]
    return "".join(parts)


def _columns(counts: Sequence[int], highest: int, colour: str) -> list[str]:
    width = (WIDTH - _LEFT - _RIGHT) / BUCKETS
    return [
        f'<rect x="{_LEFT + number * width:.1f}" y="{_TOP + _PLOT * (1 - count / highest):.1f}" '
        f'width="{width - 1:.1f}" height="{_PLOT * count / highest:.1f}" fill="{colour}"/>'
        for number, count in enumerate(counts)
        if count
    ]


def _bars(costs: Sequence[tuple[str, Decimal]]) -> list[str]:
    dearest = max((cost for _, cost in costs), default=Decimal(0)) or Decimal(1)
    room = WIDTH - _LEFT - _RIGHT - 300
    parts: list[str] = []
    for number, (name, cost) in enumerate(costs):
        y = _BARS_TOP + number * (_BAR + 6)
        parts += [
            _text(_LEFT, y + 12, name[:32]),
            f'<rect x="{_LEFT + 210}" y="{y}" width="{float(cost / dearest) * room:.1f}" height="{_BAR}" '
            f'fill="{_COST}"/>',
            _text(_LEFT + 218 + float(cost / dearest) * room, y + 12, usd(cost)),
        ]
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = _INK) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
