"""The assets of this package among a project's definitions, with their rows and what their models are asked
with."""

from __future__ import annotations

from types import TracebackType
from typing import Self, cast

import dagster as dg

from llm_assets.errors import ConfigurationError, WarehouseMissing
from llm_assets.llm.models import ClientConfig
from llm_assets.orchestration.built_stages import BuiltStage, stage_of
from llm_assets.orchestration.io_manager import PLAIN_ROWS
from llm_assets.orchestration.resource import OpenAIResource
from llm_assets.orchestration.rows import received
from llm_assets.warehouse.plain import Rows


class ProjectStages:
    """By asset key: `stages`, and the asset each of them reads in `upstream`. A context manager.

    Raises ConfigurationError when there are none.
    """

    def __init__(self, definitions: dg.Definitions) -> None:
        self._resources = definitions.resources or {}
        self._loader = definitions.get_asset_value_loader()
        self.stages: dict[dg.AssetKey, BuiltStage] = {}
        self.upstream: dict[dg.AssetKey, dg.AssetKey] = {}
        self._keys = definitions.resolve_all_asset_keys()
        for key in sorted(self._keys):
            asset = definitions.resolve_assets_def(key)
            if (built := stage_of(asset)) is not None:
                self.stages[key] = built
                if upstream := list(asset.keys_by_input_name.values()):
                    self.upstream[key] = upstream[0]
        if not self.stages:
            raise ConfigurationError("there are no assets of this package among the definitions")

    def __enter__(self) -> Self:
        self._loader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loader.__exit__(kind, error, trace)

    def rows(self, key: dg.AssetKey, day: str) -> Rows | None:
        """The rows of a day, from whichever IO manager keeps them; None when it was never materialized."""
        if key not in self._keys or not self._has(key, day):
            return None
        try:
            loaded = self._loader.load_asset_value(
                key, partition_key=day, input_definition_metadata=PLAIN_ROWS
            )
        except dg.Failure as failure:
            if isinstance(failure.__cause__, WarehouseMissing):
                return None
            raise
        return received(cast("Rows", loaded))

    def _has(self, key: dg.AssetKey, day: str) -> bool:
        built = self.stages.get(key)
        return built is None or built.surroundings.partitions.has_partition_key(day)

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
