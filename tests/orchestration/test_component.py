"""The component, through `dg`, in a project that is not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from fake_openai import FakeOpenAI, write_wav
from live_instance import LiveProject

from llm_assets import AudioInsights
from llm_assets.orchestration.component_fields import HintFields, RecordingFields
from llm_assets.recordings.source import Hints, RecordingSource

pytest.importorskip("dagster_dg_cli", reason="dg is not installed (pip install dagster-dg-cli)")

from scratch_project import ScratchProject

YAML = """\
type: llm_assets.AudioInsights

attributes:
  recordings: calls
  start_date: "2026-03-02"
  timezone: Europe/Berlin
  prefix: sales
  openai:
    transcription: [gpt-transcribe]
    chat: [gpt-6-luna]
    budget: {usd_per_day: 5}
  extractors:
    - name: complaints
      output_model: scratch.models.Complaint
      prompt: complaints.md
"""

MODELS = '''\
from pydantic import BaseModel, Field


class Complaint(BaseModel):
    """What somebody complains of."""

    summary: str = Field(description="One sentence.")
'''


@pytest.fixture
def scratch(tmp_path: Path) -> ScratchProject:
    return ScratchProject(tmp_path)


def written(scratch: ScratchProject, yaml: str) -> Path:
    folder = scratch.package / "defs" / "calls"
    folder.mkdir(exist_ok=True)
    (folder / "complaints.md").write_text("Say what the caller complains of.")
    (scratch.package / "models.py").write_text(MODELS)
    (folder / "defs.yaml").write_text(yaml)
    return folder / "defs.yaml"


def test_scaffold_check_list_and_materialize(scratch: ScratchProject, server: FakeOpenAI) -> None:
    """What is scaffolded loads as it stands; with a few lines changed a day is carried through."""
    made = scratch.dg("scaffold", "defs", "llm_assets.AudioInsights", "calls")
    assert made.returncode == 0, made.stdout + made.stderr
    checked = scratch.dg("check", "defs")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    written(scratch, YAML)
    write_wav(scratch.root / "calls" / "2026-03-02" / "one.wav", 6)
    listed = scratch.dg("list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert {asset["asset_key"] for asset in found["assets"]} == {
        "sales/recordings",
        "sales/transcripts",
        "sales/complaints",
    }
    assert [each["name"] for each in found["schedules"]] == ["sales_audio_insights_daily_schedule"]

    launched = scratch.dg(
        "launch",
        "--job",
        "sales_audio_insights_daily",
        "--partition",
        "2026-03-02",
        OPENAI_BASE_URL=server.base_url,
    )
    assert launched.returncode == 0, launched.stdout[-3000:] + launched.stderr[-3000:]
    with duckdb.connect(str(scratch.root / "data" / "sales.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT status, summary FROM complaints").fetchall()
    assert rows == [("ok", "The customer wants the money back.")]


def test_dg_dev_serves_it(scratch: ScratchProject, server: FakeOpenAI) -> None:
    """Webserver, daemon and code server of a project that is not ours: a day is launched and materialized."""
    written(scratch, YAML)
    write_wav(scratch.root / "calls" / "2026-03-02" / "one.wav", 6)
    environ = scratch.environ | {"OPENAI_BASE_URL": server.base_url}
    with LiveProject(scratch.root, environ, "scratch") as dagster:
        run = dagster.launch("2026-03-02", "sales_audio_insights_daily")
        assert dagster.finished(run) == "SUCCESS"
        assert dagster.materialized("sales/complaints") == {"2026-03-02"}


def test_a_second_component_gets_names_of_its_own(scratch: ScratchProject) -> None:
    """Both load side by side as they were scaffolded, and write to files of their own."""
    for name in ("calls", "support-calls"):
        made = scratch.dg("scaffold", "defs", "llm_assets.AudioInsights", name)
        assert made.returncode == 0, made.stdout + made.stderr
    listed = scratch.dg("list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    assert [each["name"] for each in json.loads(listed.stdout)["jobs"]] == [
        "audio_insights_daily",
        "support_calls_audio_insights_daily",
    ]
    yaml = (scratch.package / "defs" / "support-calls" / "defs.yaml").read_text()
    assert "duckdb: data/support_calls.duckdb" in yaml


def test_two_components_with_the_same_tables_are_refused_when_they_load(scratch: ScratchProject) -> None:
    """Before anything is asked or written; the message names both, what to do, and the line."""
    for name in ("sales", "support"):
        folder = scratch.package / "defs" / name
        folder.mkdir()
        attributes = (
            f"recordings: {name}, start_date: '2026-03-02', prefix: {name}, duckdb: data/calls.duckdb"
        )
        (folder / "defs.yaml").write_text(f"type: llm_assets.AudioInsights\nattributes: {{{attributes}}}\n")
    checked = scratch.dg("check", "defs")
    said = " ".join((checked.stdout + checked.stderr).split())
    assert checked.returncode != 0
    assert "'sales'" in said
    assert "'support'" in said
    assert "give each a `duckdb` of its own" in said
    assert "defs.yaml:2 - attributes.duckdb" in said
    assert said.count("defs.yaml:2") >= 2


def test_two_components_with_the_same_prefix_are_refused_when_they_load(scratch: ScratchProject) -> None:
    """Not by the job or the asset that Dagster finds twice: by the line, and what to do."""
    for name in ("sales", "support"):
        folder = scratch.package / "defs" / name
        folder.mkdir()
        attributes = (
            f"recordings: {name}, start_date: '2026-03-02', prefix: calls, duckdb: data/{name}.duckdb"
        )
        (folder / "defs.yaml").write_text(f"type: llm_assets.AudioInsights\nattributes: {{{attributes}}}\n")
    checked = scratch.dg("check", "defs")
    said = " ".join((checked.stdout + checked.stderr).split())
    assert checked.returncode != 0
    assert "it has the prefix 'calls' too" in said
    assert "defs.yaml:2 - attributes.prefix" in said
    assert "give one of them a `prefix` of its own" in said


MISFITS = """\
type: llm_assets.AudioInsights

