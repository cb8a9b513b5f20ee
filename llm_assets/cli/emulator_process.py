"""The emulator as a process of its own for as long as a block runs, stopped in any case.

It gets a session of its own, so that a Ctrl-C in the terminal reaches only the program that uses it, which
then finishes its calls before the emulator goes away.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

from llm_assets.errors import LLMAssetsError

START_SECONDS = 60.0
STOP_SECONDS = 5.0
# Any free port; `--json` says the address in the first line of the output.
_OPTIONS = ("--port", "0", "--json", "--stop-with-stdin")


@contextmanager
def running_emulator() -> Generator[str]:
    """Start an emulator and give its base URL.

    Raises LLMAssetsError with what it said when it does not come up.
    """
    with tempfile.TemporaryFile("w+") as said, _process(said) as process:
        yield _base_url(process, said)


@contextmanager
def _process(said: IO[str]) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own command, no input in it
        [sys.executable, "-m", "llm_assets.cli.main", "emulator", *_OPTIONS],
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends; the emulator then stops
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _base_url(process: subprocess.Popen[str], said: IO[str]) -> str:
    assert process.stdout is not None
    # An emulator that hangs is killed, which ends the reading below.
    deadline = threading.Timer(START_SECONDS, process.kill)
    deadline.start()
    try:
        line = process.stdout.readline()
    finally:
        deadline.cancel()
    try:
        return str(json.loads(line)["base_url"])
    except (ValueError, KeyError, TypeError):
        said.seek(0)
        reason = said.read().strip() or line.strip() or f"no answer within {START_SECONDS:.0f} s"
        raise LLMAssetsError(f"the emulator did not start: {reason}") from None
