"""What stands in a component's YAML of recordings, schedule, sensor and checks, and the values it becomes.

`dg` makes the schema from these classes, so a wrong field is reported with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from llm_assets.orchestration.checks import USUAL_LIMITS, CheckLimits
from llm_assets.orchestration.component_templates import Templated
from llm_assets.orchestration.schedule import DailyRhythm
from llm_assets.orchestration.sensor import LateRecordings
from llm_assets.recordings.source import FOLDER_PER_DAY, Channels, EncodingName, RecordingSource


def described(description: str, examples: list[Any] | None = None) -> Any:
    """What an editor shows of a field."""
    return dg.Resolver.default(description=description, examples=examples)


class HintFields(Templated):
    """What a model should know before it listens."""

    language: Annotated[str | None, described("ISO 639-1 code.", ["de"])] = None
    prompt: Annotated[
        str | None, described("A sentence about the recordings.", ["Calls to a bicycle shop."])
    ] = None
    keywords: Annotated[list[str], described("Names and terms to expect.", [["Rohloff", "derailleur"]])] = []


class RecordingFields(Templated):
    """Where recordings come from and how they are heard, where a root alone does not say it."""

    root: Annotated[str, described("A folder or a URL.", ["data/recordings", "s3://bucket/calls"])]
    pattern: Annotated[
        str, described("Where below the root a day's recordings are.", ["{date:%Y/%m/%d}/*.mp3"])
    ] = FOLDER_PER_DAY
    timezone: Annotated[
        str | None, described("Of dates in the pattern; default: the partitions'.", ["UTC"])
    ] = None
    storage_options: Annotated[
        dict[str, Any],
        described(
            "For the file system behind a URL. No keys: those belong into its own environment.",
            [{"endpoint_url": "http://minio:9000"}],
        ),
    ] = {}
    minimum_seconds: Annotated[
        float, Field(ge=0), described("Shorter recordings are rows without a call.", [10])
    ] = 5.0
    settle_seconds: Annotated[
        float, Field(ge=0), described("What was modified more recently is left for later.", [60])
    ] = 10.0
    channels: Annotated[Channels, described("'split' hears each channel on its own.", ["split"])] = "mix"
    speakers: Annotated[
        list[str], described("Who is on the channels, from the left.", [["agent", "customer"]])
    ] = []
    encoding: Annotated[
        EncodingName, described("For recordings that no provider takes as they are.", ["flac"])
    ] = "opus"
    target_seconds: Annotated[float, Field(gt=0), described("About how long a chunk of audio is.", [600])] = (
        300.0
    )
    sidecars: Annotated[
        bool, described("Whether to look for hints in files beside the recordings.", [False])
    ] = True
    longest_silence_seconds: Annotated[
        float | None,
        Field(ge=1, le=10),
        described("Of longer ones the inside is left out where audio is encoded again; null keeps it.", [4]),
    ] = 2.0
    continue_prompt: Annotated[
        bool, described("Each chunk is told how the one before ended, for whisper; one by one.", [True])
    ] = False
    hints: Annotated[
        HintFields | None, described("What a model should know before it listens.", [{"language": "de"}])
    ] = None

    def source(self, project_root: Path) -> RecordingSource:
        """The value all stages are given, a path taken from the project's root. Raises ConfigurationError."""
        given: dict[str, Any] = self.model_dump(exclude_none=True)
        given["root"] = located(project_root, self.root)
        given["longest_silence_seconds"] = self.longest_silence_seconds
        return RecordingSource(**given)


class ScheduleFields(Templated):
    """When the daily run comes. The schedule is stopped until somebody starts it."""

    hour: Annotated[int, Field(ge=0, le=23), described("Hour of the day, in the time zone.", [5])] = 3
    catch_up_days: Annotated[
        int, Field(ge=0), described("How many days before yesterday are made up for if missing.", [30])
    ] = 7

    def rhythm(self) -> DailyRhythm:
        return DailyRhythm(hour=self.hour, catch_up_days=self.catch_up_days)


class LateFields(Templated):
    """Which days the sensor looks at. The sensor is stopped until somebody starts it."""

    days: Annotated[int, Field(ge=1), described("The latest days that are looked at.", [30])] = 14
    every_seconds: Annotated[int, Field(ge=1), described("How long between two looks.", [3600])] = 600

    def late(self) -> LateRecordings:
        return LateRecordings(days=self.days, every_seconds=self.every_seconds)


class CheckFields(Templated):
    """What is still fine. Shares are of 1."""

    fallback_share: Annotated[
        float, Field(ge=0, le=1), described("Rows that another than the first model answered.", [0.2])
    ] = USUAL_LIMITS.fallback_share
    turned_down_share: Annotated[
        float, Field(ge=0, le=1), described("Answers that were refused or of no use.", [0.05])
    ] = USUAL_LIMITS.turned_down_share
    budget_share: Annotated[
        float, Field(gt=0, le=1), described("Of the budgets, spent by the run and by its day.", [0.5])
    ] = USUAL_LIMITS.budget_share
    quota_share: Annotated[
        float, Field(gt=0, le=1), described("Of the provider's limits per day, used up.", [0.95])
    ] = USUAL_LIMITS.quota_share
    errors: Annotated[
        list[str], described("Checks whose failure is an error; else a warning.", [["nothing_failed"]])
    ] = []

    def limits(self) -> CheckLimits:
        """Raises Pydantic's ValidationError."""
        return CheckLimits.model_validate(self.model_dump())


def located(project_root: Path, place: str) -> str:
    """A path from the project's root, wherever a process runs; a URL as it is."""
    return place if "://" in place else str(project_root / Path(place).expanduser())
