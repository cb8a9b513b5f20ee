"""Values of NumPy and pandas, recognised without loading either: who holds one has loaded them.

A pipeline's own rows are plain Python values, so a run that makes and stores them needs neither library.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, TypeGuard


def is_of_numpy(value: object, *kinds: str) -> bool:
    """Whether it is of one of NumPy's types, by name: `integer`, `floating`, `ndarray`."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, tuple(getattr(numpy, kind) for kind in kinds))


def is_missing_to_pandas(value: object) -> bool:
    """Whether it is what pandas puts where a value is missing, beside None and NaN."""
    return type(value) in missing_types()


def missing_types() -> set[type]:
    """The types of NA and NaT."""
    pandas = sys.modules.get("pandas")
    names = ("NA", "NaT") if pandas else ()
    return {type(getattr(pandas, name)) for name in names if hasattr(pandas, name)}


def is_pandas_time(value: object) -> TypeGuard[Any]:
    """Whether it is a Timestamp, which has nanoseconds."""
    return isinstance(value, datetime) and hasattr(value, "nanosecond")
