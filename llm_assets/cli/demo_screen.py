"""What a person sees while the demo works: a bar per day in a terminal, a line per asset elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from llm_assets.orchestration.progress import Progress

_ASSETS = ("recordings", "transcripts", "insights")


class Screen:
    """Writes to stderr, so that stdout is the result and nothing else."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, quiet=quiet)
        self._bars = Bars(
            TextColumn("{task.fields[day]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def say_what_is_ignored(self, environ: Mapping[str, str]) -> None:
        """A person who has set a key should know that it is not used, and why settings do not count."""
        if environ.get("OPENAI_API_KEY"):
            self.say("OPENAI_API_KEY is set, and not used: the demo asks the emulator only.")
        ignored = sorted(name for name in environ if name.startswith("LLM_ASSETS_"))
        if ignored:
            self.say(f"The demo runs on its own settings and ignores {', '.join(ignored)}.")

    @contextmanager
    def day(self, day: str) -> Generator[Callable[[Progress], None]]:
        """Show the progress of one day's assets, as the yielded function is told of it."""
        task = self._bars.add_task("…", total=None, day=day)

        def show(progress: Progress) -> None:
            position = _ASSETS.index(progress.asset)
            self._bars.update(
                task,
                total=progress.total * len(_ASSETS),
                completed=position * progress.total + progress.done,
                description=f"{progress.asset} {progress.done} of {progress.total}",
            )
            if progress.done == progress.total and not self._console.is_terminal:
                self.say(f"{day} {progress.asset}: {progress.done} of {progress.total}")

        yield show
        self._bars.update(task, description="done")
