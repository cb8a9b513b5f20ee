"""What a person sees while the demo works: a bar per asset in a terminal, a line per asset elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from llm_assets.orchestration.progress import Progress


class Screen:
    """Writes to stderr, so that stdout is the result and nothing else."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, quiet=quiet)
        self._has_bars = self._console.is_terminal  # asked now: while bars are shown, rich stands in between
        self._bars = Bars(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._has_bars,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def say_what_is_ignored(self, environ: Mapping[str, str]) -> None:
        """A person who has set a key should know that it is not used, and why settings do not count."""
        if environ.get("OPENAI_API_KEY"):
            self.say("OPENAI_API_KEY is set, and not used: the demo asks the emulator only.")
        ignored = sorted(name for name in environ if name.startswith("LLM_ASSETS_"))
        if ignored:
            self.say(f"The demo runs on its own settings and ignores {', '.join(ignored)}.")

    def show(self, progress: Progress) -> None:
        """Move the asset's bar to where it is. Called from the thread that does the work."""
        if progress.asset not in self._tasks:
            self._tasks[progress.asset] = self._bars.add_task(progress.asset, total=progress.total)
        self._bars.update(self._tasks[progress.asset], completed=progress.done)
        if progress.done == progress.total:
            self._bars.stop_task(self._tasks[progress.asset])
            if not self._has_bars:
                self.say(f"{progress.asset}: {progress.done} of {progress.total}")
