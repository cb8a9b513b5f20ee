"""docs/sql.md says what the tables are and shows queries that work."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner
from warehouse_samples import DAYS, INSIGHTS, insight_row, recording_row, write_sample

from llm_assets.cli.demo_result import QUESTION
from llm_assets.cli.sql import sql_command
from llm_assets.warehouse.query import query
from llm_assets.warehouse.replace import replace_partition
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


def test_no_question_multiplies_a_recording_that_lies_six_times_in_a_day(path: str) -> None:
    """Each file is there once with its insight, in the document and in what the demo ends with."""
    write_sample(path)
    day = DAYS[0]
    copies = [recording_row(day, "03021") | {"path": f"{n}.ogg", "file_name": f"{n}.ogg"} for n in range(6)]
    replace_partition(path, RECORDINGS, [day], pd.DataFrame(copies))
    replace_partition(path, INSIGHTS, [day], pd.DataFrame([insight_row(day, "03021")] * 6))
    (unhappy,) = (sql for title, sql, _ in QUESTIONS if title.startswith("Which unhappy calls"))
    with query(path, unhappy) as result:
        assert [row[1] for row in result.rows if row[0] == day] == [f"{n}.ogg" for n in range(6)]
    with query(path, QUESTION) as result:
        files = [row[0] for row in result.rows]
    assert len(files) == len(set(files)) == 6 + 2 * 4


def test_a_recording_has_one_correction(sample: str) -> None:
    """Corrected twice, a row would be shown twice."""
    (block,) = re.findall(r"^## Correcting a row\n.+?```sql\n(.+?)\n```", DOCUMENT, re.MULTILINE | re.DOTALL)
    again = "into corrections values ('2026-03-02', '03020', 'praise', 'maria')"
    with duckdb.connect() as mine:
        mine.execute(block.replace("data/llm_assets.duckdb", sample))
        with pytest.raises(duckdb.ConstraintException):
            mine.execute(f"insert {again}")
        mine.execute(f"insert or replace {again}")
        shown = mine.execute("select intent from insights_corrected where recording_id = '03020'").fetchall()
    assert shown == [("praise",)]
