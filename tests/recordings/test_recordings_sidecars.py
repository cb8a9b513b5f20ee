"""Hints in a file beside a recording: over what holds for the source, and only where they are meant."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from bucket import Bucket
from made_audio import put

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.sidecars import Sidecars, find_sidecars
from llm_assets.recordings.source import Hints, RecordingSource
from llm_assets.records import Recording

DAY = date(2026, 3, 2)


def recording(path: str = "2026-03-02/call.wav") -> Recording:
    name = path.rpartition("/")[2]
    return Recording(
        partition_date=DAY, recording_id="0" * 20, path=path, file_name=name, size_bytes=1, sha256=""
    )


def heard(root: Path, content: str, name: str = "call.json", **fields: Any) -> RecordingSource:
    put(root, f"2026-03-02/{name}", content.encode())
    return Sidecars(RecordingSource(root=root, **fields)).source_for(recording())


def test_a_recording_without_a_sidecar_is_heard_as_its_source_says(tmp_path: Path) -> None:
    """Nothing beside it, nothing changed."""
    source = RecordingSource(root=tmp_path, hints=Hints(language="de"))
    assert Sidecars(source).source_for(recording()) == source


@pytest.mark.parametrize("name", ["call.json", "call.wav.json", "call.yaml", "call.wav.yml"])
def test_a_sidecar_goes_over_the_source(tmp_path: Path, name: str) -> None:
    """What it says replaces the source's hints, what it does not say stays."""
    source = heard(
        tmp_path,
        '{"language": "fr", "keywords": ["Škoda", "EC-7"]}',
        name,
        hints=Hints(language="de", prompt="A call.", keywords=("x",)),
    )
    assert source.hints == Hints(language="fr", prompt="A call.", keywords=("Škoda", "EC-7"))


def test_the_most_particular_sidecar_counts(tmp_path: Path) -> None:
    """`call.wav.json` is about `call.wav` alone, `call.json` may be about `call.mp3` too."""
    put(tmp_path, "2026-03-02/call.wav.json", b'{"language": "fr"}')
    assert heard(tmp_path, '{"language": "it"}').hints.language == "fr"


def test_yaml_is_understood(tmp_path: Path) -> None:
    """A list and a text as people write them."""
    source = heard(tmp_path, "language: pt-BR\nkeywords:\n  - Orion\nprompt: A sales call.\n", "call.yaml")
    assert source.hints == Hints(language="pt-BR", prompt="A sales call.", keywords=("Orion",))


def test_a_sidecar_can_say_who_is_on_which_channel(tmp_path: Path) -> None:
    """Names for the channels mean that they are heard apart; `mix` takes them together again."""
    source = heard(tmp_path, '{"speakers": ["agent", "customer"]}')
    assert (source.channels, source.speakers) == ("split", ("agent", "customer"))
    source = heard(tmp_path, '{"channels": "mix"}', channels="split", speakers=("agent", "customer"))
    assert (source.channels, source.speakers) == ("mix", ())


def test_what_other_programs_write_is_left_alone(tmp_path: Path) -> None:
    """A telephone system's own fields, or a list of words, are nothing that was meant as a hint."""
    fields = {"caller": "+49", "agent_id": 7, "Channels": 2, "language": "de"}
    put(tmp_path, "2026-03-02/call.json", json.dumps(fields).encode())
    sidecars = Sidecars(RecordingSource(root=tmp_path))
    assert sidecars.source_for(recording()).hints == Hints(language="de")
    assert sidecars.unknown_fields == {"caller", "agent_id", "Channels"}
    assert heard(tmp_path, '[{"word": "hello"}]').hints == Hints()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"language": "German"}', "language: it must be a language code"),
        ('{"keywords": "Orion"}', "keywords: it must be a list"),
        ('{"keyword": ["Orion"]}', "no field keyword, but keywords"),
        ('{"Language": "de"}', "no field Language, but language"),
        ('{"channels": "left"}', "channels: "),
        ('{"channels": "mix", "speakers": ["a"]}', "channels: split"),
        ('{"language"', "call.json"),
        (" " * 70_000, "longer than"),
    ],
)
def test_hints_that_cannot_be_used_are_the_rows_reason(tmp_path: Path, content: str, reason: str) -> None:
    """A slip of the pen is said before anything is paid for, and names the file."""
    with pytest.raises(RecordingUnreadable, match=r"hints in 2026-03-02/call\.json") as caught:
        heard(tmp_path, content)
    assert reason in str(caught.value)


def test_sidecars_can_be_left_alone(tmp_path: Path) -> None:
    """With `sidecars` off no file beside a recording is looked at."""
    assert heard(tmp_path, '{"language": "German"}', sidecars=False).hints == Hints()


def test_a_link_out_of_the_root_is_no_sidecar(tmp_path: Path) -> None:
    """Hints are files of the root too."""
    put(tmp_path, "outside.json", b'{"language": "de"}')
    root = tmp_path / "root"
    put(root, "2026-03-02/call.wav", b"sound")
    (root / "2026-03-02/call.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(RecordingUnreadable, match="leads outside"):
        Sidecars(RecordingSource(root=root)).source_for(recording())


def test_a_bucket_is_looked_through_once_for_a_day(bucket: Bucket) -> None:
    """One listing tells which recordings have hints; only those hints are read."""
    for number in range(50):
        bucket.put(f"2026-03-02/{number}.wav")
    bucket.put("2026-03-02/7.json", b'{"language": "de"}')
    sidecars = find_sidecars(bucket.source(), [DAY])
    languages = [sidecars.source_for(recording(f"2026-03-02/{n}.wav")).hints.language for n in range(50)]
    assert languages == [None] * 7 + ["de"] + [None] * 42
    assert len(bucket.asked()) == 2


def test_a_bucket_without_days_is_asked_for_each(bucket: Bucket) -> None:
    """All of it need not be listed again for the hints of one recording."""
    bucket.put("calls/7.wav.json", b'{"language": "de"}')
    source = bucket.source(pattern="**/*")
    assert find_sidecars(source, [DAY]).source_for(recording("calls/7.wav")).hints.language == "de"
    assert len(bucket.asked()) == 2
    assert find_sidecars(source, [DAY]).source_for(recording("calls/8.wav")).hints.language is None
    assert len(bucket.asked()) == 1
