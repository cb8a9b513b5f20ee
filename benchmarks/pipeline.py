"""The pipeline as a process of its own: `python -m benchmarks.pipeline`.

Reads one line of JSON, materializes `recordings` and `transcripts` of one day through Dagster, and prints a
line of JSON: how long each took, the rows by status, and the memory before anything was materialized.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

DAY = "2026-03-02"
# Not asked for by the package: it is here for another measurement, and pandas loads it wherever it is.
_NOT_OF_THE_PACKAGE = "pyarrow"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(root: str, base_url: str) -> dict[str, Any]:
    """Materialize a day of the project at `root`."""
    import dagster as dg

    from llm_assets.definitions import build_definitions
    from llm_assets.orchestration.settings import Settings

    os.environ |= {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "benchmark"}
    settings = Settings.from_env({}, Path(root))
    definitions = build_definitions(settings)
    assets = [each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition)]
    resources = dict(definitions.resources or {})
    figures: dict[str, Any] = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("recordings", "transcripts"):
            started = time.monotonic()
            # Its result holds what was made, as no run of a deployment does: it is not kept.
            assert dg.materialize(
                assets, partition_key=DAY, selection=[name], resources=resources, instance=instance,
                run_config=_QUIET,
            ).success  # fmt: skip
            figures[f"{name}_seconds"] = round(time.monotonic() - started, 1)
    return figures | {"rows": _statuses(settings.duckdb_path)}


def _statuses(path: str) -> dict[str, int]:
    import duckdb

    with duckdb.connect(path, read_only=True) as connection:
        found = connection.execute("select status from transcripts").fetchall()
    return dict(Counter(status for (status,) in found))


if __name__ == "__main__":
    sys.modules[_NOT_OF_THE_PACKAGE] = None  # type: ignore[assignment]
    print(json.dumps(run(**json.loads(sys.stdin.readline()))), flush=True)
    sys.stdin.read()
