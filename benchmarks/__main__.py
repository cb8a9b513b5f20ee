"""`python -m benchmarks`: measure everything, or the part that is named."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from datetime import date
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import faults, memory, overhead, quota, report
from benchmarks.children import ChildFailed
from benchmarks.environments import CONTENDERS
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.targets import verdicts

_REPEATS, _QUICK_REPEATS = 5, 2
_QUICK_KILLS, _QUICK_BUDGET_CALLS = 8, 100
_EPILOG = f"""Contenders: {", ".join(CONTENDERS)}.

\b
Scenarios of `quota`: {", ".join(list(SCENARIOS)[:5])},
{", ".join(list(SCENARIOS)[5:])}.

\b
Examples:
  python -m benchmarks                      everything, about an hour
  python -m benchmarks --quick              everything shortened, nothing written
  python -m benchmarks quota --only requests_bound --contenders llm_assets,lm_deluge
  python -m benchmarks overhead --repeats 9
  python -m benchmarks tables               README.md again from results.json
"""


class Names(click.ParamType):  # pyright: ignore[reportMissingTypeArgument] - generic in new versions only
    """Names with commas between them."""

    name = "names"

    def __init__(self, known: Iterable[str]) -> None:
        self.known = list(known)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        if not isinstance(value, str):
            return value
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is none of {', '.join(self.known)}", param, ctx)
        return names


class Board:
    """What is going on now, and a line for everything that is done."""

    def __init__(self) -> None:
        self.console = Console()
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=self.console
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Board:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        for name in [*self._tasks]:
            self._progress.remove_task(self._tasks.pop(name))
        self._progress.stop()

    def start(self, name: str) -> None:
        self._tasks[name] = self._progress.add_task(name, total=None)

    def done(self, name: str, line: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))
        self.console.print(f"{name}: {line}", highlight=False, soft_wrap=True)


class Session:
    """The figures so far. A shortened run prints them and writes nothing."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.results = {} if quick else report.load()
        self.board = Board()
        self._versions: dict[str, dict[str, str]] = {}

    def record(self, change: Callable[[report.Results], object]) -> None:
        """Into the file as it is now, which another run may have changed meanwhile."""
        if not self.quick:
            self.results = report.load()
        self.results.setdefault("versions", {}).update(self._versions)
        change(self.results)
        if not self.quick:
            report.save(self.results)

    def prepare(self, names: Iterable[str]) -> None:
        """Every contender's environment, before anything is measured."""
        for name in names:
            self.board.start(f"preparing {name}")
            CONTENDERS[name].prepare()
            versions = self._versions[name] = CONTENDERS[name].versions()
            told = ", ".join(f"{package} {version}" for package, version in versions.items())
            self.board.done(f"preparing {name}", told)

    def quota(self, scenarios: Iterable[Scenario], names: list[str], jobs: int) -> None:
        wanted = list(scenarios)
        self.prepare([name for name in names if any(name in each.contenders for each in wanted)])
        _run(quota.measure(wanted, names, jobs=jobs, quick=self.quick, tell=self._tell_quota))

    def _tell_quota(self, scenario: Scenario, contender: str, figures: dict[str, Any] | None) -> None:
        name = f"quota {scenario.name}, {contender}"
        if figures is None:
            return self.board.start(name)
        self.record(lambda results: report.put_quota(results, scenario.name, contender, figures))
        share = "no share" if figures["share"] is None else f"{figures['share']:.1%} of the quota"
        return self.board.done(
            name,
            f"{share} in {figures['admission_seconds']:.1f} s, {figures['refused']:,} refused, "
            f"{figures['lost']:,} of {figures['rows']:,} rows lost{_errors(figures)}",
        )

    def faults(self, names: list[str]) -> None:
        self.prepare([name for name in faults.CONTENDERS_HERE if name in names])
        _run(faults.measure(names, quick=self.quick, tell=self._tell_faults))

    def _tell_faults(self, contender: str, figures: dict[str, Any] | None) -> None:
        if figures is None:
            return self.board.start(f"faults, {contender}")
        self.record(lambda results: report.put(results, "faults", contender, figures))
        line = f"{figures['lost']:,} of {figures['rows']:,} rows lost{_errors(figures)}"
        return self.board.done(f"faults, {contender}", line)

    def overhead(self, names: list[str], repeats: int | None) -> None:
        chosen = [name for name in overhead.MEASURED if name.split(":")[0] in names]
        self.prepare(dict.fromkeys(name.split(":")[0] for name in (overhead.BASE, *chosen)))
        turns = repeats or (_QUICK_REPEATS if self.quick else _REPEATS)
        measured = _run(overhead.measure(chosen, repeats=turns, quick=self.quick, tell=self._tell_overhead))
        for contender, figures in measured.pop("contenders").items():
            self.record(
                partial(report.put, section="overhead", contender=contender, figures=figures | measured)
            )

    def _tell_overhead(self, contender: str, turn: int, sample: dict[str, float] | None) -> None:
        name = f"overhead {turn + 1}, {contender}"
        if sample is None:
            return self.board.start(name)
        cpu, speed = sample["cpu_ms_per_call"], sample["calls_per_second"]
        return self.board.done(name, f"{cpu:.3f} ms of CPU a call, {speed:,.0f} calls a second")

    def memory(self) -> None:
        self.prepare(["llm_assets"])
        self.board.start("memory")
        figures = report.stamped(_run(memory.measure(quick=self.quick)))
        self.record(lambda results: results.update(memory=figures))
        peak = figures.get("peak_rss_mb", float("nan"))
        self.board.done("memory", f"{peak:.0f} MB at most, {figures['lost']:,} of {figures['rows']:,} lost")

    def one_hour(self, turns: int | None) -> None:
        from benchmarks import one_hour

        def tell(turn: int, ratio: float) -> None:
            self.board.done(f"one_hour {turn + 1}", f"{ratio:.3f} times preparing and one call")

        self._whole("one_hour", lambda: _run(one_hour.measure(quick=self.quick, turns=turns, tell=tell)))

    def preparing(self) -> None:
        from benchmarks import preparing

        self._whole("preparing", partial(preparing.measure, quick=self.quick))

    def many_recordings(self) -> None:
        from benchmarks import many_recordings

        self._whole("many_recordings", lambda: _run(many_recordings.measure(quick=self.quick)))

    def listing(self) -> None:
        from benchmarks import listing

        self._whole("listing", partial(listing.measure, quick=self.quick))

    def dagster_backfill(self, days: int | None) -> None:
        from benchmarks import dagster_backfill

        def tell(day: date, ratio: float) -> None:
            self.board.done(f"dagster_backfill to {day}", f"{ratio:.2f} times doing nothing")

        measure = partial(dagster_backfill.measure, quick=self.quick, days=days, tell=tell)
        self._whole("dagster_backfill", lambda: _run(measure()))

    def partitions(self) -> None:
        from benchmarks import partitions

        self._whole("partitions", partial(partitions.measure_all, quick=self.quick))

    def kills(self) -> None:
        from benchmarks import kills

        self._whole("kills", partial(kills.measure, _QUICK_KILLS) if self.quick else kills.measure)

    def budget(self) -> None:
        from benchmarks import budget

        short = partial(budget.measure, calls=_QUICK_BUDGET_CALLS)
        self._whole("budget", short if self.quick else budget.measure)

    def _whole(self, section: str, measure: Callable[[], dict[str, Any]]) -> None:
        """A measurement that gives all of its figures at once."""
        self.board.start(section)
        figures = report.stamped(measure())
        self.record(lambda results: results.update({section: figures}))
        self.board.done(section, ", ".join(f"{name} {value}" for name, value in figures.items()))

    def show_targets(self) -> None:
        """The verdicts on everything that has figures."""
        table = Table("target", "figure", "aim", "reached", title="Targets")
        for verdict in verdicts(self.results):
            reached = "[green]yes[/]" if verdict.reached else "[red]no[/]"
            table.add_row(verdict.what, verdict.figure, verdict.target, reached)
        if table.row_count:
            self.board.console.print(table)


