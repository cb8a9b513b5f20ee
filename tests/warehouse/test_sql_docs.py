"""docs/sql.md says what the tables are and shows queries that work."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from warehouse_samples import INSIGHTS

from llm_assets.cli.sql import sql_command
from llm_assets.warehouse.query import query
from llm_assets.warehouse.tables import LLM_CALLS, RECORDINGS, SEGMENTS, TRANSCRIPTS, VIEW_NAMES, Table

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(
    r"^### (.+?)\n+```sql\n(.+?)\n```\n+```text\n(.+?)\n```", DOCUMENT, re.MULTILINE | re.DOTALL
)


def documented(table: str) -> list[tuple[str, str, str]]:
    """The rows of the table's section: column, type, meaning."""
    section = DOCUMENT.split(f"\n### {table}\n", 1)[1].split("\n#", 1)[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [(name.strip(" `"), sql_type.strip(" `"), meaning.strip()) for name, sql_type, meaning in cells]


@pytest.mark.parametrize(
    "table", [RECORDINGS, TRANSCRIPTS, SEGMENTS, INSIGHTS, LLM_CALLS], ids=lambda table: table.name
)
def test_the_document_has_every_column(table: Table) -> None:
    """Names, types and meanings in the document are those of the tables, in the same order."""
    assert documented(table.name) == [(c.name, c.sql_type, c.description) for c in table.columns]


@pytest.mark.parametrize("view", VIEW_NAMES)
def test_the_document_has_every_column_of_the_views(sample: str, view: str) -> None:
    """The columns of the views in the document are those the views have."""
    with query(sample, f"select * from {view}") as result:
        assert [(name, kind) for name, kind, _ in documented(view)] == list(
            zip(result.columns, result.types, strict=True)
        )


def test_there_are_twenty_questions() -> None:
    """The document shows at least twenty questions a team asks."""
    assert len(QUESTIONS) >= 20


@pytest.mark.parametrize(("title", "sql", "answer"), QUESTIONS, ids=[title for title, _, _ in QUESTIONS])
def test_every_question_has_its_answer(sample: str, title: str, sql: str, answer: str) -> None:
    """Each question, asked of three days of sample calls, is answered as the document says."""
    result = CliRunner().invoke(sql_command, [sql, "--database", sample], env={"COLUMNS": "110"})
    assert (title, result.stdout.rstrip()) == (title, answer)


def test_the_line_of_python(sample: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the document shows in Python works as it stands."""
    monkeypatch.setenv("LLM_ASSETS_DUCKDB", sample)
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.+?)\n```", DOCUMENT, re.DOTALL):
        exec(f"import llm_assets\n{code}", {})
    assert Path("insights.parquet").exists()


def test_a_row_is_corrected_as_the_document_says(sample: str) -> None:
    """A table of corrections in another file changes what a view shows, and nothing else."""
    (block,) = re.findall(r"^## Correcting a row\n.+?```sql\n(.+?)\n```", DOCUMENT, re.MULTILINE | re.DOTALL)
    with duckdb.connect() as mine:
        mine.execute(block.replace("data/llm_assets.duckdb", sample))
        intents = mine.execute("select intent, corrected_by from insights_corrected").fetchall()
        assert [by for intent, by in intents if intent == "complaint"] == ["maria"]
        count = mine.execute("select count(*) from calls.insights").fetchone()
    assert (len(intents),) == count
