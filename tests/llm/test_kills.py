"""A process that is killed again and again pays for no answer twice, but for those on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.kills import Life, count, measure

NEVER = (
    "asked_again_after_handed_on",
    "asked_again_after_kept",
    "asked_twice_in_one_life",
    "changed_answers",
    "lost_rows",
)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """Eight kills, each moment twice, the last in the midst of the work. Their seed is among the figures."""
    return measure(8, rows=1500, seed=4)


def test_a_killed_process_asks_again_only_what_was_on_the_wire(figures: dict[str, Any]) -> None:
    """Killed while it starts, sends, is answered or hands on: the next one goes on and no row is lost."""
    assert {name: figures[name] for name in NEVER} == dict.fromkeys(NEVER, 0), figures
    assert figures["answers_paid"] == figures["rows"] + figures["asked_again_in_flight"], figures
    assert figures["asked_again_in_flight"] <= figures["in_flight_at_kills"], figures
    assert 0 < figures["most_in_flight_at_a_kill"] <= figures["concurrency"], figures


def test_the_journal_shows_what_may_have_been_billed_without_an_answer(figures: dict[str, Any]) -> None:
    """Every request that was on the wire at a kill is an open intent afterwards."""
    assert figures["open_intents_after_last_kill"] >= figures["in_flight_at_last_kill"] > 0, figures


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        pytest.param(
            Life("life 1", ["row 0", "row 1"], {"row 0": "row 0 for life 1"}),
            Life("life 2", ["row 1"], {"row 0": "row 0 for life 1", "row 1": "row 1 for life 2"}),
            {"asked_again_in_flight": 1, "in_flight_at_kills": 1, "answers_paid": 3},
            id="on the wire",
        ),
        pytest.param(
            Life("life 1", ["row 0", "row 1"], {"row 0": "row 0 for life 1"}),
            Life("life 2", ["row 0", "row 1"], {"row 0": "row 0 for life 2", "row 1": "row 1 for life 2"}),
            {"asked_again_after_handed_on": 1, "changed_answers": 1, "asked_again_in_flight": 1},
            id="handed on and not kept",
        ),
        pytest.param(
            Life("life 1", ["row 0", "row 1"], {}),
            Life("life 2", ["row 0", "row 1"], {"row 0": "row 0 for life 1", "row 1": "row 1 for life 2"}),
            {"asked_again_after_kept": 1, "asked_again_in_flight": 1},
            id="kept and asked all the same",
        ),
        pytest.param(
            Life("life 1", [], {}),
            Life("life 2", ["row 0", "row 0"], {"row 0": "row 0 for life 2"}),
            {"asked_twice_in_one_life": 1, "lost_rows": 1, "asked_again_in_flight": 0},
            id="twice in one life, and a row lost",
        ),
    ],
)
def test_the_count_sees_what_must_not_be(first: Life, second: Life, seen: dict[str, int]) -> None:
    """Each way to pay twice or to lose a row shows up under its own name."""
    counted = count([first, second], rows=2)

    assert {name: counted[name] for name in seen} == seen
    assert all(counted[name] == seen.get(name, 0) for name in NEVER)
