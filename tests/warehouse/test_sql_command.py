"""`llm-assets sql` answers people with a table and scripts with data, and says what went wrong."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from warehouse_samples import DAYS, recording_row

from llm_assets.cli.sql import sql_command
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import RECORDINGS
from llm_assets.warehouse.turns import turn


@pytest.fixture
def run(sample: str) -> Callable[..., Result]:
    def run(*arguments: str, stdin: str | None = None, width: int = 100, database: str = sample) -> Result:
        options = [*arguments, "--database", database]
        return CliRunner().invoke(sql_command, options, input=stdin, env={"COLUMNS": str(width)})

    return run


Run = Callable[..., Result]


def test_without_a_question_it_lists_what_there_is(run: Run) -> None:
    """Tables and views come with their row counts, and a question to start with that works."""
    result = run()
    assert result.exit_code == 0
    assert "daily_cost" in result.stdout
    assert "18" in next(line for line in result.stdout.splitlines() if "segments" in line)
    example = result.stdout.split('llm-assets sql "')[1].split('"')[0]
    assert run(example).exit_code == 0


def test_a_table_is_for_people(run: Run) -> None:
    """Long texts are cut to the terminal's width, short values are whole, and the rows are counted."""
    sql = "select recording_id, status, repeat(text, 20) as words from transcripts where status = 'ok'"
    result = run(sql)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "03020" in result.stdout
    assert "…" in result.stdout
    assert lines[-1] == "9 rows"


def test_a_table_says_what_it_left_out(run: Run) -> None:
    """Past the limit the rows are counted, not shown, and the way to all of them is said."""
    result = run("select range from range(1234)", "--limit", "2")
    assert result.stdout.splitlines()[-1].startswith("2 of 1,234 rows; --limit 0")
    assert "│     1 │" in result.stdout
    assert "│     2 │" not in result.stdout


def test_many_columns_go_below_each_other(run: Run) -> None:
    """A row that cannot fit the terminal's width is shown as a list of its columns."""
    result = run("select * from insights limit 1", width=60)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 60
    assert any("customer_effort" in line and "2" in line for line in lines)


def test_texts_cannot_steer_the_terminal(run: Run) -> None:
    """Control characters and markup inside a text are shown as text."""
    result = run(r"select chr(27) || '[2J' || chr(10) || '[red]x' as t")
    assert "\x1b" not in result.stdout
    assert "[red]x" in result.stdout


def test_csv_is_complete(run: Run) -> None:
    """CSV has every row whole: quotes, line breaks, decimals, nested values as JSON, NULL as nothing."""
    sql = "select repeat('é\"\n,', 200) t, 0.1::decimal(18,9) d, null n, [1, null] l, true b"
    (row,) = csv.DictReader(io.StringIO(run(sql, "--format", "csv").stdout))
    assert row == {"t": 'é"\n,' * 200, "d": "0.100000000", "n": "", "l": "[1, null]", "b": "true"}
    assert len(run("from range(5000)", "--format", "csv").stdout.splitlines()) == 5001


def test_json_is_complete(run: Run) -> None:
    """JSON is one array of objects with nested values, exact numbers and times in UTC."""
    sql = "select sentiment, cost_usd, extracted_at, error from insights where recording_id = '03020'"
    assert json.loads(run(sql, "--format", "json").stdout) == [
        {
            "sentiment": {"label": "negative", "score": -0.6},
            "cost_usd": 0.0021,
            "extracted_at": "2026-03-02T23:45:00+00:00",
            "error": None,
        }
    ]
    assert json.loads(run("select 1 where false", "--format", "json").stdout) == []


def test_json_changes_no_value(run: Run) -> None:
    """What JSON cannot hold is text: long decimals, infinity; columns of one name are told apart."""
    sql = "select 12345678901234567.123456789 a, 'inf'::double a, 'ab'::blob b, map {1: 2} m"
    assert json.loads(run(sql, "--format", "jsonl").stdout) == {
        "a": "12345678901234567.123456789",
        "a_2": "inf",
        "b": "6162",
        "m": {"1": 2},
    }


def test_json_stays_json(run: Run) -> None:
    """A column of JSON is an object among objects, not a text with one in it."""
    sql = """select '{"a": [1]}'::json as there, null::json as missing, '{"a": [1]}' as text"""
    expected = {"there": {"a": [1]}, "missing": None, "text": '{"a": [1]}'}
    assert json.loads(run(sql, "--format", "json").stdout) == [expected]
    assert json.loads(run(sql, "--format", "jsonl").stdout) == expected


