"""The one way a stage becomes an asset: partitioned by day, its checks beside it, its errors as failures.

A stage's module is imported inside a run, with everything heavy (DuckDB, HTTP, PyAV), so the project loads
in the time Dagster itself needs. What goes between assets is `Any` to Dagster, so that any IO manager for
data frames fits; ours takes and gives plain rows. This module has no postponed annotations: Dagster reads
an asset's as they stand.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.errors import ConfigurationError
from llm_assets.insights.prompts import Extractor
from llm_assets.orchestration.built_stages import remember
from llm_assets.orchestration.checks import USUAL_LIMITS, Check, CheckLimits
from llm_assets.orchestration.code_references import Place, caller, code_references
from llm_assets.orchestration.errors import as_failures
from llm_assets.orchestration.io_manager import PLAIN_ROWS, require_fit, takes_rows
from llm_assets.orchestration.outages import AFTER_AN_OUTAGE, through_outages
from llm_assets.recordings.source import RecordingSource

if TYPE_CHECKING:
    from llm_assets.orchestration.resource import OpenAIResource
    from llm_assets.orchestration.stage_result import StageResult
    from llm_assets.warehouse.plain import Rows

GROUP = "audio_insights"

# A run that fails leaves all of its days as they were, so a backfill's run is a week: starting it costs
# little beside the work, and one bad day holds up few others.
DAYS_PER_BACKFILL_RUN = 7

# By what Dagster's own IO managers for databases know a partition's rows.
_FOR_OTHER_IO_MANAGERS = {"partition_expr": "partition_date"}

Translation = Callable[[dg.AssetSpec], dg.AssetSpec]


def as_it_is(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the assets of one instance have in common.

    `prefix` goes before every name, so that several instances live side by side. `translation` has the
    last word on each asset: key, group, tags, owners, whatever Dagster knows of it. `retry_policy` is for
    what another attempt can mend, such as an outage; what a person has to mend is never tried again.
    `openai_key` and `io_manager_key` are the resources the assets ask for. `built_at` is the line of the
    user's that every asset links to.
    """

    partitions: dg.DailyPartitionsDefinition
    prefix: str | None = None
    group_name: str | None = None
    days_per_backfill_run: int = DAYS_PER_BACKFILL_RUN
    openai_key: str = "openai"
    io_manager_key: str = "io_manager"
    check_limits: CheckLimits = USUAL_LIMITS
    fresh_within_hours: float | None = None
    owners: Sequence[str] = ()
    retry_policy: dg.RetryPolicy | None = AFTER_AN_OUTAGE
    translation: Translation = as_it_is
    built_at: Place | None = field(default_factory=caller)

    def __post_init__(self) -> None:
        if self.days_per_backfill_run < 1:
            raise ConfigurationError(
                f"days_per_backfill_run is {self.days_per_backfill_run}: it must be 1 or more"
            )

    def name(self, name: str) -> str:
        """A name for a job, a schedule or a group: `sales_audio_insights`."""
        return f"{self.prefix}_{name}" if self.prefix else name

    def spec(
        self,
        name: str,
        *,
        metadata: Mapping[str, Any],
        defined_in: Sequence[Place | None] = (),
        **fields: Any,
    ) -> dg.AssetSpec:
        """How an asset is described, after the user's own translation."""
        key = dg.AssetKey([self.prefix, name] if self.prefix else [name])
        return self.translation(
            dg.AssetSpec(
                key,
                group_name=self.group_name or self.name(GROUP),
                partitions_def=self.partitions,
                freshness_policy=self._freshness(),
                owners=list(self.owners),
                metadata={
                    **metadata,
                    **_FOR_OTHER_IO_MANAGERS,
                    **code_references([self.built_at, *defined_in]),
                },
                **fields,
            )
        )

    def _freshness(self) -> dg.FreshnessPolicy | None:
        if self.fresh_within_hours is None:
            return None
        return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.fresh_within_hours))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAsset:
    """A stage: how its asset is described, what it reads, what is checked, what it does in a run.

    `compute` gets the upstream rows; a stage without an upstream gets none. `source` and `extractor` are
    what it works with, for whoever plans what it will do.
    """

    spec: dg.AssetSpec
    source: RecordingSource | None = None
    extractor: Extractor | None = None
    upstream: dg.AssetKey | None = None
    checks: Sequence[Check] = ()
    lineage: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    compute: "Callable[[dg.AssetExecutionContext, Rows | None], StageResult]"

    def column_lineage(self) -> dict[str, Any]:
        """From which upstream columns a column is made, as Dagster shows it."""
        if self.upstream is None:
            return {}
        deps = {
            name: [dg.TableColumnDep(asset_key=self.upstream, column_name=column) for column in columns]
            for name, columns in self.lineage.items()
        }
        return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps)}


def build_stage_asset(stage: StageAsset, surroundings: Surroundings) -> dg.AssetsDefinition:
    """The asset of a stage."""
    spec = stage.spec
    by_day = surroundings.partitions if surroundings.days_per_backfill_run == 1 else None
    with warnings.catch_warnings():
        # Backfill policies and checks by day are what these assets are built around; a team is not helped by
        # the notice.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset(
            key=spec.key,
            ins={"upstream": dg.AssetIn(key=stage.upstream, metadata=PLAIN_ROWS)} if stage.upstream else {},
            description=spec.description,
            metadata=spec.metadata,
            group_name=spec.group_name,
            owners=spec.owners,
            tags={key: value for key, value in spec.tags.items() if not key.startswith(_KIND)},
            kinds=spec.kinds,
            code_version=spec.code_version,
            automation_condition=spec.automation_condition,
            freshness_policy=spec.freshness_policy,
            partitions_def=surroundings.partitions,
            backfill_policy=dg.BackfillPolicy.multi_run(surroundings.days_per_backfill_run),
            required_resource_keys={surroundings.io_manager_key}
            | ({surroundings.openai_key} if stage.upstream else set()),
            io_manager_key=surroundings.io_manager_key,
            check_specs=[check.spec(spec.key, by_day) for check in stage.checks],
        )
        def asset(context: dg.AssetExecutionContext, **inputs: Any):
            from llm_assets.orchestration import run_process

            run_process.prepare(context.run.asset_selection, is_decoding=stage.source is not None)
            from llm_assets.orchestration.rows import received
            from llm_assets.orchestration.stage_result import Judging, told

            upstream, budget = received(inputs["upstream"]) if stage.upstream else None, None
            with as_failures():
                require_fit(context, surroundings.io_manager_key)
                if stage.upstream:
                    budget = openai_of(context, surroundings).client_config().budget
                    context.add_asset_metadata(stage.column_lineage())
            made = through_outages(
                context, surroundings.retry_policy, lambda: stage.compute(context, upstream)
            )
            limits = surroundings.check_limits
            judging = Judging(checks=stage.checks, limits=limits, upstream=upstream, budget=budget)
            as_frame = not takes_rows(context, surroundings.io_manager_key)
            return told(context, made, judging, as_frame=as_frame)

    remember(asset, stage, surroundings)
    return asset


# Dagster keeps kinds among the tags, and takes them by their own name only.
_KIND = "dagster/kind/"


def openai_of(context: dg.AssetExecutionContext, surroundings: Surroundings) -> "OpenAIResource":
    """The resource that calls models, under the name these assets know it by."""
    return getattr(context.resources, surroundings.openai_key)
