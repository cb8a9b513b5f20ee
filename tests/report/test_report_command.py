"""`llm-assets report` writes a page, says what is in it, and says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_assets.cli.report import report_command
from llm_assets.report.write import Report

Run = Callable[..., Result]


@pytest.fixture
def run(database: str) -> Run:
    def run(*arguments: str, path: str = database) -> Result:
        return CliRunner().invoke(report_command, [*arguments, "--database", path])

    return run


def test_the_latest_month_beside_the_database(run: Run, database: str, tmp_path: Path) -> None:
    """Without options it writes the latest month to `reports` and shows the headline."""
    copy = shutil.copy(database, tmp_path / "llm_assets.duckdb")
    result = run(path=str(copy))
    page = tmp_path / "reports" / "report-2026-03.html"
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"Written to {page}"
    assert "Cost" in result.stdout
    assert "<h1>March 2026</h1>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("out", "written"),
    [("own.html", "own.html"), ("folder", "folder/report-2026-02.html"), ("a/b/c.HTM", "a/b/c.HTM")],
)
def test_a_file_or_a_folder(run: Run, tmp_path: Path, out: str, written: str) -> None:
    """A name that ends in .html is the page, any other is a folder, made where need be."""
    result = run("--month", "2026-02", "--out", str(tmp_path / out))
    assert result.exit_code == 0
    assert "<h1>February 2026</h1>" in (tmp_path / written).read_text(encoding="utf-8")


def test_json_for_scripts(run: Run, tmp_path: Path, march: Report) -> None:
    """The headline as numbers, and where the page is."""
    numbers = json.loads(run("--json", "--out", str(tmp_path / "page.html")).stdout)
    assert numbers["month"] == "2026-03"
    assert numbers["page"] == str(tmp_path / "page.html")
    assert numbers["recordings"] == march.rows.totals.recordings
    assert numbers["cost_usd"] == pytest.approx(float(march.rows.totals.cost_usd or 0))


def test_a_page_on_standard_output(run: Run) -> None:
    """With - nothing but the page is printed."""
    result = run("--out", "-")
    assert result.stdout.startswith("<!DOCTYPE html>")
    assert result.stdout.rstrip().endswith("</html>")
    assert run("--out", "-", "--json").exit_code == 2


def test_a_month_without_rows(run: Run, tmp_path: Path) -> None:
    """No page is written, the exit code says so, and on stderr stands which month has rows."""
    for options in (("--out", str(tmp_path / "pages")), ("--out", "-"), ("--json",)):
        result = run("--month", "2025-07", *options)
        assert result.exit_code == 3
        assert result.stdout == ""
        assert "no rows of 2025-07" in result.stderr
        assert "the latest month with rows is 2026-03" in result.stderr
    assert not (tmp_path / "pages").exists()


def test_what_is_no_month_is_wrong_usage(run: Run) -> None:
    """The message says how a month is written."""
    result = run("--month", "march")
    assert result.exit_code == 2
    assert "write it as YYYY-MM, such as 2026-03" in result.stderr


def test_nothing_written_yet_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    """Without a database the message says how to get one."""
    result = run(path=str(tmp_path / "none.duckdb"))
    assert result.exit_code == 3
    assert "run `llm-assets demo` or materialize a partition" in result.stderr


def test_help_tells_the_exit_codes() -> None:
    """A script's author finds the exit codes and examples in --help."""
    text = CliRunner().invoke(report_command, ["--help"]).stdout
    assert all(f"{code} " in text.split("Exit codes")[1] for code in range(4))
