"""What this project sets itself, held against figures. A verdict is computed, never written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

OURS = "llm_assets"
_SHARE, _SHARE_OF_FOUR = 0.99, 0.96
_REFUSED, _REFUSED_SHARE_OF_ROWS = 2, 0.02
_BOUND = ("requests_bound", "tokens_bound")
_CPU_RATIO = 1.6
_TIMES_AS_FAST = 6.0
_SLOW_ONE = "openai_semaphore"
_PREPARING_RATIO, _PREPARING_PEAK_MB = 1.3, 300
_PEAK_RSS_MB = 250.0
_HOUR_RATIO = 1.15
_BACKFILL_RATIO = 1.5
_PEAK_OF_ALL_MB = 400.0
_WRITE_RATIO, _TURN_RATIO, _WAIT_RATIO = 1.5, 2.0, 3.0
_NEVER_AT_A_KILL = (
    "asked_again_after_handed_on",
    "asked_again_after_kept",
    "asked_twice_in_one_life",
    "lost_rows",
    "changed_answers",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target and the figure that decides on it."""

    what: str
    figure: str
    target: str
    reached: bool


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    """For everything that was measured."""
    return [
        *_quota(results.get("quota", {})),
        *_faults(results.get("faults", {})),
        *_overhead(results.get("overhead", {})),
        *_memory(results.get("memory", {})),
        *_kills(results.get("kills", {})),
        *_budget(results.get("budget", {})),
        *_preparing(results.get("preparing", {})),
        *_one_hour(results.get("one_hour", {})),
        *_dagster_backfill(results.get("dagster_backfill", {})),
        *_many_recordings(results.get("many_recordings", {})),
        *_partitions(results.get("partitions", {})),
        *_listing(results.get("listing", {})),
    ]


def _quota(section: dict[str, Any]) -> Iterator[Verdict]:
    for scenario, measured in section.items():
        if OURS in measured["contenders"]:
            yield from _of_scenario(scenario, measured["contenders"][OURS])


def _of_scenario(name: str, figures: dict[str, Any]) -> Iterator[Verdict]:
    lost, rows = figures["lost"], figures["rows"]
    share, least = figures["share"] or 0.0, _SHARE if figures["processes"] == 1 else _SHARE_OF_FOUR
    # The share of the quota that went into half of the work is no achievement.
    told = f"{share:.1%}" + (f", {lost:,} rows lost" if lost else "")
    yield Verdict(f"{name}: share of the quota used", told, f"≥ {least:.0%}", share >= least and not lost)
    most = _REFUSED if name in _BOUND else int(rows * _REFUSED_SHARE_OF_ROWS)
    refused = figures["refused"]
    yield Verdict(f"{name}: refusals", f"{refused:,}", f"≤ {most}", refused <= most and not lost)
    yield Verdict(f"{name}: rows lost", f"{lost:,} of {rows:,}", "0", lost == 0)


def _faults(section: dict[str, Any]) -> Iterator[Verdict]:
    if figures := section.get("contenders", {}).get(OURS):
        lost = figures["lost"]
        yield Verdict("faults: rows lost", f"{lost:,} of {figures['rows']:,}", "0", lost == 0)


def _overhead(section: dict[str, Any]) -> Iterator[Verdict]:
    measured = section.get("contenders", {})
    ours, slow = measured.get(OURS), measured.get(_SLOW_ONE)
    if ours:
        ratio = ours["cpu_ratio"]
        yield Verdict(
            "overhead: CPU a call, times bare aiohttp",
            f"{ratio:.2f}",
            f"≤ {_CPU_RATIO}",
            ratio <= _CPU_RATIO and not ours["lost"],
        )
    if ours and slow:
        times = ours["calls_per_second"]["median"] / slow["calls_per_second"]["median"]
        yield Verdict(
            "overhead: calls a second, times the OpenAI SDK",
            f"{times:.1f}",
            f"≥ {_TIMES_AS_FAST:g}",
            times >= _TIMES_AS_FAST and not ours["lost"],
        )


def _memory(figures: dict[str, Any]) -> Iterator[Verdict]:
    if figures:
        peak = figures.get("peak_rss_mb", float("inf"))
        reached = peak < _PEAK_RSS_MB and not figures["lost"]
        yield Verdict("memory: peak, in MB", f"{peak:.0f}", f"< {_PEAK_RSS_MB:.0f}", reached)


def _kills(figures: dict[str, Any]) -> Iterator[Verdict]:
    for name in _NEVER_AT_A_KILL:
        if name in figures:
            yield Verdict(f"kills: {name.replace('_', ' ')}", f"{figures[name]:,}", "0", figures[name] == 0)


def _budget(section: dict[str, Any]) -> Iterator[Verdict]:
    for store in ("sqlite", "redis"):
        if figures := section.get(store):
            over = Decimal(figures["overspent_usd"])
            yield Verdict(f"budget in {store}: spent past the cap, in USD", f"{over}", "0", over == 0)


def _preparing(figures: dict[str, Any]) -> Iterator[Verdict]:
    if figures:
        ratio, peak = figures["ratio"], figures["peak_rss_mb_of_ten_times_as_much"]
        what = "preparing: CPU, times ffmpeg's"
        yield Verdict(what, f"{ratio:.2f}", f"≤ {_PREPARING_RATIO}", ratio <= _PREPARING_RATIO)
        what = "preparing: peak for ten hours, in MB"
        yield Verdict(what, f"{peak}", f"< {_PREPARING_PEAK_MB}", peak < _PREPARING_PEAK_MB)


def _one_hour(figures: dict[str, Any]) -> Iterator[Verdict]:
    if figures:
        ratio = figures["ratio"]
        yield Verdict(
            "one_hour: wall time, times preparing and one call",
            f"{ratio:.2f}",
            f"≤ {_HOUR_RATIO}",
            ratio <= _HOUR_RATIO,
        )


def _dagster_backfill(figures: dict[str, Any]) -> Iterator[Verdict]:
    if figures:
        ratio = figures["ratio"]
        yield Verdict(
            f"dagster_backfill: wall time of {figures['days']} days, times doing nothing",
            f"{ratio:.2f}",
            f"≤ {_BACKFILL_RATIO}",
            ratio <= _BACKFILL_RATIO,
        )


def _many_recordings(figures: dict[str, Any]) -> Iterator[Verdict]:
    if figures:
        peak, lost = figures["peak_mb"], figures["recordings"] - figures["ok"]
        yield Verdict(
            f"many_recordings: peak of all processes with {figures['recordings']:,}, in MB",
            f"{peak:.0f}",
            f"< {_PEAK_OF_ALL_MB:.0f}",
            peak < _PEAK_OF_ALL_MB and not lost,
        )
        yield Verdict("many_recordings: rows lost", f"{lost:,} of {figures['recordings']:,}", "0", lost == 0)


def _listing(figures: dict[str, Any]) -> Iterator[Verdict]:
    for layout in ("folder", "name"):
        if figures:
            made, needed = figures[f"requests_with_the_date_in_the_{layout}"], figures["requests_needed"]
            what = f"listing: requests for a day of {figures['objects']:,} objects, the date in the {layout}"
            yield Verdict(what, f"{made}", f"≤ {needed}", made <= needed and not figures["lost"])


def _partitions(figures: dict[str, Any]) -> Iterator[Verdict]:
    """What a write costs, and that neither the table's size nor other writers and readers change much."""
    for name, ratio in figures.items():
        if name.startswith("cpu_ratio_with_"):
            what = f"partitions: CPU of a write, times an insert from Arrow,{_words(name, 'cpu_ratio')}"
            yield Verdict(what, f"{ratio:.2f}", f"≤ {_WRITE_RATIO}", ratio <= _WRITE_RATIO)
    held = [value for name, value in figures.items() if name.startswith("turn_held_seconds_with_")]
    if held:
        times = held[-1] / held[0]
        what = "partitions: turn held with most rows, times with none"
        yield Verdict(what, f"{times:.1f}", f"≤ {_TURN_RATIO:g}", times <= _TURN_RATIO)
    if "longest_by_mean" in figures:
        times, lost = figures["longest_by_mean"], figures["lost"]
        what = "partitions: longest wait of eight writers, times the mean"
        yield Verdict(what, f"{times:.1f}", f"≤ {_WAIT_RATIO:g}", times <= _WAIT_RATIO)
        yield Verdict("partitions: lost", f"{lost:,}", "0", lost == 0)
        errors = figures["errors_meanwhile"]
        yield Verdict("partitions: questions that failed meanwhile", f"{errors:,}", "0", errors == 0)


def _words(name: str, figure: str) -> str:
    return name.removeprefix(figure).replace("_", " ")
