"""How long the project's definitions take to load, against an empty Dagster project: CPU time of processes.

    python -m benchmarks.dagster_load

Each process is one code location as Dagster loads it: import, definitions, repository. The two take turns,
and the least of each counts, since whatever else the machine does only adds.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from benchmarks.children import COMPILED_ONCE

ROUNDS = 9
EMPTY = "import dagster as dg; dg.Definitions().get_repository_def()"
OURS = "import llm_assets.definitions as d; d.defs.get_repository_def()"


def cpu_seconds(code: str) -> float:
    """CPU time of a Python process that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | COMPILED_ONCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    empty, ours = float("inf"), float("inf")
    for _ in range(ROUNDS):
        empty = min(empty, cpu_seconds(EMPTY))
        ours = min(ours, cpu_seconds(OURS))
    print(f"empty project {empty:.2f} s, llm_assets {ours:.2f} s of CPU: {ours / empty:.2f} times")


if __name__ == "__main__":
    main()
