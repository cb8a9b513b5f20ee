"""Ranges as people read them."""

from __future__ import annotations

from llm_assets.money import usd
from llm_assets.planning.budget import Cost


def cost_range(cost_usd: Cost | None) -> str:
    """Both ends, or `up to $0.15` where nothing is certain, or `unknown`."""
    if cost_usd is None:
        return "unknown"
    least, most = cost_usd
    return f"up to {usd(most)}" if most and not least else number_range(usd(least), usd(most))


def number_range(least: str, most: str) -> str:
    """Both ends, or the one that both are."""
    return least if least == most else f"{least}–{most}"
