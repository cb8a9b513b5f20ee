"""Checks beside the assets: warnings about rows that need a person, with the numbers in their metadata.

They are computed where the rows are made, so they cost no second reading and hold for exactly the
partitions of the run. They warn and never block: bad input is a row, not a reason to stop the good ones.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.records import RowStatus

if TYPE_CHECKING:
    from pandas import DataFrame

USABLE_ROWS = "usable_rows"
ROW_PER_RECORDING = "row_per_recording"

_EXAMPLES = 10


def usable_rows_spec(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        USABLE_ROWS,
        asset=asset,
        description="Every row is ok: none is too short, unreadable, refused, invalid or failed.",
    )


def row_per_recording_spec(asset: dg.AssetKey, upstream: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        ROW_PER_RECORDING,
        asset=asset,
        description=f"Every row of {upstream.to_user_string()} came out as exactly one row here.",
    )


def check_usable_rows(frame: DataFrame) -> dg.AssetCheckResult:
    """Warn when rows are anything but ok; counts by status and the first reasons are metadata."""
    statuses = Counter(str(status) for status in frame["status"])
    unusable = frame[frame["status"] != RowStatus.OK.value]
    reasons = [
        f"- `{row.recording_id}` {row.status}: {' '.join(str(row.error or '').split())}"
        for row in unusable.head(_EXAMPLES).itertuples(index=False)
    ]
    return dg.AssetCheckResult(
        check_name=USABLE_ROWS,
        passed=unusable.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(unusable)} of {len(frame)} rows are not usable." if reasons else None,
        metadata={"rows": len(frame), "unusable": len(unusable)}
        | {f"rows_{status}": statuses[status] for status in RowStatus if statuses[status]}
        | ({"first_reasons": dg.MetadataValue.md("\n".join(reasons))} if reasons else {}),
    )


def check_row_per_recording(frame: DataFrame, upstream: DataFrame) -> dg.AssetCheckResult:
    """Warn when a recording of the upstream rows is missing, or one came out of nothing."""
    wanted, found = _identities(upstream), _identities(frame)
    missing, surplus = wanted - found, found - wanted
    return dg.AssetCheckResult(
        check_name=ROW_PER_RECORDING,
        passed=not missing and not surplus,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"recordings": wanted.total(), "missing": missing.total(), "surplus": surplus.total()},
    )


def _identities(frame: DataFrame) -> Counter[tuple[str, str]]:
    """Counted, not collected: the same content twice in a day is two rows."""
    days = (str(day)[:10] for day in frame["partition_date"])
    return Counter(zip(days, map(str, frame["recording_id"]), strict=True))
