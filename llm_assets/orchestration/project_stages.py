"""The assets of this package among a project's definitions, with their rows and what their models are asked
with."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType
from typing import Self, cast

import dagster as dg

from llm_assets.errors import ConfigurationError, WarehouseMissing
from llm_assets.llm.models import ClientConfig
from llm_assets.orchestration.built_stages import BuiltStage, stage_of
from llm_assets.orchestration.io_manager import PLAIN_ROWS, DuckDBFrameIOManager
from llm_assets.orchestration.partitions import partition_dates
from llm_assets.orchestration.resource import OpenAIResource
from llm_assets.orchestration.rows import received
from llm_assets.warehouse.plain import Rows


class ProjectStages:
    """By asset key: `stages`, and the asset each of them reads in `upstream`. A context manager.

    Raises ConfigurationError when there are none.
    """

    def __init__(self, definitions: dg.Definitions) -> None:
        self._definitions = definitions
        self._resources = definitions.resources or {}
        self._loader = definitions.get_asset_value_loader()
        self._keys = definitions.resolve_all_asset_keys()
        self._open = ExitStack()
        self._materialized: dict[dg.AssetKey, set[str]] = {}
        self.stages: dict[dg.AssetKey, BuiltStage] = {}
        self.upstream: dict[dg.AssetKey, dg.AssetKey] = {}
        for key in sorted(self._keys):
            asset = definitions.resolve_assets_def(key)
            if (built := stage_of(asset)) is not None:
                self.stages[key] = built
                if upstream := list(asset.keys_by_input_name.values()):
                    self.upstream[key] = upstream[0]
        if not self.stages:
            raise ConfigurationError("there are no assets of this package among the definitions")

    def __enter__(self) -> Self:
        self._open.enter_context(self._loader)
        home = os.environ.get("DAGSTER_HOME")
        self._instance = self._open.enter_context(dg.DagsterInstance.get()) if home else None
        keepers = {
            built.surroundings.io_manager_key: self._resources.get(built.surroundings.io_manager_key)
            for built in self.stages.values()
        }
        own = {name: each for name, each in keepers.items() if type(each) is DuckDBFrameIOManager}
        opened = self._open.enter_context(dg.build_resources(own))
        self._keepers: dict[str, DuckDBFrameIOManager] = {name: getattr(opened, name) for name in own}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def rows(self, key: dg.AssetKey, day: str) -> Rows | None:
        """The rows of a day, from whichever IO manager keeps them; None when it was never materialized."""
        built = self.stages.get(key)
        if key not in self._keys or (built and not built.surroundings.partitions.has_partition_key(day)):
            return None
        keeper = self._keepers.get(built.surroundings.io_manager_key) if built else None
        try:
            return self._loaded(key, day) if keeper is None else self._stored(keeper, key, day)
        except WarehouseMissing:
            return None

    def _stored(self, keeper: DuckDBFrameIOManager, key: dg.AssetKey, day: str) -> Rows | None:
        """Past Dagster's loader, which takes ten times as long for each day as reading it."""
        metadata = self._definitions.resolve_assets_def(key).metadata_by_key[key]
        rows = keeper.stored(key, metadata, partition_dates([day]))
        if not len(rows) and self._instance is not None and key not in self._materialized:
            self._materialized[key] = self._instance.get_materialized_partitions(key)
        return rows if len(rows) or day in self._materialized.get(key, ()) else None

    def _loaded(self, key: dg.AssetKey, day: str) -> Rows:
        try:
            loaded = self._loader.load_asset_value(
                key, partition_key=day, input_definition_metadata=PLAIN_ROWS
            )
        except dg.Failure as failure:
            if isinstance(failure.__cause__, WarehouseMissing):
                raise failure.__cause__ from None
            raise
        return received(cast("Rows", loaded))

    def config(self, key: dg.AssetKey) -> ClientConfig:
        """What the models of a stage are asked with. Raises ConfigurationError."""
        stage, surroundings = self.stages[key]
        resource = self._resources.get(surroundings.openai_key)
        if not isinstance(resource, OpenAIResource):
            raise ConfigurationError(f"the resource {surroundings.openai_key!r} is no OpenAIResource")
        return resource.client_config(stage.extractor.chain if stage.extractor else None)

    def days(self, first: str | None, last: str | None) -> list[str]:
        """The partitions from `first` to `last`, without them the latest one. Raises ConfigurationError."""
        partitions = [built.surroundings.partitions for built in self.stages.values()]
        keys = sorted({key for each in partitions for key in each.get_partition_keys()})
        if not keys:
            raise ConfigurationError("there is no partition yet: the first day is not over")
        chosen = [key for key in keys if (first or keys[-1]) <= key <= (last or keys[-1])]
        if not chosen:
            raise ConfigurationError(f"there is no partition there; there are {keys[0]} to {keys[-1]}")
        return chosen
