"""The numbers a reader looks at first, and the same for scripts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llm_assets.money import usd_number
from llm_assets.report.contents import Tile
from llm_assets.report.months import Month
from llm_assets.report.text import NONE, count, counted, duration, share, signed, usd
from llm_assets.warehouse.report_rows import Answers, MonthRows, Totals


def headline(month: Month, rows: MonthRows) -> tuple[Tile, ...]:
    """Tiles for the top of the page. The mean score appears where an extractor gives one."""
    now, then = rows.totals, rows.before
    earlier = count(then.recordings) if then.recordings else ""
    paid = usd(then.cost_usd) if then.cost_usd is not None else ""
    hits = f"{count(now.journal_hits)} of {counted(now.calls, 'call')}, in the runs of these rows"
    tiles = [
        Tile(
            "Recordings",
            count(now.recordings),
            f"{duration(now.audio_seconds)} of audio",
            _in(month, earlier),
        ),
        Tile(
            "With every result",
            share(now.ok, now.recordings),
            _results(now),
            _in(month, earlier and share(then.ok, then.recordings)),
        ),
        Tile("Cost", usd(now.cost_usd if now.calls else 0), _each(now), _in(month, paid)),
        Tile("Not paid again", usd(now.saved_usd or 0), hits),
        Tile("Refused requests", count(now.rate_limited), f"of {count(now.attempts)}, for a rate limit"),
    ]
    return (*tiles, *(_feeling(answers, month) for answers in rows.answers[:1] if answers.score is not None))


def headline_numbers(rows: MonthRows) -> dict[str, Any]:
    """The numbers of the headline by name, with their units; None is unknown."""
    now = rows.totals
    scores = {
        f"{answers.table}_mean_score": round(answers.score, 4)
        for answers in rows.answers
        if answers.score is not None
    }
    return {
        "recordings": now.recordings,
        "ok": now.ok,
        "waiting": now.waiting,
        "not_ok": now.recordings - now.ok - now.waiting,
        "audio_seconds": round(now.audio_seconds, 3),
        "calls": now.calls,
        "journal_hits": now.journal_hits,
        "fallbacks": now.fallbacks,
        "cost_usd": _number(now.cost_usd, now.calls),
        "new_usd": _number(now.new_usd, now.calls),
        "saved_usd": _number(now.saved_usd, now.journal_hits),
        "paid_answers": now.paid_answers,
        "calls_without_price": now.calls_without_price,
        "requests": now.attempts,
        "rate_limited": now.rate_limited,
        "wait_seconds": round(now.wait_seconds, 3),
        **scores,
    }


def _number(amount: Decimal | None, calls: int) -> float | None:
    """No calls cost nothing; calls of which none has a price cost nobody knows what."""
    return usd_number(amount) if amount is not None else (None if calls else 0.0)


def _results(now: Totals) -> str:
    without = now.recordings - now.ok - now.waiting
    waiting = f", {count(now.waiting)} waiting" if now.waiting else ""
    return f"{count(now.ok)} of {count(now.recordings)}; {count(without)} without{waiting}"


def _each(now: Totals) -> str:
    if now.calls_without_price:
        return f"at least: {counted(now.calls_without_price, 'call')} without a price"
    if now.cost_usd is None or not now.recordings:
        return "no model was asked" if not now.calls else NONE
    return f"{usd(now.cost_usd / now.recordings)} a recording"


def _feeling(answers: Answers, month: Month) -> Tile:
    before = answers.score_before
    change = _in(month, "" if before is None else signed(before))
    return Tile("Mean sentiment", signed(answers.score), f"of {counted(answers.ok, 'recording')}", change)


def _in(month: Month, value: str) -> str:
    """The value of the month before. No percentage: that month may have begun in its last week."""
    return f"{value} in {month.before.name}" if value else ""
