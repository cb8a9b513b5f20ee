"""What a materialization reports: numbers that the UI plots over partitions, and a few rows to look at.

Everything is computed for one partition. `cost_usd` is what the rows cost when they were paid for,
`spent_usd` what this run added to the bill: the same partition again costs the same and spends nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from llm_assets.insights.quality import QualityCounts
from llm_assets.llm.metrics import MetricsSnapshot
from llm_assets.llm.requests import Outcome
from llm_assets.money import usd_number
from llm_assets.records import RowStatus
from llm_assets.usage import Usage

if TYPE_CHECKING:
    from llm_assets.warehouse.plain import Rows

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 100
WAITS = ("limit", "budget", "retry", "concurrency", "cool_down", "same_request")

# Shown nowhere in a preview: the same in all rows, long, or of no meaning to a person.
_NOT_PREVIEWED = frozenset({
    "partition_date", "recording_id", "sha256", "path", "segments", "llm_calls", "prompt_version",
    "from_journal", "fallback_reason", "transcribed_at", "extracted_at", "provider", "latency_seconds",
    "input_tokens", "output_tokens", "chunk_count", "size_bytes",
})  # fmt: skip


def row_metadata(rows: Rows, upstream: Rows | None = None) -> dict[str, Any]:
    """Counts by status, seconds of audio and a preview of the rows of one partition, made of `upstream`."""
    statuses = Counter(map(str, rows.columns["status"]))
    counted = {f"rows_{status}": statuses[status] for status in RowStatus if statuses[status]}
    metadata: dict[str, Any] = {"dagster/partition_row_count": len(rows), "rows": len(rows), **counted}
    if "duration_seconds" in rows.columns:
        seconds = (seconds or 0.0 for seconds in rows.columns["duration_seconds"])
        metadata["audio_seconds"] = round(float(sum(seconds)), 3)
    return metadata | {"preview": dg.MetadataValue.md(preview(rows, upstream))}


@dataclass(slots=True)
class CallSums:
    """What the calls of one partition add up to, taken in one by one."""

    calls: int = 0
    journal_hits: int = 0
    fallbacks: int = 0
    attempts: int = 0
    rate_limited: int = 0
    wait_seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal = Decimal(0)
    spent_usd: Decimal = Decimal(0)
    calls_of_unknown_price: int = 0
    by_model: dict[str, tuple[int, Decimal]] = field(default_factory=dict[str, tuple[int, Decimal]])
    quality: QualityCounts = field(default_factory=QualityCounts)

    def add(self, outcome: Outcome) -> None:
        """Take in one call."""
        cost_usd = outcome.cost_usd or Decimal(0)
        self.calls += 1
        self.journal_hits += outcome.from_journal
        self.attempts += outcome.attempts
        self.rate_limited += outcome.rate_limited
        self.wait_seconds += outcome.wait_seconds
        self.usage += outcome.usage
        self.cost_usd += cost_usd
        self.spent_usd += outcome.spent_usd
        if outcome.answer is None:
            return
        name = f"{outcome.provider}.{outcome.model}"
        calls, of_model_usd = self.by_model.get(name, (0, Decimal(0)))
        self.by_model[name] = calls + 1, of_model_usd + cost_usd
        self.fallbacks += outcome.fallback_reason is not None
        self.calls_of_unknown_price += outcome.cost_usd is None
        if outcome.endpoint == "chat":
            self.quality.add(outcome)

    def metadata(self) -> dict[str, Any]:
        """Calls, attempts, tokens, seconds and US dollars; calls, cost and quality of answers by model."""
        return {
            "calls": self.calls,
            "journal_hits": self.journal_hits,
            "fallbacks": self.fallbacks,
            "attempts": self.attempts,
            "rate_limited": self.rate_limited,
            "wait_seconds": round(self.wait_seconds, 3),
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "billed_audio_seconds": round(self.usage.audio_seconds, 3),
            "cost_usd": usd_number(self.cost_usd),
            "spent_usd": float(self.spent_usd),
            "calls_of_unknown_price": self.calls_of_unknown_price,
            **self._by_model(),
            **self._quality(),
        }

    def _by_model(self) -> dict[str, Any]:
        return {
            key: value
            for name, (calls, cost_usd) in self.by_model.items()
            for key, value in ((f"{name}.calls", calls), (f"{name}.cost_usd", usd_number(cost_usd)))
        }

    def _quality(self) -> dict[str, Any]:
        """How many of a chat model's answers were valid, repaired, refused and invalid."""
        return {
            f"{name}.{kind}": getattr(quality, kind)
            for name, quality in self.quality.by_model().items()
            for kind in ("valid", "repaired", "refused", "invalid_output")
        }


def run_metadata(metrics: MetricsSnapshot) -> dict[str, Any]:
    """What the whole run waited for, and how much of each limit it used. The same for all its partitions.

    `run.quota_share.…` counts what all who share the limit were charged while the run asked.
    """
    waits = {f"run.wait_seconds.{cause}": round(metrics.wait_seconds.get(cause, 0.0), 3) for cause in WAITS}
    shares = {
        f"run.quota_share.{limit.rpartition('/')[2].replace(' ', '.')}": round(use.share, 4)
        for limit, use in metrics.quota.items()
    }
    return {
        **waits,
        **shares,
        "run.rate_limited": metrics.rate_limited,
        "run.retried": metrics.retried,
        "run.latency_seconds_mean": round(metrics.latency_seconds.mean, 3),
    }


def preview(rows: Rows, upstream: Rows | None = None) -> str:
    """The first rows as a Markdown table, long texts cut. First comes whose row it is."""
    if not len(rows):
        return "No recordings on this day."
    key, recordings = _recordings(rows, upstream)
    names = [name for name in rows.columns if name not in _NOT_PREVIEWED and name != key]
    lines = [[key, *names], ["---"] * (len(names) + 1)]
    for recording, row in islice(zip(recordings, rows, strict=True), PREVIEW_ROWS):
        lines.append([_cell(recording), *(_cell(row[name]) for name in names)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _recordings(rows: Rows, upstream: Rows | None) -> tuple[str, list[Any]]:
    """The names people know, where the rows or those they were made of have them; else ids."""
    ids = rows.columns["recording_id"]
    for named in (rows, upstream):
        # Position by position: recordings of the same content have one id and several names.
        if named and "file_name" in named.columns and named.columns["recording_id"] == ids:
            return "file_name", named.columns["file_name"]
    return "recording_id", ids


def _cell(value: Any) -> str:
    text = " ".join(_text(value).split())
    if len(text) > PREVIEW_CHARACTERS:
        text = f"{text[:PREVIEW_CHARACTERS]}…"
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_text(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(item)}" for name, item in cast("dict[str, Any]", value).items())
    return "" if value is None else str(value)
