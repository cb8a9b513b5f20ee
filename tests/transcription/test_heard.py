"""From spoken recordings to transcripts: prepared by real processes, recognised by the emulator over HTTP."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_assets.emulator import Emulator, EmulatorConfig
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import Outcome
from llm_assets.orchestration.transcripts_stage import TranscriptionStage
from llm_assets.recordings.decode import SAMPLE_RATE, decode_mono
from llm_assets.recordings.encode import FLAC, Encoder
from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.sidecars import Sidecars
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import RowStatus, Segment, Transcript

pytest.importorskip("pocketsphinx", reason="the emulator recognises speech with the extra `local`")

pytestmark = pytest.mark.usefixtures("heard_once")
SAMPLES = Path(__file__).parents[2] / "data" / "recordings"
DAY = date(2026, 3, 2)
STEREO = SAMPLES / "2026-03-02" / "1041-internet-outage.ogg"  # the agent left, the customer right
MIXED = SAMPLES / "2026-03-02" / "1040 refund request.ogg"


async def heard(
    root: Path, model: str | dict[str, Any], emulated: dict[str, Any] | None = None, **source: Any
) -> tuple[Transcript, tuple[Outcome, ...]]:
    """The transcript of the one recording of the day, and its calls."""
    origin = RecordingSource(root=str(root), settle_seconds=0, **source)
    [found] = [each for each in find_recordings(origin, DAY) if not each.path.endswith(".json")]
    recording = read_recording(origin, found, DAY)
    async with Emulator(EmulatorConfig(recognizer_workers=2, **(emulated or {}))) as emulator:
        config = ClientConfig(transcription=(ModelConfig.of(model),), base_url=emulator.base_url)
        async with LLMClient(config) as client, TranscriptionStage(Sidecars(origin), config) as stage:
            return await stage.ask(recording, client.call)


def put(root: Path, recording: Path) -> Path:
    target = root / DAY.isoformat() / recording.name
    target.parent.mkdir(parents=True)
    shutil.copyfile(recording, target)
    return target


def apart(segments: Sequence[Segment]) -> bool:
    return all(one.end_seconds <= after.start_seconds for one, after in pairwise(segments))


async def test_a_stereo_call_is_a_conversation(tmp_path: Path) -> None:
    """Each channel is heard on its own, and the turns come in the order in which they were spoken."""
    put(tmp_path, STEREO)
    transcript, outcomes = await heard(
        tmp_path, "whisper-1", channels="split", speakers=("agent", "customer")
    )
    assert transcript.status is RowStatus.OK
    assert transcript.text is not None
    lines = transcript.text.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["agent", "customer"] * 3 + ["agent"]
    assert lines[0].startswith("agent: Good morning this is the help desk")
    assert "my internet does not work" in lines[1].lower()
    assert len(outcomes) == transcript.chunk_count == 2
    for channel in (0, 1):
        of_one = [each for each in transcript.segments if each.channel == channel]
        assert of_one
        assert apart(of_one)
    assert transcript.duration_seconds is not None
    assert max(each.end_seconds for each in transcript.segments) <= transcript.duration_seconds


async def test_a_model_without_times_still_tells_who_said_what(tmp_path: Path) -> None:
    """Whole chunks of each channel, short ones, with the speaker's name."""
    put(tmp_path, STEREO)
    transcript, _ = await heard(tmp_path, "gpt-transcribe", channels="split", speakers=("agent", "customer"))
    assert {segment.speaker for segment in transcript.segments} == {"agent", "customer"}
    assert all(each.end_seconds - each.start_seconds < 45 for each in transcript.segments)
    customer = " ".join(each.text for each in transcript.segments if each.speaker == "customer")
    assert "my internet does not work" in customer.lower()
    assert "help desk" not in customer.lower()


async def test_speakers_of_a_mixed_call_are_told_apart(tmp_path: Path) -> None:
    """The diarizing model names who speaks; more than 30 s go with a chunking strategy."""
    put(tmp_path, MIXED)
    transcript, _ = await heard(tmp_path, "gpt-4o-transcribe-diarize")
    assert [segment.speaker for segment in transcript.segments] == ["A", "B"] * 3
    assert transcript.text is not None
    assert transcript.text.startswith("A: Good morning")


async def test_hints_beside_a_recording_split_it(tmp_path: Path) -> None:
    """What stands in a file beside a recording holds for it."""
    recording = put(tmp_path, STEREO)
    recording.with_suffix(".json").write_text('{"speakers": ["agent", "customer"]}')
    transcript, _ = await heard(tmp_path, "whisper-1")
    assert {segment.speaker for segment in transcript.segments} == {"agent", "customer"}


async def test_hints_that_cannot_be_used_make_a_row(tmp_path: Path) -> None:
    """Nothing is asked for a recording whose hints are broken: the reason is in its row."""
    recording = put(tmp_path, STEREO)
    recording.with_suffix(".json").write_text("{")
    transcript, outcomes = await heard(tmp_path, "whisper-1")
    assert (transcript.status, outcomes) == (RowStatus.UNREADABLE, ())
    assert "hints" in (transcript.error or "")


def write_long(root: Path) -> None:
    """The mixed call twice: more than can be halved once."""
    samples = np.concatenate(list(decode_mono(MIXED.read_bytes())))
    target = root / DAY.isoformat() / "long.flac"
    target.parent.mkdir(parents=True)
    with Encoder(FLAC, SAMPLE_RATE) as encoder:
        encoder.write(samples)
        encoder.write(samples)
        target.write_bytes(encoder.finish())


async def test_a_text_cut_at_the_output_limit_is_whole_in_the_end(tmp_path: Path) -> None:
    """The provider stops at its limit with status 200; halves are asked for until all of it is there."""
    write_long(tmp_path)
    whole, _ = await heard(tmp_path, "whisper-1")
    assert whole.text is not None
    limit = math.ceil(len(whole.text) / 4 * 0.7)
    transcript, outcomes = await heard(
        tmp_path,
        {"model": "gpt-4o-transcribe", "max_output_tokens": limit},
        {"transcription_output_tokens": limit},
    )
    assert transcript.status is RowStatus.OK
    assert len(outcomes) == 3
    assert transcript.chunk_count == 2
    assert transcript.text is not None
    assert abs(len(transcript.text.split()) - len(whole.text.split())) <= 4
    assert apart(transcript.segments)
    assert transcript.cost_usd == sum(each.cost_usd for each in outcomes if each.cost_usd is not None)


async def test_a_text_that_is_cut_however_short_the_audio_is_failed(tmp_path: Path) -> None:
    """No text with a hole: the row says why, and what it cost."""
    write_long(tmp_path)
    transcript, outcomes = await heard(
        tmp_path,
        {"model": "gpt-4o-transcribe", "max_output_tokens": 4},
        {"transcription_output_tokens": 4},
    )
    assert (transcript.status, transcript.text) == (RowStatus.FAILED, None)
    assert "cut off at the output limit of gpt-4o-transcribe" in (transcript.error or "")
    assert len(outcomes) >= 3
    assert transcript.cost_usd is not None