def test_json_lines_are_one_object_a_line(run: Run) -> None:
    """Every line is a JSON value of its own, up to the limit."""
    lines = run("from range(10)", "--format", "jsonl", "--limit", "3").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"range": 0}, {"range": 1}, {"range": 2}]


def test_a_question_from_standard_input(run: Run) -> None:
    """With - the question is read from standard input."""
    result = run("-", "--format", "csv", stdin="select 1 as one\n")
    assert result.stdout == "one\n1\n"


def test_a_wrong_question_is_exit_code_1(run: Run) -> None:
    """The message goes to stderr with the place marked; stdout stays clean, also when rows had come."""
    result = run("select nope from recordings", "--format", "csv")
    assert (result.exit_code, result.stdout) == (1, "")
    line, mark = result.stderr.splitlines()[-2:]
    assert line[mark.index("^") :].startswith("nope")
    late = run("select error('late') from range(5000) where range = 4000", "--format", "csv")
    assert (late.exit_code, late.stdout) == (1, "")


PROJECT = """
import dagster as dg
from llm_assets import CallInsights, Extractor, OpenAIResource, build_audio_insights

defs = dg.Definitions.merge(
    build_audio_insights(
        "calls",
        dg.DailyPartitionsDefinition("2026-03-02"),
        prefix="sales",
        extractors=[Extractor("complaints", CallInsights, "What is it about?")],
    ),
    dg.Definitions(resources={"openai": OpenAIResource(), "sales_io_manager": dg.mem_io_manager}),
)
"""


def test_a_table_that_comes_with_a_later_asset_says_so(
    run: Run, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first run is still at transcripts nobody is sent to look for a mistake of their own."""
    replace_partition(path, RECORDINGS, [DAYS[0]], pd.DataFrame([recording_row(DAYS[0], "03020")]))
    (tmp_path / "workspace.yaml").write_text("load_from: [{python_module: a_project_at_transcripts}]")
    (tmp_path / "a_project_at_transcripts.py").write_text(PROJECT)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    result = run("select * from Complaints", database=path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "complaints is not written yet: it comes with the first run of the asset sales/complaints" in (
        result.stderr
    )
    assert "Table with name complains does not exist" in run("from complains", database=path).stderr
    (tmp_path / "a_project_at_transcripts.py").unlink()
    monkeypatch.delitem(sys.modules, "a_project_at_transcripts")
    for workspace in ((tmp_path / "workspace.yaml").read_text(), "load_from: ["):
        (tmp_path / "workspace.yaml").write_text(workspace)
        assert "Table with name insights does not exist" in run("from insights", database=path).stderr


def test_writing_is_exit_code_1(run: Run) -> None:
    """A question that wants to write is refused."""
    result = run("delete from recordings")
    assert result.exit_code == 1
    assert "read-only" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["  "], ["select 1", "--format", "xml"], ["select 1", "--limit", "-1"]]
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    """An empty question, an unknown format and a negative limit are wrong usage."""
    assert run(*arguments).exit_code == 2


def test_nothing_written_yet_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    """A missing file is explained with the two ways to get one."""
    result = run("select 1", database=str(tmp_path / "none.duckdb"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "run `llm-assets demo` or materialize a partition" in result.stderr


def test_a_writer_does_not_keep_it_waiting(run: Run, sample: str) -> None:
    """While a run has its turn to write, a question is answered from what was published before."""
    with turn(sample, 1.0):
        assert run("select count(*) as n from recordings", "--csv").stdout == "n\n12\n"


def test_short_names_of_formats(run: Run) -> None:
    """--csv and --json are what they say."""
    assert run("select 1 as a", "--csv").stdout == "a\n1\n"
    assert json.loads(run("select 1 as a", "--json").stdout) == [{"a": 1}]


def test_the_database_is_the_configured_one(sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --database the file is the one that LLM_ASSETS_DUCKDB names."""
    monkeypatch.setenv("LLM_ASSETS_DUCKDB", sample)
    result = CliRunner().invoke(sql_command, ["select count(*) as n from recordings", "--format", "csv"])
    assert result.stdout == "n\n12\n"


def test_help_tells_the_exit_codes() -> None:
    """A script's author finds the exit codes in --help."""
    help_text = CliRunner().invoke(sql_command, ["--help"]).stdout
    assert all(f"{code} " in help_text.split("Exit codes")[1] for code in range(4))
