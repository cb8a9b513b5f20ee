"""A project is laid out from the package, and nothing that exists is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_assets.cli import project
from llm_assets.cli.project import SAMPLE_DAYS, SAMPLES, plan_layout


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries its project files, with one sample a day."""
    folder = tmp_path / "site-packages" / "llm_assets" / "_project"
    for day in SAMPLE_DAYS:
        (folder / SAMPLES / day).mkdir(parents=True)
        (folder / SAMPLES / day / "a call, 'quoted' ü.ogg").write_bytes(b"OggS")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (folder / "workspace.yaml").write_text("load_from: []\n")
    monkeypatch.setattr(project, "_PACKAGE", folder.parent)
    return folder


def test_an_empty_folder_becomes_a_project(template: Path, tmp_path: Path) -> None:
    """Dagster's files and every sample arrive, byte for byte."""
    root = tmp_path / "new project"
    root.mkdir()
    layout = plan_layout(root)
    assert not list(root.iterdir())
    layout.write()
    written = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert written == sorted(layout.missing)
    assert len(written) == 2 + len(SAMPLE_DAYS)
    assert all((root / path).read_bytes() == (template / path).read_bytes() for path in written)
    assert plan_layout(root).missing == ()


@pytest.mark.usefixtures("template")
def test_existing_files_stay_as_they_are(tmp_path: Path) -> None:
    """A file of the same name is kept, even one that appears between planning and writing."""
    root = tmp_path / "mine"
    root.mkdir()
    (root / "dagster.yaml").write_text("mine")
    layout = plan_layout(root)
    assert Path("dagster.yaml") not in layout.missing
    (root / "workspace.yaml").write_text("just now")
    layout.write()
    assert (root / "dagster.yaml").read_text() == "mine"
    assert (root / "workspace.yaml").read_text() == "just now"


def test_the_repository_is_its_own_template() -> None:
    """In a checkout nothing is missing, so nothing is written."""
    layout = plan_layout(Path(project.__file__).parents[2])
    assert layout.missing == ()