attributes:
  recordings: {root: calls, hints: {lang: de}}
  tables: here
  start_date: "2026-03-02"
  schedule: daily
  openai:
    transcription: [gpt-transcribe]
    chat:
      - gpt-6-luna
      - {model: x, max_tokens: 5}
    budget:
      usd_per_dy: 5
      tokens_per_day: many
    limits:
      gpt-6-luna: {request_per_minute: 5}
"""


def test_what_does_not_fit_the_schema_is_told_with_line_and_field(scratch: ScratchProject) -> None:
    """`dg check defs` tells all of it at once, each of its own line and once."""
    path = written(scratch, MISFITS)
    checked = scratch.dg("check", "defs")
    assert checked.returncode != 0
    nothing, *told = checked.stdout.split(f"{path}:")
    assert nothing == ""
    expected = [
        (4, "recordings.hints.lang", "'lang' was unexpected"),
        (5, "tables", "'tables' was unexpected"),
        (7, "schedule", "'daily' is not of type 'object'"),
        (12, "openai.chat.1.max_tokens", "'max_tokens' was unexpected"),
        (14, "openai.budget.usd_per_dy", "'usd_per_dy' was unexpected"),
        (15, "openai.budget.tokens_per_day", "'many' is not of type 'integer'"),
        (17, "openai.limits.gpt-6-luna.request_per_minute", "'request_per_minute' was unexpected"),
    ]
    assert len(told) == len(expected)
    for line, field, said in expected:
        (head,) = [each.partition("\n")[0] for each in told if each.startswith(f"{line} - ")]
        assert f" attributes.{field} " in head
        assert said in head


@pytest.mark.parametrize(
    ("wrong", "line", "field", "said"),
    [
        ('  timezone: UTC\n  retries: "{{ 2 - 3 }}"', 7, "attributes.retries", "greater than or equal to 0"),
        ("      output_model: no.Such", 14, "extractors[0].output_model", "'no.Such' cannot be imported"),
    ],
)
def test_what_only_loading_finds_is_told_with_line_and_field(
    scratch: ScratchProject, wrong: str, line: int, field: str, said: str
) -> None:
    """By `dg check defs` as by whatever loads it, of which test_component_errors.py has every case."""
    name = wrong.strip().partition(":")[0]
    (kept,) = [each for each in YAML.splitlines() if each.strip().startswith(f"{name}:")]
    path = written(scratch, YAML.replace(kept, wrong))
    checked = scratch.dg("check", "defs")
    output = " ".join((checked.stdout + checked.stderr).split())
    assert checked.returncode != 0
    assert f"{path}:{line}" in output
    assert field in output
    assert said in output


def test_the_schema_describes_every_field() -> None:
    """An editor shows what each field is and how one looks."""

    def undescribed(schema: dict[str, Any]) -> list[str]:
        return [
            name
            for name, field in schema.get("properties", {}).items()
            if not (field.get("description") and field.get("examples"))
        ]

    schema = AudioInsights.get_model_cls().model_json_schema()
    own = {name: each for name, each in schema["$defs"].items() if "Fields" in name}
    assert undescribed(schema) == ["translation"]  # Dagster's own field
    assert {name: undescribed(each) for name, each in own.items() if undescribed(each)} == {
        name: undescribed(own[name]) for name in ("LimitFieldsModel", "RetryFieldsModel")
    }


def test_yaml_can_say_of_recordings_what_python_can() -> None:
    """A field that a source gets is a field in YAML, with the same default."""
    for fields, value in ((RecordingFields, RecordingSource), (HintFields, Hints)):
        assert set(fields.model_fields) == set(value.model_fields)
    assert RecordingFields(root="/calls").source(Path("/anywhere")) == RecordingSource(root="/calls")


OURS = {"tags": {"tier": "1"}, "owners": ["team:voice"]}


class Renamed(AudioInsights):
    """A subclass has the last word on how assets are described."""

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return super().get_asset_spec(spec).replace_attributes(group_name="voice")


def test_a_subclass_describes_assets_its_own_way() -> None:
    """The public hook, without `dg`."""
    component = Renamed.from_attributes_dict(
        attributes={"recordings": "calls", "start_date": "2026-03-02", "translation": OURS}
    )
    defs = component.build_defs(dg.ComponentTree.for_test().load_context)
    specs = list(defs.resolve_all_asset_specs())
    assert all(spec.owners == ["team:voice"] for spec in specs)
    assert {spec.group_name for spec in specs} == {"voice"}
    assert all(spec.tags["tier"] == "1" for spec in specs)


def test_the_report_is_one_of_the_assets() -> None:
    """Its owners are theirs, its group too."""
    component = AudioInsights.from_attributes_dict(
        attributes={
            "recordings": "calls",
            "start_date": "2026-03-02",
            "owners": ["team:voice"],
            "report": True,
        }
    )
    specs = list(component.build_defs(dg.ComponentTree.for_test().load_context).resolve_all_asset_specs())
    assert {spec.key.path[-1] for spec in specs} == {"recordings", "transcripts", "insights", "report"}
    assert all(spec.owners == ["team:voice"] for spec in specs)
    assert {spec.group_name for spec in specs} == {"audio_insights"}


def test_assets_run_in_one_process_where_it_is_said() -> None:
    """The job always does; the project's executor is its own, and two components that say so get along."""

    def built(**more: object) -> dg.Definitions:
        attributes = {"recordings": "calls", "start_date": "2026-03-02", **more}
        component = AudioInsights.from_attributes_dict(attributes=attributes)
        return component.build_defs(dg.ComponentTree.for_test().load_context)

    plain = built()
    assert plain.executor is None
    assert plain.resolve_job_def("audio_insights_daily").executor_def is dg.in_process_executor
    both = dg.Definitions.merge(built(one_process=True), built(one_process=True, prefix="sales"))
    assert both.executor is dg.in_process_executor
    assert both.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor
