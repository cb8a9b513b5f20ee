"""The pipeline as definitions: one call, several instances side by side, described as a team wants it."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest
from pydantic import BaseModel, Field

from llm_assets import DuckDBFrameIOManager, Extractor, OpenAIResource, build_audio_insights
from llm_assets.errors import ConfigurationError

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-02", timezone="Europe/Berlin")


class Complaint(BaseModel):
    """What somebody complains of."""

    about: str = Field(description="The thing complained of.")


IN_ANOTHER_FILE = DuckDBFrameIOManager(path="/nowhere/support.duckdb")
COMPLAINTS = Extractor("complaints", Complaint, "Say what the caller complains of.")


def loaded(*parts: dg.Definitions) -> dg.Definitions:
    kept = DuckDBFrameIOManager(path="/nowhere.duckdb")
    resources = {"openai": OpenAIResource(), "io_manager": kept, "sales_io_manager": kept}
    defs = dg.Definitions.merge(*parts, dg.Definitions(resources=resources))
    dg.Definitions.validate_loadable(defs)
    return defs


def keys(defs: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


def test_one_call_gives_assets_checks_job_and_schedule() -> None:
    """Everything is there, and depends on each other in the order of the work."""
    defs = loaded(build_audio_insights("/calls", DAYS, extractors=[COMPLAINTS]))
    assert keys(defs) == {"recordings", "transcripts", "complaints"}
    graph = defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey("complaints")).parent_keys == {dg.AssetKey("transcripts")}
    assert graph.get(dg.AssetKey("transcripts")).parent_keys == {dg.AssetKey("recordings")}
    assert {spec.group_name for spec in defs.resolve_all_asset_specs()} == {"audio_insights"}
    assert graph.asset_check_keys
    assert defs.resolve_schedule_def("audio_insights_daily_schedule").job_name == "audio_insights_daily"


def test_several_instances_live_side_by_side() -> None:
    """A prefix keeps keys, groups, jobs and schedules apart; each may ask its own resource."""
    defs = dg.Definitions.merge(
        loaded(build_audio_insights("/sales", DAYS, prefix="sales")),
        build_audio_insights("/support", DAYS, prefix="support", group_name="help", openai_key="other"),
        dg.Definitions(resources={"other": OpenAIResource(), "support_io_manager": IN_ANOTHER_FILE}),
    )
    dg.Definitions.validate_loadable(defs)
    assert keys(defs) == {
        f"{prefix}/{name}"
        for prefix in ("sales", "support")
        for name in ("recordings", "transcripts", "insights")
    }
    assert {spec.group_name for spec in defs.resolve_all_asset_specs()} == {"sales_audio_insights", "help"}
    for prefix in ("sales", "support"):
        defs.resolve_schedule_def(f"{prefix}_audio_insights_daily_schedule")
    selected = defs.resolve_job_def("sales_audio_insights_daily").asset_layer.executable_asset_keys
    assert {key.path[0] for key in selected} == {"sales"}


def test_a_translation_has_the_last_word_on_every_asset() -> None:
    """Keys, groups, owners and tags are the team's; assets still find each other."""

    def ours(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(
            key=spec.key.with_prefix(["warehouse", "calls"]), owners=["team:voice"], tags={"tier": "1"}
        )

    defs = loaded(build_audio_insights("/calls", DAYS, translation=ours))
    assert keys(defs) == {f"warehouse/calls/{name}" for name in ("recordings", "transcripts", "insights")}
    (insights,) = [spec for spec in defs.resolve_all_asset_specs() if spec.key.path[-1] == "insights"]
    assert [dep.asset_key.path[-1] for dep in insights.deps] == ["transcripts"]
    assert insights.owners == ["team:voice"]
    assert insights.tags["tier"] == "1"


def test_what_cannot_be_built_is_said_at_once() -> None:
    """Two extractors of one name would be one asset; a backfill's run has at least a day."""
    with pytest.raises(ConfigurationError, match="complaints"):
        build_audio_insights("/calls", DAYS, extractors=[COMPLAINTS, COMPLAINTS])
    with pytest.raises(ConfigurationError, match="days_per_backfill_run"):
        build_audio_insights("/calls", DAYS, days_per_backfill_run=0)


def test_owners_and_freshness_are_said_of_the_assets() -> None:
    """Who is asked, and when a day is overdue."""
    defs = loaded(
        build_audio_insights(
            "/calls", DAYS, extractors=[COMPLAINTS], owners=["team:voice"], fresh_within_hours=30
        )
    )
    specs = {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}
    for spec in specs.values():
        assert spec.owners == ["team:voice"]
        assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30))
    plain = loaded(build_audio_insights("/calls", DAYS))
    assert all(spec.freshness_policy is None for spec in plain.resolve_all_asset_specs())
