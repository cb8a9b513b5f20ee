"""What is wrong in a component's YAML is told once, of its own field and with its own line."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.resolved.errors import ResolutionException
from dagster.components.testing import create_defs_folder_sandbox
from pydantic import BaseModel, ValidationError

from llm_assets import AudioInsights
from llm_assets.orchestration.component_errors import Misfit

YAML = """\
type: llm_assets.AudioInsights

attributes:
  recordings: calls
  start_date: "2026-03-02"
  retries: 1
  checks: {fallback_share: 0.2}
  openai:
    transcription: [gpt-transcribe]
    chat:
      - gpt-6-luna
      - cached
    budget:
      warn_at: 0.5
      usd_per_day: 20
    limits:
      gpt-6-luna: {requests_per_minute: 5}
  extractors:
    - name: complaints
      output_model: llm_assets.CallInsights
      prompt: complaints.md
    - name: topics
      output_model: llm_assets.CallInsights
      prompt: What is it about?
      chain:
        - gpt-6-luna
        - {model: gpt-6.1-sol, max_output_tokens: 9}
"""


class Status(BaseModel):
    """Its field is called like a column that every table has."""

    status: str


def loaded(yaml: str) -> Path:
    """Where it stood, for messages. Raises what Dagster is told."""
    with create_defs_folder_sandbox(project_name="stranger") as sandbox:
        folder = sandbox.scaffold_component(component_cls=AudioInsights)
        (folder / "complaints.md").write_text("Say what the caller complains of.")
        (folder / "defs.yaml").write_text(yaml)
        try:
            with sandbox.load_component_and_build_defs(defs_path=folder):
                return folder
        except ComponentTreeException as error:
            raise error.__cause__ or error from None


def changed(old: str, new: str) -> str:
    assert YAML.count(old) == 1
    return YAML.replace(old, new)


def test_the_yaml_that_is_changed_below_loads() -> None:
    loaded(YAML)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "said"),
    [
        ('"2026-03-02"', "2026-13-01", 5, "start_date", "a day written as YYYY-MM-DD"),
        ('"2026-03-02"', "soon", 5, "start_date", "a day written as YYYY-MM-DD"),
        ("retries: 1", "timezone: Mars/Base", 6, "timezone", "a time zone of the IANA list"),
        (
            "    transcription:",
            "    api_key: a-key\n    transcription:",
            9,
            "openai.api_key",
            "{env: OPENAI_API_KEY}",
        ),
        (
            "      - gpt-6-luna\n      - cached",
            "      - cached\n      - gpt-6-luna",
            10,
            "openai.chat",
            "can only stand at the end",
        ),
        (
            "CallInsights\n      prompt: What",
            "CallInsight\n      prompt: What",
            23,
            "extractors[1].output_model",
            "'llm_assets.CallInsight' cannot be imported",
        ),
        (
            "llm_assets.CallInsights\n      prompt: What",
            "collections.OrderedDict\n      prompt: What",
            23,
            "extractors[1].output_model",
            "is not a Pydantic model",
        ),
        (
            "llm_assets.CallInsights\n      prompt: comp",
            f"{__name__}.Status\n      prompt: comp",
            20,
            "extractors[0].output_model",
            "status",
        ),
        ("complaints.md", "complaint.md", 21, "extractors[0].prompt", "'complaint.md' cannot be read"),
        ("complaints.md", "' '", 21, "extractors[0].prompt", "the prompt is empty"),
        ("name: topics", "name: Topics of 2026", 22, "extractors[1].name", "use lower-case letters"),
        ("name: topics", "name: complaints", 22, "extractors[1].name", "two extractors are called"),
        ("name: topics", "name: transcripts", 22, "extractors[1].name", "cannot be called"),
        ("name: complaints", "name: daily_cost", 19, "extractors[0].name", "cannot be called"),
        ("usd_per_day: 20", "usd_per_day: twenty", 15, "openai.budget.usd_per_day", "valid decimal"),
        ("usd_per_day: 20", "usd_per_day: -3", 15, "openai.budget.usd_per_day", "or equal to 0"),
        ("      - gpt-6-luna\n      - cached", "      - cached", 10, "openai.chat", "at least one model"),
        (
            "\n      - gpt-6-luna\n      - cached",
            " []",
            10,
            "openai.chat",
            "the extractor 'complaints' asks one",
        ),
        ("[gpt-transcribe]", "[]", 9, "openai.transcription", "at least one"),
        (
            "- cached\n",
            "- {model: gpt-6.1-sol, max_output_tokens: soon}\n",
            12,
            "openai.chat[1].max_output_tokens",
            "valid integer",
        ),
        (
            "max_output_tokens: 9",
            "max_output_tokens: -9",
            27,
            "extractors[1].chain[1].max_output_tokens",
            "greater",
        ),
        ("      prompt: complaints.md\n", "", 19, "extractors[0].prompt", "missing beside output_model"),
        (
            "      output_model: llm_assets.CallInsights\n      prompt: comp",
            "      prompt: comp",
            19,
            "extractors[0].output_model",
            "missing beside prompt",
        ),
        ("    - name: topics", "    - name: topics\n      chain: []", 23, "extractors[1].chain", "no model"),
        ("fallback_share: 0.2", "errors: [none]", 7, "checks.errors", "'none' is no check"),
        (
            "recordings: calls",
            "recordings: {root: a, pattern: '*.mp3', timezone: Mars}",
            4,
            "recordings.timezone",
            "IANA list",
        ),
        ("retries: 1", "io_manager_key: ours\n  duckdb: a.duckdb", 7, "duckdb", "has no effect"),
        ("retries: 1", "prefix: sales calls", 6, "prefix", "letters, digits and underscores"),
        ("retries: 1", "group_name: sales-calls", 6, "group_name", "letters, digits and underscores"),
        ("retries: 1", "owners: [team:voice, me]", 6, "owners", "'me' is neither an address nor a team"),
    ],
)
def test_it_is_told_of_its_own_line(old: str, new: str, line: int, field: str, said: str) -> None:
    """Of the very field, however deep, under its line and without a traceback of ours."""
    yaml = changed(old, new)
    if old == "    - name: topics":
        yaml = yaml.replace("      chain:\n        - gpt-6-luna\n        - {", "      # {")
    with pytest.raises(ResolutionException) as caught:
        loaded(yaml)
    first, *others = str(caught.value).splitlines()
    assert f"defs.yaml:{line} - attributes.{field.replace('[', '.').replace(']', '')}" in first
    shown = [index for index, each in enumerate(others) if "^ " in each]
    assert len(shown) == 1
    assert others[shown[0] - 1].startswith(f"{line:>{others[shown[0] - 1].index(' |')}} |")
    assert f"^ {field}" in others[shown[0]]
    assert said in others[shown[0]]
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "said"),
    [
        ("usd_per_day", "usd_per_dya", 15, "openai.budget.usd_per_dya", "did you mean 'usd_per_day'?"),
        ("start_date", "start_dat", 5, "start_dat", "did you mean 'start_date'?"),
        (
            "requests_per_minute",
            "request_per_minute",
            17,
            "openai.limits.gpt-6-luna.request_per_minute",
            "did you mean 'requests_per_minute'?",
        ),
        (
            "output_model: llm_assets.CallInsights\n      prompt: W",
            "output_modle: a\n      prompt: W",
            23,
            "extractors.1.output_modle",
            "did you mean 'output_model'?",
        ),
        ("retries: 1", "zebra: 1", 6, "zebra", "there are recordings, start_date, "),
        ("retries: 1", "retries: -1", 6, "retries", "greater than or equal to 0"),
        ("warn_at: 0.5", "warn_at: 2", 14, "openai.budget.warn_at", "less than or equal to 1"),
        ("checks: {fallback_share: 0.2}", "checks: 5", 7, "checks", "it is a mapping of fields"),
        ('  start_date: "2026-03-02"\n', "", 4, "start_date", "Field required"),
    ],
)
def test_a_field_that_does_not_fit_its_type_is_told_once(
    old: str, new: str, line: int, field: str, said: str
) -> None:
    """Not also that it is no template, and a misspelt field not also as a missing one."""
    with pytest.raises(ValidationError) as caught:
        loaded(changed(old, new))
    (problem,) = caught.value.errors()
    (place,) = problem["loc"]
    assert str(place).startswith(f"attributes.{field} at ")
    assert str(place).endswith(f"defs.yaml:{line}") or said == "Field required"
    assert said in problem["msg"]


def test_two_mistakes_are_two_errors() -> None:
    """None hides the other."""
    with pytest.raises(ValidationError) as caught:
        loaded(changed("retries: 1", "retries: -1").replace("usd_per_day", "usd_per_dya"))
    assert len(caught.value.errors()) == 2


def test_what_an_unknown_field_holds_is_not_told() -> None:
    """It may be a key."""
    with pytest.raises(ValidationError) as caught:
        loaded(changed("    transcription:", "    api_kee: sk-secret\n    transcription:"))
    assert "did you mean 'api_key'?" in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_extractors_with_chains_of_their_own_need_no_chat() -> None:
    """Nor does a pipeline without extractors."""
    without = "\n      - gpt-6-luna\n      - cached"
    own = "prompt: complaints.md\n      chain: [gpt-6-luna]"
    loaded(changed(without, " []").replace("prompt: complaints.md", own))
    loaded(changed(without, " []").partition("  extractors:")[0] + "  extractors: []\n")


def test_a_misfit_says_what_was_said() -> None:
    assert str(Misfit("it is blue", ("sky",))) == "it is blue"
