"""Jobs that do to a worker what damaged recordings do to decoders."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Say:
    """Give some results and the process they come from."""

    count: int = 1
    size_bytes: int = 0

    def run(self) -> Iterator[tuple[int, int, bytes]]:
        for number in range(self.count):
            yield number, os.getpid(), bytes(self.size_bytes)


@dataclass(frozen=True)
class NoteAndSay:
    """As `Say`, with a line in a file for each result made."""

    file: Path
    count: int
    size_bytes: int

    def run(self) -> Iterator[bytes]:
        for _ in range(self.count):
            with self.file.open("a") as notes:
                notes.write("made\n")
            yield bytes(self.size_bytes)


@dataclass(frozen=True)
class Crash:
    """Write to no man's land after some results."""

    results: int = 0

    def run(self) -> Iterator[int]:
        yield from range(self.results)
        ctypes.string_at(0)


@dataclass(frozen=True)
class CrashSlowly:
    """The line to the parent is closed a while before the process is gone, as on a busy machine."""

    def run(self) -> Iterator[int]:
        socket.socket(fileno=os.dup(0)).shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        ctypes.string_at(0)
        yield 0


@dataclass(frozen=True)
class CrashOnce:
    """Die the first time, half way."""

    file: Path

    def run(self) -> Iterator[int]:
        yield from range(3)
        if not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from range(3, 6)


@dataclass(frozen=True)
class Hang:
    """In C, holding the interpreter's lock, or in Python."""

    in_c: bool = True

    def run(self) -> Iterator[int]:
        yield os.getpid()
        if self.in_c:
            ctypes.PyDLL(None).sleep(600)
        time.sleep(600)


@dataclass(frozen=True)
class EatMemory:
    """More and more, and all of it used."""

    def run(self) -> Iterator[int]:
        eaten: list[bytes] = []
        while True:
            eaten.append(os.urandom(1 << 24))
            if len(eaten) > 1000:
                yield 0


@dataclass(frozen=True)
class Raise:
    """An error of the given kind."""

    error: Exception

    def run(self) -> Iterator[int]:
        raise self.error
        yield 0
