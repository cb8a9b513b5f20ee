"""The figures as a file, and the tables of README.md that are made of it."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.children import HERE
from benchmarks.environments import CONTENDERS
from benchmarks.scenarios import SCENARIOS
from benchmarks.targets import verdicts

RESULTS, README = HERE / "results.json", HERE / "README.md"

Results = dict[str, Any]


def load() -> Results:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def save(results: Results) -> None:
    """Write the figures and bring the tables up to date."""
    results["machine"] = machine()
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    write_tables(results)


def write_tables(results: Results) -> None:
    """What stands between the markers of README.md is replaced, the rest stays."""
    text = README.read_text()
    for name, make in _TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        replaced = f"{begin}\n{make(results)}\n{end}"
        text = pattern.sub(lambda _, replaced=replaced: replaced, text)
    README.write_text(text)


def put(results: Results, section: str, contender: str, figures: dict[str, Any]) -> None:
    """One contender's figures of a section, with when they were taken."""
    results.setdefault(section, {}).setdefault("contenders", {})[contender] = stamped(figures)


def put_quota(results: Results, scenario: str, contender: str, figures: dict[str, Any]) -> None:
    put(results.setdefault("quota", {}), scenario, contender, figures)


def stamped(figures: dict[str, Any]) -> dict[str, Any]:
    return figures | {"measured_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}


def machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(header), *(list(row) for row in rows)]
    if len(lines) == 1:
        return "Not measured yet."
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _targets_table(results: Results) -> str:
    return _table(
        ("target", "figure", "aim", "reached"),
        ((v.what, v.figure, v.target, "yes" if v.reached else "**no**") for v in verdicts(results)),
    )


def _quota_table(results: Results) -> str:
    measured = results.get("quota", {})
    order = [name for name in SCENARIOS if name in measured]
    names = sorted({name for scenario in order for name in measured[scenario]["contenders"]}, key=_rank)
    return _table(
        ("scenario", *names),
        (
            (scenario, *(_quota_cell(measured[scenario]["contenders"].get(name)) for name in names))
            for scenario in order
        ),
    )


def _quota_cell(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "–"
    share = "–" if figures["share"] is None else f"{figures['share']:.1%}"
    parts = [share, f"{figures['refused']:,} refused"]
    if figures["lost"]:
        parts.append(f"**{figures['lost']:,} lost**")
    return ", ".join(parts)


def _scenarios_table(results: Results) -> str:
    return _table(
        ("scenario", "what", "ideal"),
        ((each.name, each.what, f"{each.ideal_seconds(False):.0f} s") for each in SCENARIOS.values()),
    )


def _faults_table(results: Results) -> str:
    measured = results.get("faults", {}).get("contenders", {})
    return _table(
        ("contender", "rows", "lost", "requests sent", "CPU ms a row"),
        (
            (
                name,
                f"{each['rows']:,}",
                f"{each['lost']:,}",
                f"{each['received']:,}",
                f"{1000 * each.get('cpu_seconds', 0) / each['rows']:.2f}",
            )
            for name, each in _sorted(measured)
        ),
    )


def _overhead_table(results: Results) -> str:
    section = results.get("overhead", {})
    return _table(
        ("contender", "CPU ms a call", "min to max", "times bare aiohttp", "calls a second", "min to max"),
        (
            (
                name,
                f"{each['cpu_ms_per_call']['median']:.3f}",
                f"{each['cpu_ms_per_call']['min']:.3f} to {each['cpu_ms_per_call']['max']:.3f}",
                f"{each['cpu_ratio']:.2f}",
                f"{each['calls_per_second']['median']:,.0f}",
                f"{each['calls_per_second']['min']:,.0f} to {each['calls_per_second']['max']:,.0f}",
            )
            for name, each in _sorted(section.get("contenders", {}))
        ),
    )


def _memory_table(results: Results) -> str:
    figures = results.get("memory")
    if not figures:
        return "Not measured yet."
    return _table(
        ("calls", "lost", "before the first call", "peak"),
        [
            (
                f"{figures['rows']:,}",
                f"{figures['lost']:,}",
                f"{figures['rss_before_mb']:.0f} MB",
                f"{figures['peak_rss_mb']:.0f} MB",
            )
        ],
    )


def _figures_table(section: dict[str, Any]) -> str:
    return _table(
        ("figure", "value"),
        ((name.replace("_", " "), _plain(value)) for name, value in section.items()),
    )


def _budget_table(results: Results) -> str:
    section = results.get("budget", {})
    stores = {name: section[name] for name in ("sqlite", "redis") if section.get(name)}
    names = dict.fromkeys(name for figures in stores.values() for name in figures)
    return _table(
        ("figure", *stores),
        ((name.replace("_", " "), *(_plain(each.get(name)) for each in stores.values())) for name in names),
    )


def _machine_table(results: Results) -> str:
    described = results.get("machine")
    if not described:
        return "Not measured yet."
    machine = (
        f"{described['cpu']}, {described['cores']} cores, {described['memory_gb']} GB, "
        f"{described['system']}, CPython {described['python']}."
    )
    versions = _table(
        ("contender", "versions"),
        (
            (name, ", ".join(f"{package} {version}" for package, version in each.items()))
            for name, each in _sorted(results.get("versions", {}))
        ),
    )
    return f"{machine}\n\n{versions}"


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _rank(contender: str) -> int:
    """Its place in every table; parts of a contender (`llm_assets: in memory`) stand with it."""
    return [*CONTENDERS].index(contender.split(":")[0])


def _sorted(contenders: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(contenders.items(), key=lambda item: _rank(item[0]))


_TABLES = {
    "targets": _targets_table,
    "scenarios": _scenarios_table,
    "quota": _quota_table,
    "faults": _faults_table,
    "overhead": _overhead_table,
    "memory": _memory_table,
    "kills": lambda results: _figures_table(results.get("kills", {})),
    "budget": _budget_table,
    "preparing": lambda results: _figures_table(results.get("preparing", {})),
    "one_hour": lambda results: _figures_table(results.get("one_hour", {})),
    "many_recordings": lambda results: _figures_table(results.get("many_recordings", {})),
    "listing": lambda results: _figures_table(results.get("listing", {})),
    "dagster_backfill": lambda results: _figures_table(results.get("dagster_backfill", {})),
    "partitions": lambda results: _figures_table(results.get("partitions", {})),
    "machine": _machine_table,
}
