"""The process that decodes: `python -m llm_assets.recordings.worker_process`, spoken to through its pipes.

Decoders are C code fed with whatever people upload. Here they may crash, hang or eat memory without taking
the run with them. In: jobs. Out: a greeting once everything is imported; for each job its results one by
one, then its end. Writing blocks until somebody reads, so the process is never more than a result ahead.

The process ends when its input ends, also in the middle of
a job: then the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from llm_assets.errors import LLMAssetsError, RecordingUnreadable
from llm_assets.recordings.worker_messages import LENGTH_BYTES, End, Order, Result

# The parent's own time-out comes first; this one is for a parent that is gone.
_GRACE_SECONDS = 30.0


def main() -> None:
    """Do jobs until the input ends. Ctrl-C is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    # Here, so that what it takes counts neither as a job's time nor as its memory.
    for module in ("halve", "local_file", "prepare"):
        import_module(f"llm_assets.recordings.{module}")
    _bound_memory(int(sys.argv[1]))
    orders: SimpleQueue[Order] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, orders), daemon=True).start()
    _send(answers, End())
    while True:
        _carry_out(orders.get(), answers)


def _receive(source: BinaryIO, orders: SimpleQueue[Order]) -> None:
    while header := source.read(LENGTH_BYTES):
        orders.put(pickle.loads(source.read(int.from_bytes(header))))  # noqa: S301 - our parent wrote it
    os._exit(0)


def _carry_out(order: Order, answers: BinaryIO) -> None:
    results = order.job.run()
    while True:
        faulthandler.dump_traceback_later(order.timeout_seconds + _GRACE_SECONDS, exit=True)
        message = _next(results)
        faulthandler.cancel_dump_traceback_later()
        _send(answers, message)
        if isinstance(message, End):
            return


def _next(results: Iterator[Any]) -> Result | End:
    try:
        return Result(next(results))
    except StopIteration:
        return End()
    except LLMAssetsError as error:
        return End(error)
    except MemoryError:
        return End(RecordingUnreadable("decoding it needs more memory than a worker may have"))
    except Exception as error:  # whatever a damaged recording brings about stays its own
        return End(RecordingUnreadable(f"cannot be decoded: {type(error).__name__}: {error}"))


def _send(answers: BinaryIO, message: Result | End) -> None:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    answers.write(len(body).to_bytes(LENGTH_BYTES))
    answers.write(body)
    answers.flush()


def _bound_memory(more_bytes: int) -> None:
    """Beyond what is mapped already, which is much for little use: libraries, the threads' stacks."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        mapped = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + more_bytes, mapped + more_bytes))


if __name__ == "__main__":
    main()
