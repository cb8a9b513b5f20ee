"""Threads for what may block: as many as are busy, kept for a moment, and nobody waits for them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import wait

import pytest

from llm_assets.recordings import background
from llm_assets.recordings.background import in_background

AMPLE_SECONDS = 60.0


def test_one_after_the_other_is_done_by_one_thread() -> None:
    """Thousands of recordings do not start thousands of threads."""
    names = {in_background(threading.get_ident).result(AMPLE_SECONDS) for _ in range(200)}
    assert len(names) < 20


def test_as_many_as_block_run_at_a_time() -> None:
    """None waits for another one to be done."""
    meeting = threading.Barrier(40)
    met = [in_background(meeting.wait, AMPLE_SECONDS) for _ in range(40)]
    assert sorted(each.result(AMPLE_SECONDS) for each in met) == [*range(40)]


def test_what_is_raised_belongs_to_who_waits() -> None:
    """And the thread goes on with the next one."""
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            in_background(divmod, 1, 0).result(AMPLE_SECONDS)
    assert in_background(divmod, 7, 2).result(AMPLE_SECONDS) == (3, 1)


def test_nothing_is_lost_where_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has just given up waiting is handed nothing that nobody does."""
    monkeypatch.setattr(background, "_KEPT_SECONDS", 0.0)
    for _ in range(300):
        both = [in_background(divmod, 7, 2) for _ in range(2)]
        assert not wait(both, AMPLE_SECONDS).not_done


def test_nobody_waits_for_them_when_the_process_ends() -> None:
    """One that is held up by a silent network holds up nobody, nor does one that has nothing to do."""
    script = """
import threading
from llm_assets.recordings.background import in_background
in_background(print, "done").result()
in_background(threading.Event().wait)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], timeout=AMPLE_SECONDS, capture_output=True, check=True
    )
    assert ended.stdout == b"done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_has_threads_of_its_own() -> None:
    """Nothing is handed to one that exists in the parent alone."""
    script = """
import os
from llm_assets.recordings.background import in_background
in_background(int).result()
child = os.fork()
if not child:
    os._exit(in_background(int, "7").result(30))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], timeout=AMPLE_SECONDS, capture_output=True, check=True
    )
    assert ended.stdout == b"7\n"
