"""The resource builds the core's configuration, and no key of it is ever stored or shown."""

from __future__ import annotations

import warnings
from decimal import Decimal

import dagster as dg
import pytest

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import ModelConfig
from llm_assets.orchestration.resource import OpenAIResource

KEY = "sk-planted-key-0123456789"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OTHER_KEY"):
        monkeypatch.delenv(name, raising=False)


def in_a_run(resource: OpenAIResource) -> OpenAIResource:
    """The resource as an asset gets it: initialized by Dagster from its configuration."""
    seen: list[OpenAIResource] = []

    @dg.asset
    def reader(openai: OpenAIResource) -> None:
        seen.append(openai)

    assert dg.materialize([reader], resources={"openai": resource}).success
    return seen[0]


def test_the_configuration_of_the_readme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains, limits, budget and retries arrive in the core's configuration as written."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    resource = OpenAIResource(
        api_key=dg.EnvVar("OPENAI_API_KEY"),
        base_url=dg.EnvVar("OPENAI_BASE_URL"),
        transcription=["gpt-transcribe", "whisper-1"],
        chat=["gpt-6.1-sol", {"model": "gpt-6-luna", "parameters": {"reasoning_effort": "low"}}, "cached"],
        limits={"gpt-6-luna": {"requests_per_minute": 5000, "tokens_per_minute": 2_000_000}},
        budget={"usd_per_run": 5, "usd_per_day": 50, "warn_at": 0.8, "when_exceeded": "downgrade"},
        max_concurrency=64,
        headroom=0.1,
        retry={"max_attempts": 3},
    )
    config = in_a_run(resource).client_config()
    assert config.api_key is not None
    assert config.api_key.get_secret_value() == KEY
    assert config.base_url is None
    assert [entry if isinstance(entry, str) else entry.model for entry in config.chat] == [
        "gpt-6.1-sol",
        "gpt-6-luna",
        "cached",
    ]
    assert config.limits["gpt-6-luna"].requests_per_minute == 5000
    assert config.budget.usd_per_run == Decimal(5)
    assert (config.max_concurrency, config.headroom, config.retry.max_attempts) == (64, 0.1, 3)


def test_without_any_variable_the_project_still_loads() -> None:
    """Unset variables count as not given, up to the run."""
    resource = OpenAIResource(api_key=dg.EnvVar("OPENAI_API_KEY"), base_url=dg.EnvVar("OPENAI_BASE_URL"))
    assert in_a_run(resource).client_config().api_key is None


async def test_no_key_and_no_server_is_one_clear_error() -> None:
    """The message names the variable, the alternative and the emulator, before any call."""
    with pytest.raises(ConfigurationError) as caught:
        async with OpenAIResource().client("run"):
            pass
    for word in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "llm-assets emulator"):
        assert word in str(caught.value)


async def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a base URL, a missing key is the server's business."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    async with OpenAIResource(base_url=dg.EnvVar("OPENAI_BASE_URL")).client("run") as client:
        assert client.metrics.snapshot().calls == 0


def test_a_key_inside_a_chain_entry_is_resolved_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry of another provider brings its own key, as a reference."""
    monkeypatch.setenv("OTHER_KEY", KEY)
    entry = {"model": "qwen", "base_url": "http://127.0.0.1:9/v1", "api_key": dg.EnvVar("OTHER_KEY")}
    (model,) = in_a_run(OpenAIResource(chat=[entry])).client_config().chat
    assert isinstance(model, ModelConfig)
    assert model.api_key is not None
    assert model.api_key.get_secret_value() == KEY


def test_an_unset_key_inside_a_chain_entry_never_falls_back_to_another_key() -> None:
    """Sending OpenAI's key to another server would give it away, so the run stops instead."""
    entry = {"model": "qwen", "base_url": "http://127.0.0.1:9/v1", "api_key": dg.EnvVar("OTHER_KEY")}
    with pytest.raises(ConfigurationError, match="OTHER_KEY"):
        OpenAIResource(chat=[entry]).client_config()


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"chat": ["cached", "gpt-6-luna"]}, "chat"),
        ({"budget": {"usd_per_run": -1}}, "budget.usd_per_run"),
        ({"budget": {"dollars": 1}}, "budget.dollars"),
        ({"limits": {"gpt-6-luna": {"requests_per_minute": 0}}}, "limits.gpt-6-luna.requests_per_minute"),
        ({"chat": [{"model": "m", "api_key": KEY, "nonsense": KEY}]}, "nonsense"),
    ],
)
def test_what_cannot_work_fails_when_the_project_loads(fields: dict[str, object], where: str) -> None:
    """The error names the field, and never shows a value that may be a key."""
    with pytest.raises(ConfigurationError) as caught:
        OpenAIResource(**fields)
    assert where in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_key_written_out_is_warned_about() -> None:
    """Dagster would store and show it."""
    with pytest.warns(UserWarning, match="EnvVar"):
        dg.Definitions(resources={"openai": OpenAIResource(api_key=KEY)}).get_repository_def()


def test_a_reference_is_not_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right way is silent."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        resource = OpenAIResource(api_key=dg.EnvVar("OPENAI_API_KEY"))
        dg.Definitions(resources={"openai": resource}).get_repository_def()


def test_its_text_shows_no_key() -> None:
    """`repr` is what ends up in logs."""
    assert KEY not in repr(OpenAIResource(api_key=KEY, anthropic_api_key=KEY))
