"""Progress is reported by time, not by call."""

from __future__ import annotations

from decimal import Decimal

from llm_assets.orchestration.progress import Progress, ProgressReporter, duration_text, watching


class FakeClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_thousand_quick_calls_make_one_line() -> None:
    """Only the end is logged when all is done at once."""
    lines: list[str] = []
    reporter = ProgressReporter("insights", 1000, lines.append, clock=FakeClock())
    for _ in range(1000):
        reporter.advance()
    assert len(lines) == 1
    assert lines[0].startswith("insights: 1000 of 1000")
    assert "USD" not in lines[0]  # nobody told a cost


def test_slow_calls_make_a_line_every_ten_seconds() -> None:
    """The pace is time's, and the line has rate, cost and remaining time."""
    clock, lines = FakeClock(), list[str]()
    reporter = ProgressReporter("transcripts", 100, lines.append, lambda: Decimal("0.5"), clock)
    for _ in range(30):
        clock.seconds += 1
        reporter.advance()
    assert lines == [
        "transcripts: 10 of 100, 60 per minute, $0.50 so far, about 2 min to go",
        "transcripts: 20 of 100, 60 per minute, $0.50 so far, about 80 s to go",
        "transcripts: 30 of 100, 60 per minute, $0.50 so far, about 70 s to go",
    ]


def test_a_watcher_sees_every_step_from_zero() -> None:
    """Whoever shows a bar hears of the total before the first call is done."""
    seen: list[Progress] = []
    with watching(seen.append):
        reporter = ProgressReporter("insights", 2, lambda _: None, clock=FakeClock())
        reporter.advance()
        reporter.advance()
    ProgressReporter("insights", 9, lambda _: None)
    assert [(progress.done, progress.total) for progress in seen] == [(0, 2), (1, 2), (2, 2)]


def test_durations_read_like_a_person_says_them() -> None:
    """Seconds up to a minute and a half, then minutes, then hours."""
    assert [duration_text(seconds) for seconds in (0, 89, 120, 7500)] == ["0 s", "89 s", "2 min", "2 h 5 min"]


def test_no_rate_of_what_came_at_once() -> None:
    """Eleven answers out of the journal in a few milliseconds are no rate to plan with."""
    assert str(Progress("insights", 11, 11, 0.0015, Decimal(0))) == "insights: 11 of 11, $0.00 so far"
