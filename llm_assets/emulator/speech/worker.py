"""The process that recognises: `python -m llm_assets.emulator.speech.worker`, spoken to through pipes.

In: 8 bytes with the length of the audio, then the audio. Out: a line, `+` and the speech as JSON or `-` and
why the audio cannot be decoded. It ends when its input ends, and between two stretches of speech when the
process that started it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO

from llm_assets.emulator.speech.recognizer import recognize
from llm_assets.emulator.speech.spoken import Stopped, UndecodableAudio

LENGTH_BYTES = 8


def main() -> None:
    """Answer until the input ends. Ctrl-C is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    parent = os.getppid()
    requests = sys.stdin.buffer
    while header := requests.read(LENGTH_BYTES):
        audio = requests.read(int.from_bytes(header))
        try:
            _reply(answers, "+", recognize(audio, lambda: os.getppid() == parent).to_json())
        except UndecodableAudio as error:
            _reply(answers, "-", " ".join(str(error).split()))
        except Stopped:
            return


def _reply(answers: BinaryIO, sign: str, text: str) -> None:
    answers.write(f"{sign}{text}\n".encode())
    answers.flush()


if __name__ == "__main__":
    main()
