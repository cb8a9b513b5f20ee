"""What the documents say is so: their examples run, their tables are complete, their links lead somewhere."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_origin

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox
from pydantic import BaseModel, Field

import llm_assets
from llm_assets import AudioInsights, build_audio_insights, call_insights_extractor
from llm_assets.emulator.config import EmulatorConfig
from llm_assets.emulator.server import Emulator
from llm_assets.llm.models import BudgetConfig, ClientConfig, Limits, ModelConfig, RetryConfig
from llm_assets.orchestration import settings
from llm_assets.orchestration.checks import CHECK_NAMES, CheckLimits
from llm_assets.orchestration.resource import OpenAIResource

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def python_examples(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_public_name_can_be_imported() -> None:
    """What the package says it has is there, under the name it says."""
    for name in llm_assets.__all__:
        value = getattr(llm_assets, name)
        assert get_origin(value) is Annotated or isinstance(value, str) or value.__name__ == name


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Importing the package alone loads neither Dagster nor DuckDB nor pandas."""
    heavy = ("dagster", "duckdb", "pandas", "av", "aiohttp")
    code = f"import sys, llm_assets; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_example_for_dagster_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """README's definitions load, without a key, with the three assets."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    namespace: dict[str, object] = {}
    exec(python_examples(ROOT / "README.md")[0], namespace)
    names = {key.path[-1] for key in namespace["defs"].resolve_asset_graph().get_all_asset_keys()}  # type: ignore[attr-defined]
    assert names == {"recordings", "transcripts", "insights"}


async def test_the_example_without_dagster_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """README's client example asks the emulator and prints a line for each text."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "example"}
    exec(python_examples(ROOT / "README.md")[1], namespace)
    async with Emulator(EmulatorConfig()) as emulator:
        await namespace["main"](["thank you so much", "this is terrible"], emulator.base_url)  # type: ignore[operator]
    assert len(capsys.readouterr().out.strip().splitlines()) == 2


async def test_the_examples_of_the_client_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/client.md: the first example asks three questions once, the others can be made."""
    monkeypatch.chdir(tmp_path)
    asking, *others = python_examples(ROOT / "docs" / "client.md")
    namespace: dict[str, object] = {"__name__": "example"}
    exec(asking, namespace)
    async with Emulator(EmulatorConfig()) as emulator:
        for _ in range(2):
            await namespace["main"](emulator.base_url)  # type: ignore[operator]
        assert emulator.audit.served == 3
    assert capsys.readouterr().out.count("3 of them from the journal") == 1
    for example in others:
        exec(example, {"__name__": "example"})


async def test_the_examples_of_insights_run(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/insights.md: the asset loads, the validators can be made, and one transcript is extracted."""
    asset, several, validators, trying = python_examples(ROOT / "docs" / "insights.md")
    namespace: dict[str, object] = {"__name__": "insights_example"}
    exec(compile(asset, "docs/insights.md", "exec", dont_inherit=True), namespace)
    keys = namespace["defs"].resolve_asset_graph().get_all_asset_keys()  # type: ignore[attr-defined]
    assert {key.path[-1] for key in keys} == {"recordings", "transcripts", "insights", "sales"}
    exec(several, namespace)
    assert {asset.key.path[-1] for asset in namespace["pipeline"].assets} == {  # type: ignore[attr-defined]
        "recordings", "transcripts", "insights", "by_another_model", "sales"
    }  # fmt: skip
    exec(compile(validators, "docs/insights.md", "exec", dont_inherit=True), {"__name__": "insights_example"})
    exec(trying, namespace)
    async with Emulator(EmulatorConfig()) as emulator:
        await namespace["main"](emulator.base_url)  # type: ignore[operator]
    assert capsys.readouterr().out.startswith("ok {'summary': 'The customer asks for a refund.")


def test_the_example_of_the_resource_is_valid() -> None:
    """The resource in docs/configuration.md can be made."""
    exec(python_examples(ROOT / "docs" / "configuration.md")[0], {})


def test_the_examples_for_dagster_load_and_the_test_in_them_passes() -> None:
    """docs/dagster.md: definitions load, automation is on the assets, the example of a test is one."""
    instance, automated, one_process, testing = python_examples(ROOT / "docs" / "dagster.md")
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(instance, namespace)
    dg.Definitions.validate_loadable(namespace["defs"])
    exec(automated, namespace)
    resources = {"openai": OpenAIResource(), "io_manager": dg.mem_io_manager}
    defs = dg.Definitions.merge(namespace["pipeline"], dg.Definitions(resources=resources))
    specs = defs.resolve_all_asset_specs()
    assert all(spec.automation_condition is not None for spec in specs)
    exec(one_process, namespace)
    alone = dg.Definitions.merge(defs, namespace["one_process"].load_fn())
    assert alone.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor
    exec(testing, namespace)
    namespace["test_a_day"]()


def test_the_example_of_a_component_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/dagster.md: the YAML is a component, with the package's own insights beside the others."""

    class Complaint(BaseModel):
        about: str = Field(description="What it is about.")

    models = ModuleType("my_project.models")
    models.__dict__["Complaint"] = Complaint
    monkeypatch.setitem(sys.modules, "my_project", ModuleType("my_project"))
    monkeypatch.setitem(sys.modules, "my_project.models", models)
    text = (ROOT / "docs" / "dagster.md").read_text(encoding="utf-8")
    (yaml,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(component_cls=AudioInsights)
        (folder / "defs.yaml").write_text(yaml)
        (folder / "complaints.md").write_text("Say what the caller complains of.")
        with sandbox.load_component_and_build_defs(defs_path=folder) as (component, defs):
            keys = {key.to_user_string() for key in defs.resolve_all_asset_keys()}
    assert keys >= {"support/insights", "support/complaints"}
    assert isinstance(component, AudioInsights)
    assert (component.extractors or [])[0] == call_insights_extractor()


def test_every_check_is_documented() -> None:
    """docs/dagster.md has a line for each."""
    text = (ROOT / "docs" / "dagster.md").read_text(encoding="utf-8")
    assert [name for name in sorted(CHECK_NAMES) if f"| `{name}` |" not in text] == []


def test_every_option_is_documented() -> None:
    """docs/configuration.md names every variable and every field of every configuration value."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    variables = set(
        re.findall(r'"(LLM_ASSETS_[A-Z_]+)"', Path(settings.__file__).read_text(encoding="utf-8"))
    )
    fields = {
        name
        for model in (
            CheckLimits,
            OpenAIResource,
            ClientConfig,
            ModelConfig,
            Limits,
            BudgetConfig,
            RetryConfig,
        )
        for name in model.model_fields
    } | set(inspect.signature(build_audio_insights).parameters) - {"recordings", "partitions"}
    missing = sorted(name for name in variables | fields if f"`{name}`" not in text)
    assert missing == []
    assert len(variables) == 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document is a file of the repository."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []
