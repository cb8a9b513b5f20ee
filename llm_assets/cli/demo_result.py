"""What the demo made, read back from the tables, and shown to a person or to a script."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from llm_assets.cli.project import SAMPLE_DAYS
from llm_assets.errors import LLMAssetsError
from llm_assets.money import usd

WIDE = 120  # columns of a terminal that has room for summaries

_DAYS = f"partition_date BETWEEN '{SAMPLE_DAYS[0]}' AND '{SAMPLE_DAYS[-1]}'"
_ROWS = f"""
    SELECT partition_date::VARCHAR AS day, file_name AS recording, i.status, i.sentiment.label AS sentiment,
           i.intent, i.outcome, coalesce(i.summary, i.error) AS summary
    FROM recordings JOIN (SELECT DISTINCT ON (partition_date, recording_id) * FROM insights) AS i
        USING (partition_date, recording_id)
    WHERE {_DAYS} ORDER BY partition_date, path
"""  # noqa: S608 - made of constants
_TOTALS = f"""
    SELECT coalesce(sum(calls - journal_hits), 0)::BIGINT, coalesce(sum(journal_hits), 0)::BIGINT,
           coalesce(sum(cost_usd), 0), coalesce(sum(audio_seconds), 0),
           coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
    FROM daily_cost WHERE {_DAYS}
"""  # noqa: S608 - made of constants
# Where the same content lies twice in a day both tables have two rows, so one side is made unique.
QUESTION = (
    "select file_name, sentiment.label, intent, outcome from recordings join (select distinct on "
    "(partition_date, recording_id) * from insights) using (partition_date, recording_id)"
)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Rows and totals of the sample days. `calls` were asked of the emulator in the latest runs.

    `cost_usd` is what the answers would have cost at OpenAI's prices, those from the journal included.
    """

    root: str
    seconds: float
    calls: int
    journal_hits: int
    cost_usd: Decimal
    audio_seconds: float
    input_tokens: int
    output_tokens: int
    insights: list[dict[str, Any]]


_PAID = f"""
    SELECT count(*) FROM llm_calls
    WHERE {_DAYS} AND status = 'answered' AND coalesce(request_id, '') NOT LIKE 'req_emulator_%'
"""  # noqa: S608 - made of constants


def require_own_days() -> None:
    """Raise LLMAssetsError when the sample days hold a real model's answers, which would be replaced."""
    from llm_assets.orchestration.settings import Settings
    from llm_assets.warehouse.query import query, relations

    path = Settings.from_env().duckdb_path
    if not Path(path).exists() or all(relation.name != "llm_calls" for relation in relations(path)):
        return
    with query(path, _PAID) as found:
        (paid,) = next(found.rows)
    if paid:
        raise LLMAssetsError(
            f"{path} holds {paid} answers of a real model for the demo's days ({SAMPLE_DAYS[0]} to "
            f"{SAMPLE_DAYS[-1]}), and the demo would replace them. Run it in an empty folder instead."
        )


def read_result(root: Path, seconds: float) -> DemoResult:
    """Read what the materialized partitions hold."""
    from llm_assets.orchestration.settings import Settings
    from llm_assets.warehouse.query import query

    path = Settings.from_env().duckdb_path
    with query(path, _ROWS) as found:
        insights = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    with query(path, _TOTALS) as found:
        calls, hits, cost, audio, read, written = next(found.rows)
    return DemoResult(
        str(root), round(seconds, 1), calls, hits, cost, float(audio), int(read), int(written), insights
    )


def show_result(result: DemoResult, *, as_json: bool) -> None:
    """Print the result to stdout."""
    if as_json:
        click.echo(json.dumps(asdict(result), ensure_ascii=False, indent=2, default=str))
        return
    console = Console(highlight=False, markup=False)
    console.print(_table(result, console.width))
    for line in _summary(result):
        console.print(line, soft_wrap=True)


def _table(result: DemoResult, width: int) -> Table:
    """One line per recording; in a wide terminal the summaries as well."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), expand=True)
    table.add_column("Day", no_wrap=True, min_width=10)
    table.add_column("Recording", no_wrap=True, ratio=1)
    for name, longest in (("Sentiment", 12), ("Intent", 12), ("Outcome", 14)):
        table.add_column(name, no_wrap=True, min_width=longest)
    if width >= WIDE:
        table.add_column("Summary", ratio=2)
    for row in result.insights:
        sentiment = row["sentiment"] if row["status"] == "ok" else f"({row['status']})"
        cells = [row["day"], row["recording"], sentiment, row["intent"], row["outcome"], row["summary"]]
        table.add_row(*(cell or "" for cell in cells[: len(table.columns)]))
    return table


def _summary(result: DemoResult) -> list[str]:
    usable = sum(row["status"] == "ok" for row in result.insights)
    asked = f"The emulator was asked {result.calls} times; {result.journal_hits} answers were in the journal."
    if not result.calls:
        asked = f"Nothing was asked again: 0 calls, {result.journal_hits} answers from the journal."
    used = (
        f"{result.audio_seconds / 60:.1f} minutes of audio, {result.input_tokens:,} tokens in, "
        f"{result.output_tokens:,} out"
    )
    return [
        f"{len(result.insights)} recordings, {usable} understood, in {result.seconds:.0f} s. {asked}",
        f"At OpenAI's prices these answers would have cost {usd(result.cost_usd)} ({used}).",
        "The emulator costs nothing; it is good for trying and rehearsing, not for insight.",
        "Its answers are the demo's alone: your own runs ask your models, and `llm-assets plan` counts that.",
        "",
        "Next, see it in Dagster, and ask the tables:",
        *(f"  {command}" for command in next_commands(Path(result.root))),
    ]


def next_commands(root: Path) -> tuple[str, str]:
    """The two commands to type, as they work from here."""
    here = Path.cwd() == root
    home = "$PWD" if here else f'"{root}"'
    workspace = "" if here else f' -w "{root / "workspace.yaml"}"'
    ui = f"DAGSTER_HOME={home} {_program('dagster')} dev{workspace}"
    # The demo writes to the project's own file; the shell may still name another one.
    elsewhere = (
        f' --database "{root / "data/llm_assets.duckdb"}"' if os.environ.get("LLM_ASSETS_DUCKDB") else ""
    )
    return ui, f'{_program("llm-assets")} sql{elsewhere} "{QUESTION}"'


def _program(name: str) -> str:
    """By its path when the virtual environment is not activated."""
    beside = Path(sys.executable).with_name(name)
    return name if shutil.which(name) or not beside.exists() else str(beside)
