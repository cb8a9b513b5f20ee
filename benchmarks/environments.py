"""A virtual environment for each contender, made when it is first needed, and the versions that are in it."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.children import HERE

_FOLDER = HERE / ".venvs"
_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_TOLD = ("lm-deluge", "openai", "aiolimiter", "litellm", "llm-assets", "aiohttp", "httpx", "pydantic")


@dataclass(frozen=True, slots=True)
class Contender:
    """A script and what it needs. Without packages of its own it runs where this command runs.

    `told` is the part of the true limits that it is told under quotas. Who paces itself exactly by the limit,
    but a few milliseconds ahead of the server, is refused all the time; a per cent or two less avoids that.
    """

    name: str
    script: str
    packages: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    told: float = 1.0

    @property
    def command(self) -> list[str | Path]:
        return [self.python, HERE / "contenders" / self.script]

    @property
    def python(self) -> Path:
        if not self.packages:
            return Path(sys.executable)
        return self._home / ("Scripts" if sys.platform == "win32" else "bin") / "python"

    @property
    def _home(self) -> Path:
        return _FOLDER / self.script.removeprefix("use_").removesuffix(".py")

    def prepare(self) -> None:
        """Make the environment, unless it is there with the same packages."""
        if not self.packages:
            return
        mark = self._home / "installed.json"
        wanted = json.dumps(self.packages)
        if mark.exists() and mark.read_text() == wanted:
            return
        venv.create(self._home, with_pip=True, clear=True)
        install = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *self.packages], check=True)
        mark.write_text(wanted)

    def versions(self) -> dict[str, str]:
        """What is installed of the packages that matter."""
        asked = [str(self.python), "-c", _VERSIONS, *_TOLD]
        return json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


_OPENAI = ("openai>=3,<4",)
_DELUGE = ("lm-deluge>=0.0.160,<0.1",)
_LIMITER = ("aiolimiter>=1.2,<2", *_OPENAI)
_ALL = (
    Contender("llm_assets", "use_llm_assets.py", options={"state": "sqlite"}),
    Contender("lm_deluge", "use_lm_deluge.py", _DELUGE, told=0.99),
    Contender("lm_deluge_exact", "use_lm_deluge.py", _DELUGE),
    Contender("aiolimiter", "use_aiolimiter.py", _LIMITER, told=0.98),
    Contender("aiolimiter_exact", "use_aiolimiter.py", _LIMITER),
    Contender(
        "litellm_router", "use_litellm_router.py", ("litellm>=1.100,<2",), options={"all_at_once": True}
    ),
    Contender("openai_semaphore", "use_openai_semaphore.py", _OPENAI),
    Contender("bare_aiohttp", "use_bare_aiohttp.py", ("aiohttp>=3.10,<4", "uvloop>=0.21")),
)
CONTENDERS = {contender.name: contender for contender in _ALL}
