"""How many recordings came, how long they are, and which of them ended without a result, and why."""

from __future__ import annotations

from llm_assets.report.contents import DataTable, Figure, Section, present
from llm_assets.report.days import added, daily_columns
from llm_assets.report.months import Month
from llm_assets.report.text import NONE, count, counted, duration, exact, plain, share
from llm_assets.warehouse.report_rows import MonthRows, Reason

MOST_REASONS = 20

_OK = "ok"
WAITING = "waiting"
STATUSES = (
    (_OK, "good"),
    (WAITING, "quiet"),
    ("too_short", "k7"),
    ("unreadable", "k5"),
    ("refused", "k3"),
    ("invalid_output", "k6"),
    ("failed", "bad"),
)


def recordings_section(month: Month, rows: MonthRows) -> Section:
    """Recordings and audio by day."""
    totals = rows.totals
    text = (
        f"{counted(totals.recordings, 'recording')} with {duration(totals.audio_seconds)} of audio; "
        f"{count(totals.ok)} ({share(totals.ok, totals.recordings)}) have every result."
        if totals.recordings
        else f"There are no recordings in {month.name}."
    )
    figures = (_by_status(month, rows), _audio(month, rows)) if totals.recordings else ()
    return Section("recordings", "Recordings", text, figures, note=_waiting(rows))


def failures_section(month: Month, rows: MonthRows) -> Section:
    """What did not work out, by day and by reason."""
    lost = sum(reason.recordings for reason in rows.reasons)
    if not lost:
        return Section("failures", "Failures", "No recording ended without a result.", note=_waiting(rows))
    return Section(
        "failures",
        "Failures",
        f"{counted(lost, 'recording')} ({share(lost, rows.totals.recordings)}) ended without a result, each "
        "counted where it ended. Reasons that differ only in numbers are one.",
        present([_failures(month, rows)]),
        _reasons(rows.reasons),
        note=_more_reasons(rows.reasons),
    )


def _by_status(month: Month, rows: MonthRows) -> Figure:
    cells = added((row.day, row.status, row.recordings) for row in rows.outcomes)
    return daily_columns("Recordings by day", month, cells, _statuses(rows), "recordings", count, whole=True)


def _audio(month: Month, rows: MonthRows) -> Figure:
    hours = rows.totals.audio_seconds >= 10 * 3600
    unit, seconds = ("hours of audio", 3600) if hours else ("minutes of audio", 60)
    cells = added((row.day, unit, row.audio_seconds / seconds) for row in rows.outcomes)
    return daily_columns("Audio by day", month, cells, [(unit, "k1")], unit, lambda value: f"{value:,.4g}")


def _failures(month: Month, rows: MonthRows) -> Figure:
    cells = added((row.day, row.status, row.recordings) for row in rows.outcomes)
    names = [(name, css_class) for name, css_class in _statuses(rows) if name not in (_OK, WAITING)]
    return daily_columns(
        "Recordings without a result by day", month, cells, names, "recordings", count, whole=True
    )


def _statuses(rows: MonthRows) -> list[tuple[str, str]]:
    found = {row.status for row in rows.outcomes}
    known = [(name, css_class) for name, css_class in STATUSES if name in found]
    return known + [(name, "k4") for name in sorted(found - {name for name, _ in STATUSES})]


def _reasons(reasons: tuple[Reason, ...]) -> DataTable:
    return DataTable(
        ("status", "ended in", "reason", "for example", "days", "recordings"),
        tuple(
            (
                reason.status,
                reason.table,
                plain(reason.error) if reason.error else NONE,
                plain(reason.file_name),
                _days(reason),
                exact(reason.recordings),
            )
            for reason in reasons[:MOST_REASONS]
        ),
        names=5,
    )


def _days(reason: Reason) -> str:
    first, last = reason.first_day.isoformat(), reason.last_day.isoformat()
    return first if first == last else f"{first} to {last}"


def _more_reasons(reasons: tuple[Reason, ...]) -> str:
    left = reasons[MOST_REASONS:]
    if not left:
        return ""
    recordings = counted(sum(reason.recordings for reason in left), "recording")
    return f"{counted(len(left), 'more reason')} with {recordings} are not shown."


def _waiting(rows: MonthRows) -> str:
    if not rows.totals.waiting:
        return ""
    return (
        f"{counted(rows.totals.waiting, 'recording')} waiting: materialize the days that later assets lack."
    )
