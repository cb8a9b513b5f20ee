"""What a recognition process does: decode, find the speech, recognise it stretch by stretch.

Runs in worker processes only. The decoder is made once per process; its running estimate of the channel
is put back before every recording, or the text of one would depend on what was heard before it.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.synchronize import Event
from typing import Any

from llm_assets.emulator.speech.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples, decode, speech_spans
from llm_assets.emulator.speech.spoken import Speech, Stopped, Stretch, Word

# Tuned for speed at equal word accuracy; the figures are in docs/emulator.md.
_DECODER_SETTINGS: dict[str, Any] = {"lw": 5.5, "maxhmmpf": 5000, "maxwpf": 10, "loglevel": "FATAL"}
_VARIANT = re.compile(r"\(\d+\)$")
_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE


class _Worker:
    """This process's decoder, made at the first recording."""

    stop: Event | None = None
    decoder: Any = None
    channel: str = ""


def start_worker(stop: Event) -> None:
    """Make this process end with its parent, however that ends; only the parent answers Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _Worker.stop = stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def recognize(audio: bytes) -> Speech:
    """The speech in an encoded recording. Raises UndecodableAudio, and Stopped on shutdown."""
    samples = decode(audio)
    decoder = _decoder()
    decoder.set_cmn(_Worker.channel)
    stretches = (_stretch(decoder, samples, *span) for span in speech_spans(samples))
    return Speech(tuple(filter(None, stretches)), len(samples) / SAMPLE_RATE)


def _decoder() -> Any:
    if _Worker.decoder is None:
        from pocketsphinx import Decoder  # an optional extra, and a second to load

        _Worker.decoder = Decoder(**_DECODER_SETTINGS)
        _Worker.channel = _Worker.decoder.get_cmn()
    return _Worker.decoder


def _stretch(decoder: Any, samples: Samples, first: int, last: int) -> Stretch | None:
    if _Worker.stop is not None and _Worker.stop.is_set():
        raise Stopped
    decoder.start_utt()
    decoder.process_raw(samples[first:last].tobytes(), full_utt=True)
    decoder.end_utt()
    words = tuple(_words(decoder, first / SAMPLE_RATE)) if decoder.hyp() else ()
    return Stretch(_sentence(words), words) if words else None


def _words(decoder: Any, offset_seconds: float) -> Iterator[Word]:
    for segment in decoder.seg():
        text = _VARIANT.sub("", segment.word)
        if not text.startswith(("<", "[")):
            start = offset_seconds + segment.start_frame * _FRAME_SECONDS
            end = offset_seconds + (segment.end_frame + 1) * _FRAME_SECONDS
            yield Word(text, round(start, 2), round(end, 2))


def _sentence(words: tuple[Word, ...]) -> str:
    """The recogniser knows no punctuation: a stretch between pauses is written as one sentence."""
    text = " ".join(word.text for word in words)
    text = re.sub(r"\bi\b", "I", text)
    return f"{text[0].upper()}{text[1:]}."
