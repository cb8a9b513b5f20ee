"""Whether a recording goes to a provider as it is, from one look at it.

A provider puts what there is end to end and mixes it, which may not be the recording; and it bills silence.
What was decoded to find that out is what is cut then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.container import Audio
from llm_assets.recordings.decode import SAMPLE_RATE, decode_channels, decode_mono
from llm_assets.recordings.encode import Samples
from llm_assets.recordings.glance import glance, silent_seconds, skim
from llm_assets.recordings.limits import Listening
from llm_assets.recordings.listen import MOMENTS_PER_SECOND, listen
from llm_assets.recordings.noticed import Noticed
from llm_assets.recordings.replayed import Replayed
from llm_assets.records import Recording

# Silence is left out of an original where that is so much, and so large a part of what is billed.
LEAST_LEFT_OUT_SECONDS = 30.0
_LEAST_LEFT_OUT_SHARE = 0.2
# Channels differ where the difference is louder than this share of the louder one.
_SAME_WITHIN = 0.03
_SURE_WITHIN_SECONDS = 1.0
# Where a look from afar finds this part of that, all of it is listened to.
_PERHAPS = 0.5


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording that is decoded, as it has to be cut. `apart` has a row for each channel, else all mixed.

    `noticed` grows with the blocks that are taken.
    """

    blocks: Iterator[Samples]
    noticed: Noticed
    apart: bool = False


def opened_for_cutting(
    audio: Audio, recording: Recording, listening: Listening, *, is_taken: bool
) -> Opened | None:
    """None for one that goes as it is, which is out of the question unless a provider takes it (`is_taken`).

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    noticed = Noticed()
    blocks = Replayed(partial(decode_mono, audio, noticed=noticed))
    if listening.channels == "split" and (recording.channels or 1) > 1:
        channels = Replayed(partial(decode_channels, audio, noticed=noticed))
        if any(map(_differ, channels)):
            return Opened(channels.again(), noticed, apart=True)
        blocks = Replayed(lambda: (block[0] for block in channels.again()))
    if is_taken and _is_right(audio, recording.duration_seconds or 0.0, listening, blocks, noticed):
        return None
    return Opened(blocks.again(), noticed)


def _is_right(audio: Audio, seconds: float, listening: Listening, blocks: Replayed, noticed: Noticed) -> bool:
    """`noticed` grows with `blocks`, and is complete where they were decoded before."""
    longest, left_out_seconds = listening.longest_silence_seconds, 0.0
    least_seconds = max(LEAST_LEFT_OUT_SECONDS, seconds * _LEAST_LEFT_OUT_SHARE)
    seen = noticed if noticed.seconds else Noticed()
    if longest is None or seconds < LEAST_LEFT_OUT_SECONDS:
        seen = noticed if noticed.seconds else glance(audio)
    elif seen is noticed or _may_be_silent(audio, seconds, longest, least_seconds, seen):
        left_out_seconds = _left_out_seconds(blocks, noticed, longest)
        seen = noticed
    if seen.has_gap or seen.cancels:
        return False
    if not seen.has_sound:
        # What we cannot decode a provider perhaps can, so nobody knows what is there.
        return seen.seconds < seconds - _SURE_WITHIN_SECONDS
    return left_out_seconds < least_seconds


def _may_be_silent(
    audio: Audio, seconds: float, longest_silence_seconds: float, least_seconds: float, seen: Noticed
) -> bool:
    """Whether it is worth listening to all of it."""
    about_seconds = silent_seconds(skim(audio, seen), seconds, longest_silence_seconds)
    return not seen.has_sound or about_seconds >= least_seconds * _PERHAPS


def _left_out_seconds(blocks: Replayed, noticed: Noticed, longest_silence_seconds: float) -> float:
    """How much silence would not be sent; none where the end cannot be decoded."""
    try:
        kept = sum(heard.moments for heard in listen(blocks, SAMPLE_RATE, longest_silence_seconds))
    except RecordingUnreadable:
        if not noticed.seconds:
            raise
        return 0.0
    return noticed.seconds - kept / MOMENTS_PER_SECOND


def _differ(block: Samples) -> bool:
    wide = block.astype(np.float32)
    loudest = np.square(wide).mean(axis=1).max()
    apart = np.square(wide - wide[0]).mean(axis=1).max()
    return bool(apart > max(loudest * _SAME_WITHIN**2, 1.0))
