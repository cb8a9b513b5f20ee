"""Columns as pandas keeps them, for DuckDB to take as they are. Loaded for data frames alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from llm_assets.warehouse.values import INTEGER_BITS, type_of

Array = np.ndarray[Any, Any]


def column_array(sql_type: str, series: pd.Series[Any]) -> Array | None:
    """The values that pandas keeps as numbers or times, for DuckDB to take as they are: NaN and NaT are
    NULL. Nothing when it keeps them in another way, or the column would not keep them exactly."""
    kind = type_of(sql_type).id
    if kind == "timestamp with time zone" and isinstance(series.dtype, pd.DatetimeTZDtype):
        return _whole_microseconds(pd.DatetimeIndex(series))
    if kind == "double" and series.dtype == np.float64:
        numbers = series.to_numpy()
        return None if np.isinf(numbers).any() else numbers
    if kind in INTEGER_BITS and pd.api.types.is_integer_dtype(series.dtype) and not series.isna().any():
        whole = series.to_numpy(dtype=series.dtype.type)
        bound = 2 ** (INTEGER_BITS[kind] - 1)
        return whole if not len(whole) or (whole.min() >= -bound and whole.max() < bound) else None
    if kind == "boolean" and pd.api.types.is_bool_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=np.bool_)
    return None


def _whole_microseconds(index: pd.DatetimeIndex) -> Array | None:
    """Times of UTC without their zone; nothing when one is finer than a microsecond."""
    if str(index.tz) != "UTC":
        return None
    times = index.tz_localize(None).to_numpy()
    whole = times.astype("datetime64[us]")
    return None if (whole != times)[~np.isnat(times)].any() else whole


def lacks_some(values: Array) -> bool:
    """Whether one of the values is missing."""
    return bool(pd.isna(values).any())
