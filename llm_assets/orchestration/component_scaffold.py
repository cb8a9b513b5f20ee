"""What `dg scaffold defs llm_assets.AudioInsights calls` writes: commented YAML that loads as it stands."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

_YAML = """\
type: {type_name}

attributes:
  # <root>/<YYYY-MM-DD>/**/<name>.<mp3|ogg|wav|…>, a folder below the project or a URL such as s3://bucket/calls
  recordings: {recordings}
  # The first day that is a partition, and where a day begins.
  start_date: "{start_date}"
  timezone: UTC
{prefix}  # The tables; and the models that are asked, in this order, for at most so many dollars a day.
  duckdb: data/{tables}.duckdb
  openai:
    transcription: [gpt-transcribe, whisper-1]
    chat: [gpt-6.1-sol, gpt-6-luna, cached]
    budget: {{usd_per_day: "20"}}

# Nothing is asked before this is set in the environment or in .env. With OPENAI_BASE_URL, the address of
# any OpenAI-compatible server (try `llm-assets emulator`), it is not needed: then remove these lines.
requirements:
  env:
    - OPENAI_API_KEY
"""


_PREFIX = """\
  # Goes before the names of assets, job and schedule, since another component has them without.
  prefix: {prefix}
"""


class ScaffoldParameters(BaseModel):
    """What can be said right when the YAML is made."""

    recordings: str = Field(default="data/recordings", description="Folder or URL of the recordings.")
    start_date: str = Field(default="", description="The first day, YYYY-MM-DD. Default: this year's.")


class AudioInsightsScaffolder(dg.Scaffolder[ScaffoldParameters]):
    """Writes the component's YAML, or a Python file that builds it."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParameters]:
        return ScaffoldParameters

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParameters]) -> None:
        start_date = request.params.start_date or f"{datetime.now(UTC).year}-01-01"
        if request.scaffold_format == "yaml" and not request.append:
            prefix = _prefix(request)
            text = _YAML.format(
                type_name=request.type_name,
                recordings=request.params.recordings,
                start_date=start_date,
                prefix=_PREFIX.format(prefix=prefix) if prefix else "",
                tables=prefix or "llm_assets",
            )
            (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")
            return
        attributes: dict[str, Any] = {"recordings": request.params.recordings, "start_date": start_date}
        dg.scaffold_component(request, attributes)


def _prefix(request: dg.ScaffoldRequest[ScaffoldParameters]) -> str | None:
    """None for the first component of a project; the folder's name for one beside others."""
    root = request.project_root or request.target_path.parent
    others = (path for path in root.rglob("defs.yaml") if path.parent != request.target_path)
    if not any(request.type_name in path.read_text(encoding="utf-8") for path in others):
        return None
    return re.sub(r"\W+", "_", request.target_path.name)
