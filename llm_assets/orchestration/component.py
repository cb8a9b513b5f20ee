"""The component `llm_assets.AudioInsights`: the whole pipeline from a few lines of YAML.

It is a plain user of `build_audio_insights` and brings its two resources with it, unless it is told to
ask the project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

import dagster as dg
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BaseModel, Field, PrivateAttr, model_validator

from llm_assets.insights.prompts import Extractor
from llm_assets.orchestration.build import build_audio_insights
from llm_assets.orchestration.component_errors import Misfit
from llm_assets.orchestration.component_extractors import ExtractorFields, resolved_extractors
from llm_assets.orchestration.component_fields import (
    CheckFields,
    LateFields,
    RecordingFields,
    ScheduleFields,
    described,
    located,
)
from llm_assets.orchestration.component_neighbours import Claim, require_own
from llm_assets.orchestration.component_openai import OpenAIFields
from llm_assets.orchestration.component_resolvers import (
    a_day,
    a_name,
    the_checks,
    the_openai,
    the_owners,
    the_recordings,
    the_time_zone,
)
from llm_assets.orchestration.component_scaffold import AudioInsightsScaffolder
from llm_assets.orchestration.component_schema import Text, with_precise_schema
from llm_assets.orchestration.component_templates import Templated
from llm_assets.orchestration.io_manager import DuckDBFrameIOManager
from llm_assets.orchestration.outages import AFTER_AN_OUTAGE
from llm_assets.orchestration.report_asset import build_report_asset
from llm_assets.orchestration.stage_asset import DAYS_PER_BACKFILL_RUN, GROUP


def _without_a_chain(extractors: Sequence[Extractor]) -> list[str]:
    return [each.name for each in extractors if each.chain is None]


@dg.scaffold_with(AudioInsightsScaffolder)
class AudioInsights(dg.Component, Templated):
    """Audio recordings to transcripts to structured insights: daily-partitioned assets in DuckDB tables."""

    recordings: Annotated[
        RecordingFields,
        dg.Resolver(
            the_recordings,
            model_field_type=RecordingFields.model() | Text,
            description="Folder or URL with a folder per day, or a mapping that says more.",
            examples=["data/recordings", {"root": "s3://bucket/calls", "pattern": "{date:%Y/%m/%d}/*.mp3"}],
        ),
    ]
    start_date: Annotated[
        date,
        dg.Resolver(
            a_day,
            model_field_type=date | str,
            description="The first day that is a partition.",
            examples=["2026-01-01"],
        ),
    ]
    timezone: Annotated[
        str,
        dg.Resolver(
            the_time_zone,
            model_field_type=str,
            description="Where a day begins: of partitions, schedule and daily budget.",
            examples=["Europe/Berlin"],
        ),
    ] = "UTC"
    prefix: Annotated[
        str | None,
        dg.Resolver(
            a_name,
            model_field_type=str,
            description="Goes before all names, so that several of these live side by side.",
            examples=["sales"],
        ),
    ] = None
    group_name: Annotated[
        str | None,
        dg.Resolver(
            a_name,
            model_field_type=str,
            description="The assets' group. Default: audio_insights.",
            examples=["voice"],
        ),
    ] = None
    extractors: Annotated[
        list[Extractor] | None,
        dg.Resolver(
            resolved_extractors,
            model_field_type=list[ExtractorFields.model()],
            description="What is read out of transcripts, all of it. Default: insights, general facts about "
            "calls, which stay beside others as a name alone.",
            examples=[
                [
                    {"name": "insights"},
                    {
                        "name": "complaints",
                        "output_model": "my_project.models.Complaint",
                        "prompt": "complaints.md",
                    },
                ]
            ],
        ),
    ] = None
    openai: Annotated[
        OpenAIFields,
        dg.Resolver(
            the_openai,
            model_field_type=OpenAIFields.model(),
            description="The models that are asked, within limits and budget.",
            examples=[{"chat": ["gpt-6-luna", "cached"], "budget": {"usd_per_day": "20"}}],
        ),
    ] = OpenAIFields()
    openai_key: Annotated[
        str | None,
        described(
            "Name of an OpenAIResource of the project, to be asked in place of an own one.", ["openai"]
        ),
    ] = None
    duckdb: Annotated[
        str | None,
        described(
            "The DuckDB file, from the project's root; of each component its own. Default: "
            "data/llm_assets.duckdb, with a prefix data/<prefix>.duckdb.",
            ["data/calls.duckdb"],
        ),
    ] = None
    io_manager_key: Annotated[
        str | None,
        described(
            "Name of an IO manager of the project for data frames, in place of the DuckDB file.",
            ["snowflake_io_manager"],
        ),
    ] = None
    days_per_backfill_run: Annotated[
        int,
        Field(ge=1),
        described("Days of a backfill that share a run. 1 for IO managers that know no ranges.", [1]),
    ] = DAYS_PER_BACKFILL_RUN
    one_process: Annotated[
        bool,
        described(
            "Whether runs of assets without the job take one process for all steps, as those of the job do: "
            "of the whole project, and not beside another executor.",
            [True],
        ),
    ] = False
    schedule: Annotated[ScheduleFields, described("When the daily run comes.", [{"hour": 5}])] = (
        ScheduleFields()
    )
    late_recordings: Annotated[
        LateFields, described("Which days are looked at for recordings that came late.", [{"days": 30}])
    ] = LateFields()
    report: Annotated[
        bool,
        described("Whether there is an asset that writes a page a month beside the DuckDB file.", [True]),
    ] = False
    checks: Annotated[
        CheckFields,
        dg.Resolver(
            the_checks,
            model_field_type=CheckFields.model(),
            description="What is still fine, and what is an error.",
            examples=[{"fallback_share": 0.2}],
        ),
    ] = CheckFields()
    fresh_within_hours: Annotated[
        float | None,
        Field(gt=0),
        described("Assets without a new day for longer are overdue. For a running schedule.", [30]),
    ] = None
    owners: Annotated[
        Sequence[str],
        dg.Resolver(
            the_owners,
            model_field_type=list[str],
            description="Who looks after the assets: addresses or teams.",
            examples=[["team:voice"]],
        ),
    ] = ()
    retries: Annotated[
        int,
        Field(ge=0),
        described("How often an asset is tried again after an outage, a minute later and on.", [3]),
    ] = AFTER_AN_OUTAGE.max_retries
    translation: Annotated[
        TranslationFn[dg.AssetSpec] | None,
        # Attributes of every asset: key_prefix, group_name, owners, tags and what else Dagster knows.
        TranslationFnResolver[dg.AssetSpec](template_vars_for_translation_fn=lambda spec: {"spec": spec}),
    ] = None

    # Where it stands, for errors that only show once the components of a project meet.
    _yaml: dg.ResolutionContext | None = PrivateAttr(default=None)

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Any:
        made = super().resolve_from_model(context, model)
        made._yaml = context
        return made

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        """A budget that nobody keeps is worse than none."""
        if self.openai_key is not None and "openai" in self.model_fields_set:
            raise Misfit(
                "openai has no effect beside openai_key: the project's own resource is asked", ("openai",)
            )
        if self.io_manager_key is not None and self.duckdb is not None and not self.report:
            raise Misfit(
                "duckdb has no effect beside io_manager_key: the project's own IO manager writes", ("duckdb",)
            )
        if self.io_manager_key is not None and self.report and self.duckdb is None:
            raise Misfit(
                "report reads a DuckDB file: name with duckdb the one that io_manager_key writes", ("report",)
            )
        return self

    @model_validator(mode="after")
    def _a_model_to_ask(self) -> Self:
        """Extractors that have no chain of their own ask the resource's."""
        without = ["insights"] if self.extractors is None else _without_a_chain(self.extractors)
        if without and self.openai_key is None and not self.openai.chat:
            raise Misfit(
                f"it names no model, and the extractor {without[0]!r} asks one: give it at least one",
                ("openai", "chat"),
            )
        return self

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(tags=["audio", "transcription", "llm", "duckdb"])

    @classmethod
    def get_model_cls(cls) -> type[BaseModel] | None:
        model = super().get_model_cls()
        return with_precise_schema(model) if model else None

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """How an asset is described; a subclass may say otherwise."""
        return self.translation(spec, spec) if self.translation else spec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        root = context.project_root
        partitions = dg.DailyPartitionsDefinition(
            start_date=self.start_date.isoformat(), timezone=self.timezone
        )
        require_own(self._claim(root), [each._claim(root) for each in self._others(context)])
        own: dict[str, object] = {}
        if self.openai_key is None:
            own[self._name("openai")] = self.openai.resource(root, self.timezone)
        if self.io_manager_key is None:
            own[self._name("io_manager")] = DuckDBFrameIOManager(path=self._database(root))
        pipeline = build_audio_insights(
            self.recordings.source(root),
            partitions,
            extractors=self.extractors,
            prefix=self.prefix,
            group_name=self.group_name,
            days_per_backfill_run=self.days_per_backfill_run,
            openai_key=self.openai_key or self._name("openai"),
            io_manager_key=self.io_manager_key or self._name("io_manager"),
            schedule=self.schedule.rhythm(),
            late_recordings=self.late_recordings.late(),
            checks=self.checks.limits(),
            fresh_within_hours=self.fresh_within_hours,
            owners=self.owners,
            retry_policy=self._retry_policy(),
            translation=self.get_asset_spec,
        )
        reports = [self._report(root, partitions, pipeline)] if self.report else []
        executor = dg.in_process_executor if self.one_process else None
        return dg.Definitions.merge(
            pipeline, dg.Definitions(assets=reports, resources=own, executor=executor)
        )

    def _report(
        self, root: Path, partitions: dg.DailyPartitionsDefinition, pipeline: dg.Definitions
    ) -> dg.AssetsDefinition:
        database = self._database(root)
        folder = Path(database).parent / "reports"
        asset = build_report_asset(
            database,
            partitions,
            [asset.key for asset in pipeline.assets or () if isinstance(asset, dg.AssetsDefinition)],
            # Instances of one project write beside each other, not over each other.
            folder=str(folder / self.prefix if self.prefix else folder),
            key=dg.AssetKey([self.prefix, "report"] if self.prefix else ["report"]),
            group_name=self.group_name or (f"{self.prefix}_{GROUP}" if self.prefix else GROUP),
        )
        return asset.map_asset_specs(
            lambda spec: self.get_asset_spec(spec.replace_attributes(owners=list(self.owners)))
        )

    def _retry_policy(self) -> dg.RetryPolicy | None:
        return AFTER_AN_OUTAGE._replace(max_retries=self.retries) if self.retries else None

    def _database(self, root: Path) -> str:
        return located(root, self.duckdb or f"data/{self.prefix or 'llm_assets'}.duckdb")

    def _claim(self, root: Path) -> Claim:
        """Where keys are translated, who writes a table is seen when the first of them does."""
        keeps = self.io_manager_key is None and self.translation is None
        return Claim(
            prefix=self.prefix,
            names=self._name(""),
            tables=self._database(root) if keeps else None,
            fields=frozenset(self.model_fields_set),
            yaml=self._yaml,
        )

    def _others(self, context: dg.ComponentLoadContext) -> list[AudioInsights]:
        """The other components of this kind in the project."""
        try:
            found = context.component_tree.get_all_components(of_type=AudioInsights)
        except ImportError:  # the tree of a test, which belongs to no project
            return []
        return [each for each in found if each is not self]

    def _name(self, resource: str) -> str:
        """Names the project itself would not take, so that its own resources stand beside these."""
        return f"{self.prefix or 'audio_insights'}_{resource}"
