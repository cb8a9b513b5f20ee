"""A live Dagster: `dagster dev` with webserver, daemon and code server, spoken to through GraphQL."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}

# As in the repository, but with a daemon that looks more often, so that a test waits for work only.
QUICK = """
run_coordinator:
  module: dagster._core.run_coordinator.queued_run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
    max_concurrent_runs: 4
telemetry:
  enabled: false
nux:
  enabled: false
"""

# It looks for backfills every thirty seconds, and no setting changes that. Python runs this as it starts.
QUICK_BACKFILLS = """
import sys

if "dagster._daemon" in sys.orig_argv:
    from dagster._daemon import controller

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1
"""


class LiveDagster:
    """This project, served from a folder of its own. Use as a context manager."""

    command: Sequence[str] = (sys.executable, "-m", "dagster", "dev")
    location: Mapping[str, str] = {
        "repositoryLocationName": "llm_assets",
        "repositoryName": "__repository__",
    }

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        shutil.copyfile(REPOSITORY / "workspace.yaml", root / "workspace.yaml")
        (root / "dagster.yaml").write_text(QUICK)
        (root / "at_start").mkdir(exist_ok=True)
        (root / "at_start/sitecustomize.py").write_text(QUICK_BACKFILLS)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LLM_ASSETS_", "OPENAI_", "ANTHROPIC_", "DAGSTER_"))
        }
        places = (str(root / "at_start"), str(REPOSITORY), clean.get("PYTHONPATH"))
        python_path = os.pathsep.join(filter(None, places))
        self._environ = clean | {"DAGSTER_HOME": str(root), "PYTHONPATH": python_path} | dict(environ)

    def __enter__(self) -> LiveDagster:
        self._log = (self.root / "dagster.log").open("wb")
        # A session of its own: ending it ends webserver, daemon, code servers and runs.
        self._process = subprocess.Popen(
            [*self.command, "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=self.root,
            env=self._environ,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self.wait("the webserver", self._answers, 180)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        group = self._process.pid
        os.killpg(group, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._log.close()

    def wait(self, what: str, done: Callable[[], Any], seconds: float = 300) -> Any:
        """Ask until there is an answer. The time is a net under a test, not what it measures."""
        until = time.monotonic() + seconds
        while not (found := done()):
            if self._process.poll() is not None or time.monotonic() > until:
                log = (self.root / "dagster.log").read_text(errors="replace")
                raise AssertionError(f"waited in vain for {what}:\n{log[-5000:]}")
            time.sleep(0.3)
        return found

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        assert "errors" not in said, said["errors"]
        return said["data"]

    def _answers(self) -> bool:
        try:
            found = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        except (OSError, AssertionError):
            return False
        return bool(found["repositoriesOrError"].get("nodes"))

    def launch(self, partition: str, job: str = "audio_insights_daily", **tags: str) -> str:
        """Start a run of a day and return its id."""
        all_tags = {"dagster/partition": partition, **tags}
        answer = self.ask(
            """mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            p={
                "selector": {**self.location, "jobName": job},
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in all_tags.items()]
                },
            },
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def run(self, run_id: str) -> dict[str, Any]:
        return self.ask(
            """query ($id: ID!) { runOrError(runId: $id) { ... on Run {
                runId status startTime endTime tags { key value } } } }""",
            id=run_id,
        )["runOrError"]

    def finished(self, run_id: str) -> str:
        """Wait for the end of a run and return its status."""
        run = self.wait(f"run {run_id}", lambda: (r := self.run(run_id))["status"] in FINISHED and r)
        return run["status"]

    def runs(self) -> list[dict[str, Any]]:
        return self.ask("{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }")[
            "runsOrError"
        ]["results"]

    def materialized(self, asset: str) -> set[str]:
        nodes = self.ask(
            """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                partitionKeysByDimension { partitionKeys }
                assetPartitionStatuses { ... on TimePartitionStatuses {
                    ranges { startKey endKey status } } } } } }""",
            key={"path": asset.split("/")},
        )["assetNodeOrError"]
        keys = nodes["partitionKeysByDimension"][0]["partitionKeys"]
        return {
            key
            for each in nodes["assetPartitionStatuses"]["ranges"]
            if each["status"] == "MATERIALIZED"
            for key in keys
            if each["startKey"] <= key <= each["endKey"]
        }

    def backfill(self, assets: list[str], partitions: list[str]) -> str:
        answer = self.ask(
            """mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            p={
                "assetSelection": [{"path": [asset]} for asset in assets],
                "partitionNames": partitions,
                "fromFailure": False,
            },
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def backfill_status(self, backfill_id: str) -> str:
        return self.ask(
            """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
                ... on PartitionBackfill { status } } }""",
            id=backfill_id,
        )["partitionBackfillOrError"]["status"]

    def terminate(self, run_id: str) -> None:
        answer = self.ask(
            """mutation ($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) {
                __typename ... on TerminateRunFailure { message } } }""",
            id=run_id,
        )["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def reexecute(self, run_id: str, strategy: str = "FROM_FAILURE") -> str:
        answer = self.ask(
            """mutation ($p: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $p) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            p={"parentRunId": run_id, "strategy": strategy},
        )["launchRunReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def tick_schedule(self, name: str) -> list[dict[str, Any]]:
        """What the next tick of a schedule would ask for, evaluated by the code server."""
        tick = self.ask(
            """mutation ($s: ScheduleSelector!, $t: Float) {
                scheduleDryRun(selectorData: $s, timestamp: $t) {
                    ... on DryRunInstigationTick { evaluationResult {
                        error { message } runRequests { runKey tags { key value } } } } } }""",
            s={**self.location, "scheduleName": name},
            t=time.time(),
        )["scheduleDryRun"]["evaluationResult"]
        assert tick["error"] is None, tick["error"]
        return tick["runRequests"] or []

    def start_sensor(self, name: str) -> None:
        answer = self.ask(
            "mutation ($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }",
            s={**self.location, "sensorName": name},
        )["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def sensor_ticks(self, name: str) -> list[dict[str, Any]]:
        """The ticks of a sensor that the daemon has made."""
        return self.ask(
            """query ($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor {
                sensorState { ticks { status skipReason runIds error { message } } } } } }""",
            s={**self.location, "sensorName": name},
        )["sensorOrError"]["sensorState"]["ticks"]


def _free_port() -> int:
    """Not one of those that the system gives away: it is bound only once Dagster has started."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class LiveProject(LiveDagster):
    """A project of `create-dagster`'s layout, served by `dg dev`."""

    def __init__(self, root: Path, environ: Mapping[str, str], location: str) -> None:
        self.root = root
        self.command = (str(Path(sys.executable).parent / "dg"), "dev")
        self.location = {"repositoryLocationName": location, "repositoryName": "__repository__"}
        (Path(environ["DAGSTER_HOME"]) / "dagster.yaml").write_text(QUICK)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = dict(environ)


def tags_of(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}
