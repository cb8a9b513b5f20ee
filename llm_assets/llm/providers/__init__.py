"""Wire formats: they live and die here. `make_provider` picks the one a model is served by."""

from llm_assets.llm.providers.base import DimensionReport, LimitReport, Provider
from llm_assets.llm.providers.select import make_provider

__all__ = ["DimensionReport", "LimitReport", "Provider", "make_provider"]
