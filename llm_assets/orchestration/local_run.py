"""Materialize days in this process, as a run of Dagster's instance that the UI shows as its own.

A run that is launched instead starts a code server and a process, some ten seconds on a small machine.
What the UI files runs by are their tags: with those of the code location, a run made here stands beside
the ones that a person launched, under the same job, and its assets are materialized all the same.
"""

from __future__ import annotations

import dagster as dg

from llm_assets.errors import LLMAssetsError

# As in workspace.yaml; Dagster names the repository of a `Definitions` object like this.
CODE_LOCATION = "llm_assets"
_TAGS = {
    "dagster/code_location": CODE_LOCATION,
    ".dagster/repository": f"__repository__@{CODE_LOCATION}",
}

# Without it Dagster writes every event to the terminal; they are all in the instance.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize_days(job: dg.JobDefinition, instance: dg.DagsterInstance, first: str, last: str) -> str:
    """Run the job once for the partitions from `first` to `last`, to its end, and return the run's id.

    Raises LLMAssetsError with the failure's own sentence, KeyboardInterrupt when it was interrupted.
    """
    days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    try:
        result = job.execute_in_process(instance=instance, tags=_TAGS | days, run_config=_QUIET)
    except dg.Failure as failure:
        raise LLMAssetsError(failure.description) from failure
    except dg.DagsterExecutionInterruptedError as interrupt:
        raise KeyboardInterrupt from interrupt
    return result.run_id
