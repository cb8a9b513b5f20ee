"""Decode, find the speech, recognise it stretch by stretch. CPU-bound: runs in worker processes only.

The decoder is made once per process. Its running estimate of the channel is put back before every
recording, or the text of one would depend on what was heard before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from llm_assets.emulator.speech.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples, decode, speech_spans
from llm_assets.emulator.speech.spoken import Speech, Stopped, Stretch, Word
from llm_assets.emulator.speech.voices import pitch_hz

# Tuned for speed at equal word accuracy; the figures are in docs/emulator.md.
_SETTINGS: dict[str, Any] = {"lw": 5.5, "maxhmmpf": 4000, "maxwpf": 5, "loglevel": "FATAL"}
_VARIANT = re.compile(r"\(\d+\)$")
_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE


def recognize(audio: bytes, is_wanted: Callable[[], bool] = lambda: True) -> Speech:
    """The speech in an encoded recording.

    `is_wanted` is asked before every stretch. Raises UndecodableAudio, and Stopped when it is not.
    """
    samples = decode(audio)
    decoder, channel = _decoder()
    decoder.set_cmn(channel)
    stretches: list[Stretch] = []
    for first, last in speech_spans(samples):
        if not is_wanted():
            raise Stopped
        heard = samples[first:last]
        words = tuple(_words(decoder, heard, first / SAMPLE_RATE))
        if words:
            stretches.append(Stretch(_sentence(words), words, round(pitch_hz(heard), 1)))
    return Speech(tuple(stretches), len(samples) / SAMPLE_RATE)


@cache
def _decoder() -> tuple[Any, str]:
    """This process's decoder, and its estimate of the channel before it has heard anything."""
    from pocketsphinx import Decoder  # an optional extra

    decoder: Any = Decoder(**_SETTINGS)
    return decoder, decoder.get_cmn()


def _words(decoder: Any, samples: Samples, offset_seconds: float) -> Iterator[Word]:
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    for segment in decoder.seg() if decoder.hyp() else ():
        text = _VARIANT.sub("", segment.word)
        if not text.startswith(("<", "[")):
            start = offset_seconds + segment.start_frame * _FRAME_SECONDS
            end = offset_seconds + (segment.end_frame + 1) * _FRAME_SECONDS
            yield Word(text, round(start, 2), round(end, 2))


def _sentence(words: tuple[Word, ...]) -> str:
    """The recogniser knows no punctuation: a stretch between pauses is written as one sentence."""
    text = re.sub(r"\bi\b", "I", " ".join(word.text for word in words))
    return f"{text[0].upper()}{text[1:]}."