def _errors(figures: dict[str, Any]) -> str:
    told = ", ".join(f"{count:,} {name}" for name, count in figures["errors"].items())
    return f" ({told})" if told else ""


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """To the end, or until Ctrl-C or a polite kill, which end all processes first."""

    async def until_ended() -> Any:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(until_ended())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _measure(quick: bool, work: Callable[[Session], None]) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    session = Session(quick=quick)
    try:
        with session.board:
            work(session)
    except (ChildFailed, ExceptionGroup) as error:
        failed = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        if not isinstance(failed, ChildFailed):
            raise
        raise click.ClickException(str(failed)) from None
    session.show_targets()


def _choice(function: Callable[..., None]) -> Callable[..., None]:
    known = Names(CONTENDERS)
    return click.option(
        "--contenders", type=known, default=",".join(CONTENDERS), help="Only these, with commas between them."
    )(function)


_quick = click.option("--quick", is_flag=True, help="A shortened run to see that all works; writes nothing.")
_jobs = click.option("--jobs", type=click.IntRange(1), default=3, show_default=True,
                     help="How many contenders of a scenario run at a time.")  # fmt: skip


@click.group(invoke_without_command=True, epilog=_EPILOG)
@_quick
@_jobs
@click.pass_context
def main(context: click.Context, quick: bool, jobs: int) -> None:
    """Measure the client beside others, on an emulated API on this machine.

    Without a command everything is measured. Figures go to benchmarks/results.json, tables to
    benchmarks/README.md; a partial run updates its part of both.
    """
    if context.invoked_subcommand is not None:
        return

    def everything(session: Session) -> None:
        session.quota(SCENARIOS.values(), list(CONTENDERS), jobs)
        session.faults(list(CONTENDERS))
        session.kills()
        session.budget()
        session.memory()
        session.preparing()
        session.one_hour(None)
        session.many_recordings()
        session.partitions()
        session.listing()
        session.dagster_backfill(None)
        session.overhead(list(CONTENDERS), None)

    _measure(quick, everything)


