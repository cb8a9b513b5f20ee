"""`llm-assets migrate` gives up columns, after saying what is in them; everything else needs no migration."""

from __future__ import annotations

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from warehouse_samples import DAYS

from llm_assets.cli.migrate import migrate_command
from llm_assets.errors import TableMismatch, WarehouseLocked
from llm_assets.warehouse.migrate import carry_out, plan
from llm_assets.warehouse.query import query
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import Column, Table
from llm_assets.warehouse.turns import turn

KEYS = (
    Column("partition_date", "DATE", "Day.", required=True),
    Column("recording_id", "VARCHAR", "Recording.", required=True),
)
CALM = 'STRUCT("label" VARCHAR, "marks" STRUCT("a" BIGINT)[])'
GROWN = 'STRUCT("label" VARCHAR, "marks" STRUCT("a" BIGINT, "b" DATE)[], "score" DOUBLE)'


def write(path: str, day: int, sql_type: str, mood: object, *more: Column, **values: object) -> None:
    table = Table("things", (*KEYS, Column("mood", sql_type, "Mood."), *more))
    row = {"partition_date": DAYS[day], "recording_id": "a", "mood": mood, **values}
    replace_partition(path, table, [DAYS[day]], pd.DataFrame([row]))


def moods(path: str) -> list[object]:
    with query(path, "select mood from things order by partition_date") as found:
        return [mood for (mood,) in found.rows]


def run(path: str, *arguments: str) -> Result:
    return CliRunner().invoke(migrate_command, [*arguments, "--database", path])


def test_fields_inside_structs_and_lists_are_added(path: str) -> None:
    """A nested model that grows needs no migration: old rows are NULL there, and fields are never lost."""
    write(path, 0, CALM, {"label": "calm", "marks": [{"a": 1}]})
    write(path, 1, GROWN, {"label": "sad", "marks": [{"a": 2, "b": "2026-03-02"}], "score": 0.5})
    write(path, 2, CALM, {"label": "calm again", "marks": []})
    assert moods(path) == [
        {"label": "calm", "marks": [{"a": 1, "b": None}], "score": None},
        {"label": "sad", "marks": [{"a": 2, "b": DAYS[0]}], "score": 0.5},
        {"label": "calm again", "marks": [], "score": None},
    ]
    old = Table("things", (*KEYS, Column("mood", CALM, "Mood.")))
    assert read_partition(path, old, DAYS[1:2])["mood"].tolist() == [{"label": "sad", "marks": [{"a": 2}]}]


@pytest.mark.parametrize("sql_type", ["VARCHAR", 'STRUCT("label" BIGINT)', "JSON", f"{CALM}[]"])
def test_another_type_is_refused_until_the_column_is_dropped(path: str, sql_type: str) -> None:
    """The refusal names the command, and after it the new type is taken; old rows then have NULL."""
    write(path, 0, CALM, {"label": "calm", "marks": []})
    with pytest.raises(TableMismatch, match=r"llm-assets migrate --drop-column things\.mood"):
        write(path, 1, sql_type, None)
    result = run(path, "--drop-column", "things.mood", "--yes")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Done.")
    assert 'drop column "mood" of table "things"' in result.stdout
    assert "1 value" in result.stdout
    write(path, 1, sql_type, None)
    assert moods(path) == [None, None]


def test_a_dropped_column_does_not_come_back_with_old_values(path: str) -> None:
    """The same column, defined again, begins empty."""
    write(path, 0, "VARCHAR", "old")
    assert run(path, "--drop-column", "things.mood", "--yes").exit_code == 0
    write(path, 1, "VARCHAR", "new")
    assert moods(path) == [None, "new"]


def test_a_required_column_that_is_gone_is_refused(path: str) -> None:
    """Every row had a value there, so rows without one do not belong to that table."""
    write(path, 0, "VARCHAR", "x", Column("n", "BIGINT", "N.", required=True), n=1)
    with pytest.raises(TableMismatch, match=r"value in \"n\" in every row.*--drop-column things\.n"):
        write(path, 1, "VARCHAR", "x")


def test_it_is_shown_and_not_done_without_yes(path: str) -> None:
    """Without a terminal and without --yes nothing happens, and the exit code says so."""
    write(path, 0, "VARCHAR", "old")
    result = run(path, "--drop-column", "things.mood")
    assert result.exit_code == 4
    assert "VARCHAR, 1 value" in result.stdout
    assert "add --yes" in result.stderr
    assert moods(path) == ["old"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("things.nope", "it has partition_date, recording_id, mood"),
        ("nothing.mood", "there are things"),
        ("things.recording_id", "cannot be dropped"),
    ],
)
def test_what_cannot_be_dropped_is_exit_code_1(path: str, column: str, said: str) -> None:
    """A wrong name is answered with the right ones."""
    write(path, 0, "VARCHAR", "old")
    result = run(path, "--drop-column", column, "--yes")
    assert result.exit_code == 1
    assert said in result.stderr


def test_other_exit_codes(path: str) -> None:
    """Nothing to do is 0, wrong usage 2, nothing written yet 3."""
    assert run(path).exit_code == 0
    assert run(path, "--drop-column", "mood").exit_code == 2
    assert run(path, "--drop-column", "things.mood", "--yes").exit_code == 3


def test_a_writer_comes_first(path: str) -> None:
    """A migration stands in line like any other writer."""
    write(path, 0, "VARCHAR", "old")
    planned = plan(path, [("things", "mood")])
    with turn(path, 1.0), pytest.raises(WarehouseLocked):
        carry_out(planned, 0.0)
    assert moods(path) == ["old"]
