"""A table that a question names and that is not there: whether the project around is yet to write it."""

from __future__ import annotations

import re

from llm_assets.errors import WarehouseError

_MISSING = re.compile(r"Table with name \"?(.+?)\"? does not exist")


def not_written_yet(error: WarehouseError) -> str | None:
    """What to say instead, when it is the table of an asset that has not run yet; else None."""
    found = _MISSING.search(str(error))
    if found is None:
        return None
    # Imported here because Dagster comes with it, and most questions need none of that.
    from llm_assets.orchestration.find_definitions import find_definitions
    from llm_assets.orchestration.project_stages import ProjectStages

    try:
        stages = ProjectStages(find_definitions().definitions).stages
    except Exception:  # no project, or one that does not load: the question's own error is what counts
        return None
    for key in stages:
        if key.path[-1].lower() == found[1].lower():
            asset = key.to_user_string()
            return f"{key.path[-1]} is not written yet: it comes with the first run of the asset {asset}"
    return None
