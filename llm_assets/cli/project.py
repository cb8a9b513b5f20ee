"""Laying out a small project: Dagster's two files and the sample recordings, from the package itself.

Existing files are never overwritten. What would be written is known before anything is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from llm_assets.errors import ConfigurationError

PROJECT_FILES = ("dagster.yaml", "workspace.yaml")
SAMPLES = Path("data", "recordings")
SAMPLE_DAYS = ("2026-03-02", "2026-03-03", "2026-03-04")

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Layout:
    """Files to copy into `root`: relative paths, the same at both ends."""

    source: Path
    root: Path
    missing: tuple[Path, ...]

    def write(self) -> None:
        """Copy what is missing; a file that has appeared meanwhile is left alone."""
        for path in self.missing:
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy2(self.source / path, target)


def plan_layout(root: Path) -> Layout:
    """What a project at `root` lacks of Dagster's files and the sample recordings."""
    source = template_folder()
    missing = tuple(path for path in _template_paths(source) if not (root / path).exists())
    return Layout(source, root, missing)


def template_folder() -> Path:
    """The folder the files come from: inside an installed package, or the repository itself.

    Raises ConfigurationError when the installation has neither.
    """
    for folder in (_PACKAGE / "_project", _PACKAGE.parent):
        if all((folder / name).is_file() for name in PROJECT_FILES) and (folder / SAMPLES).is_dir():
            return folder
    raise ConfigurationError(
        "The sample recordings are not part of this installation of llm-assets; install it again with pip."
    )


def _template_paths(source: Path) -> list[Path]:
    samples = [path for day in SAMPLE_DAYS for path in sorted((source / SAMPLES / day).rglob("*"))]
    return [Path(name) for name in PROJECT_FILES] + [
        path.relative_to(source) for path in samples if path.is_file()
    ]
