"""Several extractors over the same transcripts: each has its asset, its table, its chain and its plan."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import duckdb
import pytest
from pydantic import BaseModel

from llm_assets import DuckDBFrameIOManager, OpenAIResource, build_insights_asset
from llm_assets.emulator import Emulator, EmulatorConfig
from llm_assets.errors import ConfigurationError, OutputModelError
from llm_assets.llm.client import LLMClient
from llm_assets.orchestration.insights_plan import InsightsPlan
from llm_assets.orchestration.rows import rows_of, transcript_row
from llm_assets.records import RowStatus, Segment, Transcript
from llm_assets.warehouse.frames import frame_of
from llm_assets.warehouse.tables import TRANSCRIPTS

DAYS = dg.DailyPartitionsDefinition("2026-03-02")
DAY = "2026-03-02"
CALLS = {
    "a": ["How can I help you?", "I want a refund, the phone is broken. This is terrible."],
    "b": ["How can I help you?", "I just want to say that your service is excellent."],
    "c": [],
}


class Feeling(BaseModel):
    """How the customer felt."""

    sentiment: Literal["positive", "negative"]


class Reason(BaseModel):
    """Why the customer called."""

    intent: Literal["refund", "praise", "other"]
    words_by_topic: dict[str, int]


def transcript(name: str, lines: list[str]) -> Transcript:
    segments = tuple(
        Segment(segment_index=at, start_seconds=at, end_seconds=at + 1, text=text)
        for at, text in enumerate(lines)
    )
    return Transcript(recording_id=name, status=RowStatus.OK, text=" ".join(lines), segments=segments)


@dg.asset(partitions_def=DAYS, io_manager_key="io_manager")
def transcripts() -> Any:
    """Three calls, one of them without a word."""
    rows = [
        transcript_row(date(2026, 3, 2), transcript(name, lines), (), "run") for name, lines in CALLS.items()
    ]
    return frame_of(TRANSCRIPTS, rows_of(TRANSCRIPTS, rows))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """In a thread of its own, as another program would be."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = Emulator(EmulatorConfig(models=("small", "large"), context_tokens={"small": 8_192}))
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    yield server
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Project:
    """Assets of insights over the three transcripts, materialized in this process."""

    def __init__(self, folder: Path, server: Emulator) -> None:
        self.path = str(folder / "tables.duckdb")
        self.resources: dict[str, Any] = {
            "openai": OpenAIResource(
                base_url=server.base_url, chat=["gpt-6-luna"], state=str(folder / "state.sqlite")
            ),
            "io_manager": DuckDBFrameIOManager(path=self.path),
        }

    def run(self, *assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
        return dg.materialize([transcripts, *assets], partition_key=DAY, resources=self.resources)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.path, read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Project:
    return Project(tmp_path, emulator)


def plan_of(result: dg.ExecuteInProcessResult, asset: str) -> tuple[Any, ...]:
    """Rows to ask, rows answered, rows without a model; as the metadata of the materialization says."""
    (event,) = result.asset_materializations_for_node(asset)
    return tuple(
        event.metadata[f"run.plan.rows_{name}"].value for name in ("to_ask", "answered", "without_model")
    )


def test_each_extractor_has_its_table_and_its_chain(project: Project) -> None:
    """Two models side by side, one with a chain of its own; the calls know whose they are."""
    feelings = build_insights_asset("feelings", Feeling, "Look.", DAYS)
    reasons = build_insights_asset("reasons", Reason, "Look.", DAYS, chain=["large"])
    assert project.run(feelings, reasons).success
    assert project.rows("SELECT recording_id, sentiment, status FROM feelings ORDER BY 1") == [
        ("a", "negative", "ok"),
        ("b", "positive", "ok"),
        ("c", None, "too_short"),
    ]
    assert project.rows("SELECT intent, model FROM reasons WHERE status = 'ok' ORDER BY 1") == [
        ("praise", "large"),
        ("refund", "large"),
    ]
    calls = "SELECT asset, model, count(*) FROM llm_calls GROUP BY ALL ORDER BY ALL"
    assert project.rows(calls) == [("feelings", "gpt-6-luna", 2), ("reasons", "large", 2)]


def at(folder: Path, place: str) -> str:
    """A file's path or a URL in this folder."""
    return place.replace("://", f"://{folder}/") if "://" in place else str(folder / place)


class Felt(BaseModel):
    """How the customer felt, as a number."""

    sentiment: int


@pytest.mark.parametrize("place", ["tables.duckdb", "file://tables"])
def test_what_could_not_be_kept_is_not_asked_for(
    project: Project, emulator: Emulator, tmp_path: Path, place: str
) -> None:
    """Another type under a column's name is refused before the first call, with the ways out."""
    project.resources["io_manager"] = DuckDBFrameIOManager(path=at(tmp_path, place))
    assert project.run(build_insights_asset("feelings", Feeling, "Look.", DAYS)).success
    served = emulator.audit.served
    with pytest.raises(dg.Failure, match=r"llm-assets migrate --drop-column feelings\.sentiment") as refused:
        project.run(build_insights_asset("feelings", Felt, "Look.", DAYS))
    assert not refused.value.allow_retries
    assert emulator.audit.served == served
    assert project.run(build_insights_asset("felt", Felt, "Look.", DAYS)).success


@pytest.mark.parametrize("place", ["tables.duckdb", "file://tables"])
def test_another_assets_table_is_refused_before_it_is_asked_for(
    project: Project, emulator: Emulator, tmp_path: Path, place: str
) -> None:
    """Two instances pointed at one place: the second pays nothing for rows that it could not write."""
    project.resources["io_manager"] = DuckDBFrameIOManager(path=at(tmp_path, place))
    assert project.run(build_insights_asset("feelings", Feeling, "Look.", DAYS)).success
    served = emulator.audit.served
    others = build_insights_asset(
        "feelings", Reason, "Look.", DAYS, prefix="sales", io_manager_key="io_manager"
    )
    with pytest.raises(dg.Failure, match="is written by the asset 'feelings'"):
        project.run(others)
    assert emulator.audit.served == served


def test_an_io_manager_of_another_kind_is_not_asked(project: Project) -> None:
    """What Dagster's own keeps, it keeps."""
    project.resources["io_manager"] = dg.mem_io_manager
    assert project.run(build_insights_asset("feelings", Feeling, "Look.", DAYS)).success


def test_a_change_asks_only_what_it_changes(project: Project, emulator: Emulator) -> None:
    """The plan says so before the first call: all new, all known, and new again for one of the two."""
    feelings = build_insights_asset("feelings", Feeling, "Look.", DAYS)
    reasons = build_insights_asset("reasons", Reason, "Look.", DAYS)
    first = project.run(feelings, reasons)
    assert plan_of(first, "feelings") == plan_of(first, "reasons") == (2, 0, 1)
    changed = build_insights_asset("reasons", Reason, "Look twice.", DAYS)
    second = project.run(feelings, changed)
    assert plan_of(second, "feelings") == (0, 2, 1)
    assert plan_of(second, "reasons") == (2, 0, 1)
    assert emulator.audit.served == 6


def test_the_plan_is_an_event_before_the_first_answer(project: Project) -> None:
    """An observation with the numbers comes before the materialization, and costs are in it."""
    result = project.run(build_insights_asset("feelings", Feeling, "Look.", DAYS))
    (observation,) = result.asset_observations_for_node("feelings")
    assert observation.partition == DAY
    assert "of 3 rows 2 will be asked of gpt-6-luna" in str(observation.description)
    metadata = observation.metadata
    assert 0 < metadata["plan.cost_usd_least"].value < metadata["plan.cost_usd_most"].value


def test_the_plan_comes_before_the_first_call(
    project: Project, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is asked when it is told, also after a change of prompt; what it costs is in it."""
    served, announce = list[int](), InsightsPlan.announce

    async def announced(plan: InsightsPlan, client: LLMClient) -> None:
        await announce(plan, client)
        served.append(emulator.audit.served)

    monkeypatch.setattr(InsightsPlan, "announce", announced)
    for prompt in ("Look.", "Look twice."):
        result = project.run(build_insights_asset("feelings", Feeling, prompt, DAYS))
        (observation,) = result.asset_observations_for_node("feelings")
        assert observation.metadata["plan.rows_to_ask"].value == 2
        assert observation.metadata["plan.cost_usd_most"].value > 0
    assert served == [0, 2]


@dg.asset(name="transcripts", partitions_def=DAYS, io_manager_key="io_manager")
def long_transcripts() -> Any:
    """A short call, one of hours, one of hours with a part that is refused, and one without a word."""
    hours = CALLS["a"] * 2_000
    calls = {"short": CALLS["b"], "hours": hours, "none": []}
    calls["refused"] = [*hours, "[emulator:refusal] Bye.", *hours[:10]]
    day = date(2026, 3, 2)
    rows = [transcript_row(day, transcript(name, lines), (), "run") for name, lines in calls.items()]
    return frame_of(TRANSCRIPTS, rows_of(TRANSCRIPTS, rows))


def test_calls_of_hours_are_rows_like_all_others(project: Project, emulator: Emulator) -> None:
    """Every recording has its row, and the calls for the parts add up to what the row says."""
    chain = [{"model": "small", "context_window": 8_192}]
    feelings = build_insights_asset("feelings", Feeling, "Look.", DAYS, chain=chain, max_output_tokens=1_000)
    result = dg.materialize([long_transcripts, feelings], partition_key=DAY, resources=project.resources)
    assert result.success
    (event,) = result.asset_materializations_for_node("feelings")
    assert event.metadata["run.plan.rows_in_parts"].value == 2
    rows = project.rows("SELECT recording_id, status, sentiment, input_tokens FROM feelings ORDER BY 1")
    assert [row[:3] for row in rows] == [
        ("hours", "ok", "negative"),
        ("none", "too_short", None),
        ("refused", "refused", None),
        ("short", "ok", "positive"),
    ]
    calls = "SELECT recording_id, sum(input_tokens), count(*) FROM llm_calls GROUP BY ALL ORDER BY 1"
    asked = {name: (tokens, number) for name, tokens, number in project.rows(calls)}
    assert {row[0]: row[3] for row in rows if row[0] in asked} == {
        name: each[0] for name, each in asked.items()
    }
    assert asked["short"][1] == 1
    assert asked["hours"][1] > 8
    quality = "SELECT recordings, valid_at_once, refused FROM model_quality WHERE asset = 'feelings'"
    assert project.rows(quality) == [(3, 2, 1)]
    assert emulator.audit.rejected == 0


def test_a_call_of_hours_that_is_answered_is_not_planned_again(project: Project, emulator: Emulator) -> None:
    """Its parts and their merges are in the journal; so is what one that was refused came to."""
    chain = [{"model": "small", "context_window": 8_192}]
    feelings = build_insights_asset("feelings", Feeling, "Look.", DAYS, chain=chain, max_output_tokens=1_000)

    def planned() -> tuple[int, ...]:
        result = dg.materialize([long_transcripts, feelings], partition_key=DAY, resources=project.resources)
        (event,) = result.asset_materializations_for_node("feelings")
        names = ("run.plan.rows_answered", "run.plan.rows_to_ask", "run.plan.tokens_most")
        return tuple(event.metadata[name].value for name in names)

    new = planned()
    assert new[:2] == (0, 3)
    served = emulator.audit.served
    again = planned()
    assert emulator.audit.served == served
    assert again == (3, 0, 0)


@dg.asset(name="transcripts", partitions_def=DAYS, io_manager_key="io_manager")
def repeated_transcripts() -> Any:
    """Two recordings of the same content, and one without a word twice."""
    day = date(2026, 3, 2)
    calls = [("a", CALLS["a"]), ("b", CALLS["b"]), ("a", CALLS["a"]), ("c", []), ("c", [])]
    rows = [transcript_row(day, transcript(name, lines), (), "run") for name, lines in calls]
    return frame_of(TRANSCRIPTS, rows_of(TRANSCRIPTS, rows))


def test_a_plan_counts_the_rows_that_the_table_will_have(project: Project) -> None:
    """The same content is asked once, and is as many rows as there are recordings of it."""
    feelings = build_insights_asset("feelings", Feeling, "Look.", DAYS)
    result = dg.materialize([repeated_transcripts, feelings], partition_key=DAY, resources=project.resources)
    (observation,) = result.asset_observations_for_node("feelings")
    assert "of 5 rows 2 will be asked" in str(observation.description)
    assert "1 have the content of another row" in str(observation.description)
    assert plan_of(result, "feelings") == (2, 0, 2)
    assert project.rows("SELECT count(*) FROM feelings") == [(5,)]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (
            {"output_model": type("Bad", (BaseModel,), {"__annotations__": {"x": Any}})},
            OutputModelError,
            "Bad.x",
        ),
        ({"prompt": " "}, ConfigurationError, "empty prompt"),
        ({"chain": ["cached"]}, ConfigurationError, "chain of the extractor"),
        ({"chain": []}, ConfigurationError, "names no model"),
        ({"chain": ["cached", "small"]}, ConfigurationError, "last resort"),
        ({"chain": [{"model": "small", "colour": "red"}]}, ConfigurationError, "chain of the extractor"),
        ({"repairs": 9}, ConfigurationError, "from 0 to 5"),
        ({"name": "transcripts"}, ConfigurationError, "cannot be called"),
        (
            {"output_model": type("Clash", (BaseModel,), {"__annotations__": {"status": str}})},
            ConfigurationError,
            "status",
        ),
    ],
)
def test_mistakes_are_said_when_the_asset_is_built(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    """Nothing has to run to find them."""
    given: dict[str, Any] = {"name": "feelings", "output_model": Feeling, "prompt": "Look."}
    with pytest.raises(error, match=said):
        build_insights_asset(**given | arguments, partitions=DAYS)


def test_the_code_version_follows_prompt_schema_and_chain() -> None:
    """What is asked anew is what the UI shows as changed, and a key in a chain changes nothing."""

    def version(**more: Any) -> str | None:
        given: dict[str, Any] = {"name": "feelings", "output_model": Feeling, "prompt": "Look."}
        asset = build_insights_asset(**given | more, partitions=DAYS)
        return asset.code_versions_by_key[asset.key]

    versions = [version(), version(prompt="See."), version(output_model=Reason), version(chain=["small"])]
    assert len(set(versions)) == 4
    keyed = version(chain=[{"model": "small", "api_key": "secret"}])
    assert keyed == version(chain=[{"model": "small"}])
