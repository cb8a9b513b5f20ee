"""A made month of a support line, with everything that goes wrong in one, and a week of the month before."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.columns import output_columns
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Column, Table, insights_table

INSIGHTS = insights_table(
    "insights", [Column(c.name, c.sql_type, c.description) for c in output_columns(CallInsights)]
)
EVIL = '<script>document.title = "owned"</script>'

FEBRUARY = [date(2026, 2, day) for day in range(20, 29)]
MARCH = [date(2026, 3, day) for day in range(1, 32) if day != 17]  # one day nobody recorded anything
UNFINISHED = date(2026, 3, 31)  # transcribed, not yet extracted

_TOPICS = ("late delivery", "billing error", "refund", "login", "contract renewal", "broken kettle", "tariff",
           "internet outage", "router", "opening hours", "gift card", "data protection")  # fmt: skip
_INTENTS = ("information", "support", "complaint", "refund", "cancellation", "praise")
_OUTCOMES = ("resolved", "resolved", "escalated", "follow_up", "refunded", "unresolved")


def write_month(path: str) -> None:
    """Some forty recordings a day, fewer on weekends, the same on every call."""
    chance = random.Random(7)
    days = [*FEBRUARY, *MARCH]
    kept = [_Kept(chance, day, number) for day in days for number in range(_many(chance, day))]
    replace_partition(path, RECORDINGS, days, pd.DataFrame([each.recording for each in kept]))
    replace_partition(path, TRANSCRIPTS, days, pd.DataFrame([each.transcript for each in kept]))
    finished = [each for each in kept if each.day != UNFINISHED]
    extracted = [day for day in days if day != UNFINISHED]
    replace_partition(path, INSIGHTS, extracted, pd.DataFrame([each.insight for each in finished]))


def write_custom(path: str, table: Table, days: list[date], rows: list[dict[str, Any]]) -> None:
    """The rows of an output model of one's own, with what every extractor's table has."""
    common = {"status": "ok", "model": "gpt-6-luna", "provider": "openai", "from_journal": False}
    replace_partition(path, table, days, pd.DataFrame([common | row for row in rows]))


def _many(chance: random.Random, day: date) -> int:
    return chance.randint(8, 14) if day.weekday() >= 5 else chance.randint(34, 48)


class _Kept:
    """One recording and the rows it has in the three tables."""

    def __init__(self, chance: random.Random, day: date, number: int) -> None:
        self._chance, self.day = chance, day
        self._keys = {"partition_date": day, "recording_id": f"{day:%m%d}{number:03}"}
        self._number = number
        self._sent = datetime(day.year, day.month, day.day, 3, tzinfo=UTC) + timedelta(
            days=1, seconds=chance.triangular(0, 2400, 600)
        )
        self._seconds = round(chance.triangular(20, 900, 180), 2)
        self._status, self._error = self._fate()
        self.recording = self._recording()
        self.transcript = self._transcript()
        self.insight = self._insight()

    def _fate(self) -> tuple[str, str | None]:
        draw = self._chance.random()
        if draw < 0.03:
            self._seconds = round(self._chance.uniform(0.5, 4.9), 2)
            return "too_short", f"{self._seconds} s is shorter than 5 s"
        if draw < 0.04:
            return "unreadable", "Invalid data found when processing input"
        if draw < 0.05:
            return "failed", f"the answer did not come in 300 s {EVIL}"
        if draw < 0.065:
            return "refused", "The model refused: it was asked for a customer's card number."
        return "ok", None

    @property
    def _heard(self) -> bool:
        return self._status not in ("too_short", "unreadable")

    def _recording(self) -> dict[str, Any]:
        name = f"{self._number:03}-{self._chance.choice(_INTENTS)}.ogg"
        status = "ok" if self._heard else self._status
        return self._keys | {
            "path": f"data/recordings/{self.day}/{name}",
            "file_name": name,
            "size_bytes": int(self._seconds * 3000),
            "sha256": str(self._keys["recording_id"]) * 9,
            "format": "ogg",
            "channels": 1,
            "sample_rate": 16_000,
            "duration_seconds": self._seconds,
            "status": status,
            "error": None if self._heard else self._error,
        }

    def _transcript(self) -> dict[str, Any]:
        if not self._heard:
            return self._keys | {
                "status": self._status,
                "error": self._error,
                "segments": "[]",
                "llm_calls": "[]",
            }
        cost = Decimal(str(self._seconds)) / 60 * Decimal("0.0045")
        call = self._call("gpt-transcribe", "transcription", cost, audio_seconds=self._seconds)
        return self._keys | {
            "status": "ok",
            "text": "Hello, how can I help?",
            "language": "en",
            "duration_seconds": self._seconds,
            "chunk_count": 1,
            "model": "gpt-transcribe",
            "provider": "openai",
            "from_journal": call["from_journal"],
            "cost_usd": cost,
            "segments": "[]",
            "llm_calls": json.dumps([call], default=str),
        }

    def _insight(self) -> dict[str, Any]:
        output = dict.fromkeys(CallInsights.model_fields)
        if self._status != "ok":
            calls = [] if not self._heard else [self._call("gpt-6.1-sol", "chat", None, status="failed")]
            end = {"status": self._status, "error": self._error, "llm_calls": json.dumps(calls, default=str)}
            return self._keys | output | end
        model, price = self._model()
        read, written = self._chance.randint(600, 2400), self._chance.randint(150, 420)
        cost = None if price is None else (read * price[0] + written * price[1]) / 1_000_000
        fallback = None if model == "gpt-6.1-sol" else "gpt-6.1-sol: overloaded"
        call = self._call(
            model, "chat", cost, input_tokens=read, cached_tokens=read // 4, output_tokens=written,
            fallback_reason=fallback,
        )  # fmt: skip
        return self._keys | self._output() | {
            "status": "ok",
            "model": model,
            "provider": "openai",
            "fallback_reason": fallback,
            "from_journal": call["from_journal"],
            "input_tokens": read,
            "output_tokens": written,
            "cost_usd": cost,
            "llm_calls": json.dumps([call], default=str),
        }  # fmt: skip

    def _model(self) -> tuple[str, tuple[Decimal, Decimal] | None]:
        return self._chance.choices(
            [
                ("gpt-6.1-sol", (Decimal("2"), Decimal("10"))),
                ("gpt-6-luna", (Decimal("0.1"), Decimal("0.5"))),
                ("house-model", None),
            ],
            [88, 9, 3],
        )[0]

    def _output(self) -> dict[str, Any]:
        upset = 0.25 + 0.2 * (self.day.month == 3 and 9 <= self.day.day <= 13)  # an outage in the second week
        label = self._chance.choices(
            ["positive", "neutral", "negative", "mixed"], [0.35, 0.65 - upset, upset, 0.1]
        )[0]
        score = {"positive": 0.6, "neutral": 0.0, "negative": -0.6, "mixed": -0.1}[label]
        return {
            "summary": f"A call about {EVIL}",
            "sentiment": {"label": label, "score": round(score + self._chance.uniform(-0.3, 0.3), 2)},
            "topics": list(self._topics(upset > 0.3)),
            "intent": self._chance.choice(_INTENTS),
            "outcome": self._chance.choice(_OUTCOMES),
            "action_items": [],
            "entities": [],
            "customer_effort": self._chance.choices([1, 2, 3, 4, 5], [3, 5, 4, 2, 1])[0],
            "language": self._chance.choices(["en", "de", "fr"], [90, 7, 3])[0],
            "quotes": [],
            "confidence": 0.9,
        }

    def _topics(self, outage: bool) -> Iterator[str]:
        weights = [1 / (place + 1.5) for place in range(len(_TOPICS))]
        if outage:
            weights[_TOPICS.index("internet outage")] = 1.5
        yield from dict.fromkeys(self._chance.choices(_TOPICS, weights, k=self._chance.randint(1, 3)))
        if self._chance.random() < 0.02:
            yield EVIL

    def _call(self, model: str, endpoint: str, cost_usd: Decimal | None, **more: Any) -> dict[str, Any]:
        hit = self.day.day in (4, 5) and more.get("status") != "failed"
        refused = int(not hit and self._chance.random() < 0.01)
        latency = round(self._chance.triangular(0.8, 9, 2.2), 3)
        waited = 0.0 if hit else round(self._chance.triangular(0, 12, 0.5), 3)
        return {
            "run_id": f"run-{self.day}",
            "provider": "openai",
            "model": model,
            "endpoint": endpoint,
            "attempts": 0 if hit else 1 + refused,
            "rate_limited": refused,
            "wait_seconds": waited,
            "latency_seconds": 0.0 if hit else latency,
            "cost_usd": cost_usd,
            "from_journal": hit,
            "status": "answered",
            "http_status": 200,
            "started_at": self._sent.isoformat(),
            "finished_at": (self._sent + timedelta(seconds=waited + latency)).isoformat(),
        } | more
