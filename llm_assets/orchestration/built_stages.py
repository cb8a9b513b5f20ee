"""Which stage an asset was made of, for whoever finds the asset among a project's definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import dagster as dg

if TYPE_CHECKING:
    from llm_assets.orchestration.stage_asset import StageAsset, Surroundings


class BuiltStage(NamedTuple):
    """A stage and what it is in."""

    stage: StageAsset
    surroundings: Surroundings


# By its op, which stays the same however assets are merged, bound to resources and described anew.
_built: WeakKeyDictionary[dg.OpDefinition, BuiltStage] = WeakKeyDictionary()


def remember(asset: dg.AssetsDefinition, stage: StageAsset, surroundings: Surroundings) -> None:
    """Let `stage_of` find it."""
    _built[asset.op] = BuiltStage(stage, surroundings)


def stage_of(asset: dg.AssetsDefinition) -> BuiltStage | None:
    """The stage that became an asset; None for assets that are not of this package."""
    op = asset.node_def if asset.is_executable else None
    return _built.get(op) if isinstance(op, dg.OpDefinition) else None
