"""Patterns: which day a path belongs to, what has to be listed for it, and what is wrong with a bad one."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_audio import put

from llm_assets.errors import ConfigurationError
from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.layout import layout_of
from llm_assets.recordings.source import FOLDER_PER_DAY, RecordingSource

DAY = date(2026, 3, 2)
DATED = [
    FOLDER_PER_DAY,
    "{date:%Y/%m/%d}/**/*",
    "{date:%Y/%m/%d}/*.wav",
    "calls/{date:%Y%m%d}_*.wav",
    "year={date:%Y}/month={date:%m}/day={date:%d}/**",
    "*/{date:%Y-%m-%d}/**/*",
    "{date:%y%j}*",
    "{date:%Y}/*_{date:%m%d}.wav",
    "**/{date:%d.%m.%Y} *",
    "{date:%Y}/{date:%Y-%m}/{date:%Y-%m-%d}/a?c/*",
]


def put_example(root: Path, pattern: str, day: date) -> str:
    """A recording of this day where the pattern looks for it; its path."""
    path = day.strftime(pattern.replace("{date:", "").replace("}", ""))
    path = path.replace("**/*", "deep/er/x.wav").replace("**", "deep").replace("?", "b").replace("*", "name")
    path = path if path.endswith(".wav") else f"{path}.wav"
    put(root, path, b"sound")
    return path


@pytest.mark.parametrize("pattern", DATED)
def test_a_recording_is_found_on_its_day_and_on_no_other(tmp_path: Path, pattern: str) -> None:
    """Whatever the layout, each of many days has exactly its own recording."""
    days = [DAY + timedelta(days=number) for number in (-366, -31, -1, 0, 1, 30)]
    expected = {day: [put_example(tmp_path, pattern, day)] for day in days}
    source = RecordingSource(root=tmp_path, pattern=pattern)
    assert {day: [each.path for each in find_recordings(source, day)] for day in days} == expected


@given(
    day=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    pattern=st.sampled_from([pattern for pattern in DATED if "%" in pattern]),
)
def test_a_path_made_for_a_day_tells_the_day(day: date, pattern: str) -> None:
    """Reading the date out of a path is the inverse of writing it."""
    path = day.strftime(pattern.replace("{date:", "").replace("}", ""))
    path = path.replace("**/", "a/b/").replace("**", "a/b").replace("?", "b").replace("*", "x")
    assert layout_of(pattern).day_of(path) == day


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (FOLDER_PER_DAY, "2026-02-30/a.wav"),
        (FOLDER_PER_DAY, "2026-03-02x/a.wav"),
        ("{date:%Y/%m/%d}/*.wav", "2026/03/02/deep/a.wav"),
        ("{date:%Y}/{date:%Y-%m-%d}/*", "2025/2026-03-02/a.wav"),
        ("calls/{date:%Y%m%d}_*.wav", "calls/20260302-a.wav"),
        ("{date:%y%j}*", "26366.wav"),
    ],
)
def test_a_path_beside_the_layout_belongs_to_no_day(pattern: str, path: str) -> None:
    """Days that do not exist, other depths and dates that contradict each other are not recordings' days."""
    assert layout_of(pattern).day_of(path) is None


def test_the_first_of_two_dates_counts() -> None:
    """A name with two dates belongs to one day only; digits that are no date are passed over."""
    layout = layout_of("*{date:%Y%m%d}*")
    assert layout.day_of("12345678-20260302-20260405.wav") == DAY


def test_an_extension_in_the_pattern_is_taken_at_its_word(tmp_path: Path) -> None:
    """`*.vox` finds what no list of audio formats has, in any case, and nothing else."""
    for name in ("a.vox", "b.VOX", "c.wav", "d.vox.txt"):
        put(tmp_path, f"2026-03-02/{name}", b"sound")
    source = RecordingSource(root=tmp_path, pattern="{date:%Y-%m-%d}/*.vox")
    assert [each.path for each in find_recordings(source, DAY)] == ["2026-03-02/a.vox", "2026-03-02/b.VOX"]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "a slash between each two"),
        ("/{date:%Y-%m-%d}/*", "begins below the root"),
        ("{date:%Y-%m-%d}//*", "a slash between each two"),
        ("{date:%Y-%m-%d}/", "a slash between each two"),
        ("../{date:%Y-%m-%d}/*", "leads out of the root"),
        ("a/../{date:%Y-%m-%d}/*", "leads out of the root"),
        (".hidden/*", "hidden"),
        ("{date:%Y-%m}/*", r"no day \(%d\)"),
        ("{date:%Y-%d}/*", r"no month \(%m\)"),
        ("{date:%m-%d}/*", r"no year \(%Y\)"),
        ("{date:%Y-%m-%d %H}/*", "%H is none of them"),
        ("{day:%Y-%m-%d}/*", "part of a date"),
        ("{date:%Y-%m-%d/*", "part of a date"),
        ("{date:%Y%m%d}***", r"\*\*\* is no wildcard"),
        ("{date:%Y%m%d}**/a", "stands alone"),
        ("{date:%Y%m%d}/[ab]*", r"\[ is no wildcard"),
        ("{date:%Y%m%d}\\*", "backslash"),
    ],
)
def test_a_bad_pattern_says_what_is_wrong(pattern: str, reason: str) -> None:
    """The source of recordings is refused when it is made, that is when definitions load."""
    with pytest.raises(ConfigurationError, match=f"pattern: .*{reason}"):
        RecordingSource(root="data", pattern=pattern)
