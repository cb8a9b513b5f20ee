"""The three assets, end to end through Dagster, against a real local server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from fake_openai import PLANTED_KEY, FakeOpenAI, write_wav

from llm_assets.definitions import build_definitions, build_resource
from llm_assets.orchestration.jobs import JOB_NAME
from llm_assets.orchestration.settings import Settings

DAY = "2026-03-02"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# An outage is believed at the second attempt, so that the test does not wait.
IMPATIENT = {"max_attempts": 2, "first_wait_seconds": 0.001, "cool_down_seconds": 0}
SERVER_DOWN = (500, {"error": {"message": "down", "type": "server_error", "param": None, "code": None}})
NO_CREDIT = (
    429,
    {
        "error": {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
    },
)
BAD_REQUEST = (
    400,
    {"error": {"message": "bad", "type": "invalid_request_error", "param": None, "code": None}},
)


class Pipeline:
    """The project's definitions with few attempts, run in this process."""

    def __init__(
        self,
        root: Path,
        retry: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **environ: str,
    ) -> None:
        settings = Settings.from_env({"LLM_ASSETS_CHAT_CHAIN": "gpt-6-luna", **environ}, root)
        self.duckdb_path = settings.duckdb_path
        resource = build_resource(settings, retry=retry or {})
        self.defs = build_definitions(settings, resource, retry_policy=None, **(options or {}))
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, day: str | None = DAY, **arguments: Any) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_job_def(JOB_NAME)
        return job.execute_in_process(
            instance=self.instance, partition_key=day, raise_on_error=False, run_config=QUIET, **arguments
        )

    def failure(self, **arguments: Any) -> dg.StepFailureData:
        result = self.run(**arguments)
        assert not result.success
        (failed, *_) = [event for event in result.all_events if event.is_step_failure]
        return failed.step_failure_data

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.duckdb_path, read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def pipeline(project: Path, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED_KEY)
    return Pipeline(project)


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_every_recording_comes_out_as_a_row(pipeline: Pipeline) -> None:
    """Good ones are transcribed and understood; the others are rows with their status, and no call."""
    assert pipeline.run().success
    for table in ("recordings", "transcripts", "insights"):
        found = pipeline.rows(f"SELECT status, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
        assert found == [("ok", 2), ("too_short", 1), ("unreadable", 1)], table
    texts = "SELECT count(*) FROM transcripts WHERE status = 'ok' AND text LIKE 'I want % dollars back.'"
    assert pipeline.rows(texts) == [(2,)]
    assert pipeline.rows("SELECT DISTINCT intent, sentiment.label FROM insights WHERE status = 'ok'") == [
        ("refund", "negative")
    ]
    calls = "SELECT asset, endpoint, count(*), sum(attempts) FROM llm_calls GROUP BY ALL ORDER BY 1"
    assert pipeline.rows(calls) == [("insights", "chat", 2, 2), ("transcripts", "transcription", 2, 2)]


def test_a_second_materialization_asks_nothing(pipeline: Pipeline, server: FakeOpenAI) -> None:
    """Every answer comes from the journal, costs what it cost once and spends nothing."""
    first = pipeline.run()
    asked = len(server.paths)
    second = pipeline.run()
    assert second.success
    assert len(server.paths) == asked == 4
    before, after = metadata_of(first, "transcripts"), metadata_of(second, "transcripts")
    assert (before["journal_hits"], after["journal_hits"]) == (0, 2)
    assert after["cost_usd"] == before["cost_usd"] == before["spent_usd"] > 0
    assert after["spent_usd"] == 0
    assert pipeline.rows("SELECT count(*) FROM insights") == [(4,)]


def test_metadata_and_checks_say_what_happened(pipeline: Pipeline) -> None:
    """Numbers, a preview, the columns; warnings for the rows that need a person."""
    result = pipeline.run()
    metadata = metadata_of(result, "recordings")
    assert (metadata["rows"], metadata["rows_ok"], metadata["rows_unreadable"]) == (4, 2, 1)
    assert metadata["audio_seconds"] == pytest.approx(14.0, abs=0.1)
    assert "good one.wav" in metadata["preview"]
    assert "| good one.wav | ok |" in metadata_of(result, "transcripts")["preview"]
    insights = metadata_of(result, "insights")
    assert (insights["calls"], insights["input_tokens"], insights["output_tokens"]) == (2, 200, 100)
    assert insights["dagster/table_name"].endswith(".main.insights")
    checks = {
        (check.asset_key.path[-1], check.check_name): check for check in result.get_asset_check_evaluations()
    }
    assert {key for key, check in checks.items() if not check.passed} == {("recordings", "usable_rows")}
    of_answers = {
        "row_per_recording",
        "nothing_failed",
        "turned_down",
        "fallback_share",
        "budget_use",
        "quota_use",
    }
    assert {name for asset, name in checks if asset == "insights"} == of_answers
    assert {name for asset, name in checks if asset == "transcripts"} == of_answers | {"transcript_length"}
    lineage = insights["dagster/column_lineage"].deps_by_column
    assert [(dep.asset_key.path[-1], dep.column_name) for dep in lineage["intent"]] == [
        ("transcripts", "text")
    ]
    assert "data:image/svg+xml;base64," in insights["run.chart"]
    assert all(check.severity == dg.AssetCheckSeverity.WARN for check in checks.values())


@pytest.mark.parametrize(("days_a_run", "partition"), [(1, DAY), (7, None)])
def test_checks_name_their_day_where_every_run_is_of_one(
    pipeline: Pipeline, project: Path, days_a_run: int, partition: str | None
) -> None:
    """Of a run of several days Dagster would keep no result by day."""
    by_days = Pipeline(project, options={"days_per_backfill_run": days_a_run})
    checks = by_days.run().get_asset_check_evaluations()
    assert len(checks) == 14
    assert {check.partition for check in checks} == {partition}


def test_a_day_without_recordings_is_an_empty_partition(pipeline: Pipeline, server: FakeOpenAI) -> None:
    """No failure and no call; the note is in the metadata."""
    result = pipeline.run("2026-03-09")
    assert result.success
    assert server.paths == []
    assert "No recordings" in metadata_of(result, "insights")["preview"]
    assert pipeline.rows("SELECT count(*) FROM recordings") == [(0,)]


def test_a_run_over_several_days_reports_each_day(pipeline: Pipeline, project: Path) -> None:
    """One run, a row in its own day, numbers by day."""
    write_wav(project / "data/recordings/2026-03-04/later.wav", 8, 500)
    tags = {
        "dagster/asset_partition_range_start": "2026-03-02",
        "dagster/asset_partition_range_end": "2026-03-04",
    }
    result = pipeline.run(None, tags=tags)
    assert result.success
    by_day = {
        event.partition: event.metadata["rows"].value
        for event in result.asset_materializations_for_node("insights")
    }
    assert by_day == {"2026-03-02": 4, "2026-03-03": 0, "2026-03-04": 1}
    assert pipeline.rows("SELECT partition_date::VARCHAR, count(*) FROM insights GROUP BY 1 ORDER BY 1") == [
        ("2026-03-02", 4),
        ("2026-03-04", 1),
    ]


def test_the_same_content_twice_is_asked_once_and_is_two_rows(
    pipeline: Pipeline, project: Path, server: FakeOpenAI
) -> None:
    """A copy of a recording costs nothing and is not lost."""
    day = project / "data/recordings/2026-03-03"
    write_wav(day / "a.wav", 6)
    write_wav(day / "copy of a.wav", 6)
    assert pipeline.run("2026-03-03").success
    assert len(server.paths) == 2
    assert pipeline.rows("SELECT count(*) FROM transcripts") == [(2,)]
    assert pipeline.rows("SELECT count(*) FROM insights WHERE status = 'ok'") == [(2,)]
    assert pipeline.rows("SELECT count(*) FROM segments") == [(1,)]
    for table in ("transcripts", "insights"):
        ((of_calls,),) = pipeline.rows(f"SELECT sum(cost_usd) FROM llm_calls WHERE asset = '{table}'")
        costs = [cost for (cost,) in pipeline.rows(f"SELECT cost_usd FROM {table} ORDER BY 1")]
        assert costs == [0, of_calls]
        assert of_calls > 0
    assert pipeline.rows("SELECT input_tokens > 0 FROM insights ORDER BY 1") == [(False,), (True,)]


def test_without_key_and_server_one_error_before_any_work(
    pipeline: Pipeline, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure names the variable and the emulator, and is not retried."""
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    failure = Pipeline(project).failure()
    text = str(failure)
    assert "OPENAI_API_KEY" in text
    assert "llm-assets emulator" in text


def test_an_empty_account_stops_the_run_at_once(pipeline: Pipeline, server: FakeOpenAI) -> None:
    """One clear failure instead of one per row; the partition is left alone."""
    server.fail_always = NO_CREDIT
    failure = pipeline.failure()
    assert "QuotaExhausted" in str(failure)
    assert server.count("transcriptions") <= 2
    assert pipeline.rows("SELECT count(*) FROM transcripts") == [(0,)]


def test_a_spent_budget_stops_the_run_and_the_next_one_goes_on(
    pipeline: Pipeline, project: Path, server: FakeOpenAI
) -> None:
    """No call is made past the cap; what was paid for is not asked again once there is money."""
    capped = Pipeline(project, LLM_ASSETS_BUDGET_RUN_USD="0.0008")
    failure = str(capped.failure())
    assert "BudgetExceeded" in failure
    assert "each run has a budget of its own" in failure
    assert "each day" not in failure
    assert server.count("transcriptions") == 1
    assert pipeline.run().success
    assert server.count("transcriptions") == 2


def not_found(code: str, message: str) -> tuple[int, dict[str, Any]]:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return 404, {"error": error}


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (not_found("model_not_found", "The model does not exist"), "gpt-nope is no model of the server"),
        (not_found("unknown_url", "Invalid URL"), "ends in /v1 for OpenAI-compatible servers"),
    ],
    ids=["model", "address"],
)
def test_what_nobody_serves_fails_the_run_and_leaves_the_day(
    pipeline: Pipeline, project: Path, server: FakeOpenAI, failure: tuple[int, dict[str, Any]], words: str
) -> None:
    """A misspelt setting does not replace a good day with rows that failed, however few there are."""
    assert pipeline.run().success
    before = pipeline.rows("SELECT * FROM insights ORDER BY ALL")
    server.fail_always = failure
    misspelt = Pipeline(project, LLM_ASSETS_CHAT_CHAIN="gpt-nope")
    text = str(misspelt.failure())
    assert "NotServed" in text
    assert words in text
    assert pipeline.rows("SELECT * FROM insights ORDER BY ALL") == before
    server.fail_always = None
    assert misspelt.run().success


def test_a_misspelt_first_model_leaves_the_work_to_the_next(
    pipeline: Pipeline, project: Path, server: FakeOpenAI
) -> None:
    """With a chain it is a fallback, as every other failure of one model."""
    chain = Pipeline(project, LLM_ASSETS_TRANSCRIPTION_CHAIN="gpt-nope,gpt-transcribe")
    server.failures = [not_found("model_not_found", "The model does not exist")]
    assert chain.run().success
    assert chain.rows("SELECT count(*) FROM insights WHERE status = 'ok'") == [(2,)]


def test_a_budget_that_bears_no_call_fails_the_run(
    pipeline: Pipeline, project: Path, server: FakeOpenAI
) -> None:
    """Where each row is dearer than the whole budget it is the budget, and the day stays as it was."""
    assert pipeline.run().success
    before = pipeline.rows("SELECT * FROM insights ORDER BY ALL")
    asked = len(server.paths)
    poor = Pipeline(project, LLM_ASSETS_BUDGET_RUN_USD="0.0000001", LLM_ASSETS_CHAT_CHAIN="gpt-6.1-sol")
    text = str(poor.failure())
    assert "none of the insights could be asked for: the request may cost up to" in text
    assert "the whole budget usd_per_run is" in text
    assert len(server.paths) == asked
    assert pipeline.rows("SELECT * FROM insights ORDER BY ALL") == before


def test_an_outage_keeps_what_was_paid_for_and_the_old_partition(
    pipeline: Pipeline, server: FakeOpenAI, project: Path
) -> None:
    """What came is in the journal, the run fails, the partition stays; the next run asks only the rest."""
    assert pipeline.run().success
    before = pipeline.rows("SELECT * FROM transcripts ORDER BY ALL")
    write_wav(project / "data/recordings" / DAY / "another.wav", 9, 700)
    flaky = Pipeline(project, IMPATIENT, LLM_ASSETS_TRANSCRIPTION_CHAIN="gpt-transcribe")
    server.fail_always = SERVER_DOWN
    failure = flaky.failure()
    assert "left as it was" in str(failure)
    assert pipeline.rows("SELECT * FROM transcripts ORDER BY ALL") == before
    server.fail_always = None
    asked = len(server.paths)
    assert flaky.run().success
    assert len(server.paths) == asked + 2
    assert pipeline.rows("SELECT count(*) FROM transcripts WHERE status = 'ok'") == [(3,)]


def test_a_request_that_can_never_work_is_a_row(
    project: Path, server: FakeOpenAI, pipeline: Pipeline
) -> None:
    """One bad request does not stop the others: its row says failed, with the reason."""
    server.failures = [BAD_REQUEST]
    single = Pipeline(project, LLM_ASSETS_TRANSCRIPTION_CHAIN="gpt-transcribe")
    assert single.run().success
    rows = single.rows("SELECT status, count(*) FROM insights GROUP BY 1 ORDER BY 1")
    assert rows == [("failed", 1), ("ok", 1), ("too_short", 1), ("unreadable", 1)]


def test_no_key_anywhere(pipeline: Pipeline, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A planted key is sent to the server and is in no event, log, snapshot, table or state file."""
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster._serdes import serialize_value

    snapshot = serialize_value(RepositorySnap.from_def(pipeline.defs.get_repository_def()))
    assert "OPENAI_API_KEY" in snapshot
    result = pipeline.run()
    records = pipeline.instance.all_logs(result.run_id)
    said = snapshot + "".join(serialize_value(record) for record in records) + "".join(capfd.readouterr())
    assert PLANTED_KEY not in said
    kept = b"".join(path.read_bytes() for path in (project / "data").rglob("*") if path.is_file())
    assert PLANTED_KEY.encode() not in kept
