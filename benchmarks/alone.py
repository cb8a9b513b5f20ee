"""One contender with one job on a server of its own, and what both say afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.children import ChildFailed, child, server, work_folder
from benchmarks.contenders.workload import Job
from benchmarks.environments import Contender

_PAST_DEADLINE_SECONDS = 60.0

Report = dict[str, Any]


async def run_alone(
    contender: Contender, server_config: Mapping[str, Any], *, rows: int, **job: Any
) -> Report:
    """What the contender says of itself and what the server counted. Who dies has lost all rows."""
    async with work_folder() as folder, server(server_config, folder) as emulator:
        options = dict(contender.options)
        if options.get("state") == "sqlite":
            options["state"] = str(folder / "state.sqlite")
        task = Job(base_url=emulator.base_url, options=options, rows=rows, **job)
        async with child(contender.name, contender.command, folder) as process:
            await process.say(json.dumps(asdict(task)))
            try:
                report = await process.hear_json(task.deadline_seconds + _PAST_DEADLINE_SECONDS)
            except ChildFailed as error:
                report = died(rows, error)
        audit = await emulator.audit()
    counted = {name: audit[name] for name in ("received", "served", "served_twice", "refused", "faulted")}
    return {"rows": rows, **report, **counted}


def died(rows: int, error: ChildFailed) -> Report:
    """The report of a contender that gave none."""
    return {"answered": 0, "lost": rows, "errors": {str(error).splitlines()[-1]: 1}, "died": True}
