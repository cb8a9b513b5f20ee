"""Links from an asset to the lines that made it, on this machine and in a repository."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel, Field

from llm_assets import Extractor, build_audio_insights, build_insights_asset, build_report_asset

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-02", timezone="Europe/Berlin")


class Complaint(BaseModel):
    """What somebody complains of."""

    about: str = Field(description="The thing complained of.")


COMPLAINTS = Extractor("complaints", Complaint, "Say what the caller complains of.")


def specs(assets: Iterable[Any]) -> list[dg.AssetSpec]:
    return [spec for asset in assets for spec in asset.specs]


def test_every_asset_links_to_the_lines_that_made_it() -> None:
    """The call of the user's, and the output model; not the packages that are installed beside them."""
    defs = build_audio_insights("/calls", DAYS, extractors=[COMPLAINTS])
    more = build_insights_asset("moods", Complaint, "Say it.", DAYS)
    page = build_report_asset("/data/calls.duckdb", DAYS, [])
    calls = "defs = build_audio_insights(", "more = build_insights_asset(", "page = build_report_asset("
    expected = {
        "recordings": [calls[0]],
        "transcripts": [calls[0]],
        "complaints": [calls[0], "class Complaint(BaseModel):"],
        "moods": [calls[1], "class Complaint(BaseModel):"],
        "report": [calls[2]],
    }
    for spec in specs([*(defs.assets or ()), more, page]):
        places = spec.metadata["dagster/code_references"].code_references
        lines = [Path(each.file_path).read_text().splitlines()[each.line_number - 1] for each in places]
        wanted = expected[spec.key.to_user_string()]
        assert [line.strip()[: len(start)] for line, start in zip(lines, wanted, strict=True)] == wanted


def test_links_become_addresses_without_a_path_of_this_machine() -> None:
    """As a deployed project links to its repository; Dagster adds what it finds by itself."""
    built = build_audio_insights("/calls", DAYS, extractors=[COMPLAINTS])
    linked = dg.link_code_references_to_git(
        list(built.assets or ()),
        git_url="https://github.com/team/calls",
        git_branch="main",
        file_path_mapping=dg.AnchorBasedFilePathMapping(Path(__file__), "src/defs.py"),
    )
    for spec in specs(linked):
        for place in spec.metadata["dagster/code_references"].code_references:
            assert re.fullmatch(r"https://github.com/team/calls/tree/main/src/defs.py#L[0-9]+", place.url)


LINKS = """
import json
from scratch.definitions import defs
print(json.dumps({
    spec.key.to_user_string(): [
        [each.file_path, each.line_number]
        for each in spec.metadata["dagster/code_references"].code_references
    ]
    for spec in defs().resolve_all_asset_specs()
}))
"""


def test_a_component_links_to_its_yaml_and_its_output_models(tmp_path: Path) -> None:
    """Dagster links the YAML; nothing of this package, whose function no line of the user's calls."""
    pytest.importorskip("dagster_dg_cli", reason="dg is not installed (pip install dagster-dg-cli)")
    from scratch_project import ScratchProject

    scratch = ScratchProject(tmp_path)
    made = scratch.dg("scaffold", "defs", "llm_assets.AudioInsights", "calls")
    assert made.returncode == 0, made.stderr
    (scratch.package / "models.py").write_text(
        "from pydantic import BaseModel\n\n\nclass Mood(BaseModel):\n    mood: str\n"
    )
    yaml = scratch.package / "defs/calls/defs.yaml"
    extractors = (
        "extractors: [{name: moods, output_model: scratch.models.Mood, prompt: The mood.}]\n  openai:"
    )
    yaml.write_text(yaml.read_text().replace("openai:", extractors, 1))
    said = subprocess.run(
        [sys.executable, "-c", LINKS],
        cwd=scratch.root,
        env=scratch.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    here = [str(yaml), 1]
    assert json.loads(said.stdout) == {
        "recordings": [here],
        "transcripts": [here],
        "moods": [[str(scratch.package / "models.py"), 4], here],
    }