@main.command("quota", epilog=_EPILOG)
@click.option("--only", type=Names(SCENARIOS), default=",".join(SCENARIOS), help="Only these scenarios.")
@_choice
@_jobs
@_quick
def quota_command(only: list[str], contenders: list[str], jobs: int, quick: bool) -> None:
    """Share of the quota used, refusals and rows lost, by scenario."""
    _measure(quick, lambda session: session.quota([SCENARIOS[name] for name in only], contenders, jobs))


@main.command("faults")
@_choice
@_quick
def faults_command(contenders: list[str], quick: bool) -> None:
    """Rows lost when the service fails now and then."""
    _measure(quick, lambda session: session.faults(contenders))


@main.command("overhead")
@_choice
@click.option("--repeats", type=click.IntRange(1), help=f"Turns of each contender ({_REPEATS} by default).")
@_quick
def overhead_command(contenders: list[str], repeats: int | None, quick: bool) -> None:
    """CPU time a call and calls a second. Let nothing else run on the machine."""
    _measure(quick, lambda session: session.overhead(contenders, repeats))


@main.command("memory")
@_quick
def memory_command(quick: bool) -> None:
    """The largest size of the process over 100,000 calls."""
    _measure(quick, Session.memory)


@main.command("preparing")
@_quick
def preparing_command(quick: bool) -> None:
    """CPU of preparing an hour of MP3 beside ffmpeg's, and memory for ten hours. Needs ffmpeg; Linux only."""
    _measure(quick, Session.preparing)


@main.command("one_hour")
@click.option("--turns", type=click.IntRange(1), help="How often it is done (5 by default).")
@_quick
def one_hour_command(turns: int | None, quick: bool) -> None:
    """A recording of an hour: its wall time beside preparing it and one call."""
    _measure(quick, lambda session: session.one_hour(turns))


@main.command("many_recordings")
@_quick
def many_recordings_command(quick: bool) -> None:
    """Ten thousand recordings of a day: the memory of all processes together. Linux only."""
    _measure(quick, Session.many_recordings)


@main.command("listing")
@_quick
def listing_command(quick: bool) -> None:
    """Requests for one day of a bucket of a million objects. Takes some gigabytes. Needs moto."""
    _measure(quick, Session.listing)


@main.command("dagster_backfill")
@click.option("--days", type=click.IntRange(1), help="How many days (365 by default).")
@_quick
def dagster_backfill_command(days: int | None, quick: bool) -> None:
    """A backfill of short recordings beside one of assets that do nothing, a process for each week."""
    _measure(quick, lambda session: session.dagster_backfill(days))


@main.command("partitions")
@_quick
def partitions_command(quick: bool) -> None:
    """Writing a day of insights beside an insert from Arrow, and eight writers at once. Needs pyarrow."""
    _measure(quick, Session.partitions)


@main.command("kills")
@_quick
def kills_command(quick: bool) -> None:
    """A process is killed over and over: what was paid for twice."""
    _measure(quick, Session.kills)


@main.command("budget")
@_quick
def budget_command(quick: bool) -> None:
    """Several processes spend one budget: what was spent past it."""
    _measure(quick, Session.budget)


@main.command("tables")
def tables_command() -> None:
    """Make the tables of README.md again from results.json."""
    report.write_tables(report.load())


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m benchmarks"))
