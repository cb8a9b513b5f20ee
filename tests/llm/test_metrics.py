"""Histograms and shares: plain numbers that mean what they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_assets.llm.metrics import Histogram, Metrics, QuotaUse


@given(values=st.lists(st.floats(0, 1000), min_size=1, max_size=50), share=st.floats(0.01, 1))
def test_a_quantile_bounds_that_share_of_the_values(values: list[float], share: float) -> None:
    """At least `share` of the values are at or below the quantile, and fewer below the bound before it."""
    bounds = (0.5, 5.0, 50.0, 500.0)
    counts = [
        sum(low < value <= high for value in values) for low, high in zip((-1, *bounds), bounds, strict=False)
    ]
    histogram = Histogram(bounds, (*counts, sum(value > bounds[-1] for value in values)), sum(values))
    quantile = histogram.quantile(share)
    below = [bound for bound in bounds if bound < quantile]
    assert histogram.count == len(values)
    assert sum(value <= quantile for value in values) >= share * len(values)
    assert not below or sum(value <= below[-1] for value in values) < share * len(values)


def test_nothing_happened_yet() -> None:
    """A fresh snapshot is all zeros, and divides by none of them."""
    snapshot = Metrics().snapshot()
    assert snapshot.latency_seconds.mean == 0.0
    assert (snapshot.started, snapshot.in_flight, snapshot.quota) == (0, 0, {})
    assert QuotaUse(0.0, 0.0).share == 0.0
