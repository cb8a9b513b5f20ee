"""`llm-assets emulator` as people and scripts start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llm_assets.cli.emulator import emulator_command

COMMAND = [sys.executable, "-c", "from llm_assets.cli.main import main; main()", "emulator", "--port", "0"]


@contextmanager
def running(*options: str, **popen: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True, **popen)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ask(base_url: str) -> Any:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(
        f"{base_url}/chat/completions",
        body,
        {"Authorization": "Bearer x", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_what_it_did(number: signal.Signals) -> None:
    """With --json: one line with the address at the start, one with the audit after Ctrl-C or SIGTERM."""
    with running("--json") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["pid"] == process.pid
        assert ask(facts["base_url"])["system_fingerprint"] == "llm-assets-emulator"
        process.send_signal(number)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert json.loads(output)["models"]["gpt-4o"]["served"] == 1


def test_faults_asked_for_on_the_command_line_happen() -> None:
    """With every request failing by option, the first one does, and the audit counts it."""
    with running("--json", "--fault", "server_error=1") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        with pytest.raises(urllib.error.HTTPError, match="500"):
            ask(facts["base_url"])
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
        assert json.loads(output)["models"]["gpt-4o"]["faulted"] == 1


def test_it_tells_a_person_what_to_type_and_ends_with_a_table(tmp_path: Path) -> None:
    """The export line comes first; the port file holds the port; the table counts what was served."""
    port_file = tmp_path / "new" / "port"
    with running("--port-file", str(port_file), "--latency", "exponential:0.001") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        base_url = f"http://127.0.0.1:{int(port_file.read_text())}/emulator/v1"
        assert "for trying, not for insight" in lines[0]
        assert f"export OPENAI_BASE_URL={base_url}" in lines[1]
        ask(base_url)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    rows = [line.split() for line in output.splitlines() if line.startswith(("gpt-4o", "all"))]
    assert rows == [["gpt-4o", "1", "1", "0", "0", "0", "0", "0"], ["all", "1", "1", "0", "0", "0", "0", "0"]]


def test_it_names_no_key_that_it_refuses() -> None:
    """With a key of one's own, the line to type leaves the key to whoever gave it, and does not show it."""
    with running("--api-key", "right-key") as process:
        assert process.stdout is not None
        line = [process.stdout.readline() for _ in range(2)][1]
    assert "export OPENAI_BASE_URL=" in line
    assert "OPENAI_API_KEY=emulator" not in line
    assert "right-key" not in line


def test_it_ends_with_its_parent() -> None:
    """With --stop-with-stdin, a parent that goes away takes the server with it."""
    with running("--json", "--stop-with-stdin", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=120) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "earthquake=1"], "'earthquake' is none of server_error"),
        (["--fault", "reset=2"], "less than or equal to 1"),
        (["--fault", "reset=0.7", "--fault", "html=0.7"], "more than 1"),
        (["--latency", "soon"], "is not SECONDS"),
        (["--latency", "exponential:1:2"], "is not SECONDS"),
        (["--latency", "-1"], "is not SECONDS"),
        (["--requests-per-minute", "0"], "x>=1"),
    ],
)
def test_wrong_options_are_explained(options: list[str], message: str) -> None:
    """Exit code 2 and what would have been right, before anything starts."""
    result = CliRunner().invoke(emulator_command, options)
    assert result.exit_code == 2
    assert message in result.output


def test_help_shows_what_to_type() -> None:
    """The examples, every kind of fault, and that it is good for trying and not for insight."""
    text = CliRunner().invoke(emulator_command, ["--help"]).output
    assert "export OPENAI_BASE_URL=" in text
    assert "invalid_output" in text
    assert "not for insight" in " ".join(text.split())
