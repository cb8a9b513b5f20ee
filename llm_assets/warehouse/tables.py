"""What the tables are: names, types and the meaning of every column. Plain values, no DuckDB.

What a reader would get wrong: `cost_usd` is what an answer cost when it was paid for, also in a row
that came from the journal. What a run added to the bill is the sum over `llm_calls` where `from_journal` is
false. Of several rows of the same content in a day, one has the cost and the others 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from llm_assets.errors import ConfigurationError

VIEW_NAMES = ("daily_cost", "model_quality", "fallback_rate", "conversation")

# Exact, because money is added up: a sum of binary fractions drifts, and a budget is compared with it.
# Nine decimals, because the cheapest things sold are single tokens at $0.01 a million (1e-8 USD); nine
# digits before the point fit into the same eight bytes. A price per second of audio has no last decimal
# (0.0045 / 60), so these columns, and only these, are rounded to the nearest billionth of a dollar.
USD = "DECIMAL(18,9)"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `description` becomes its comment in the database.

    `required`: every row has a value. `optional`: a frame may come without the column, and its rows are
    NULL there. `rounded`: a DECIMAL is rounded to its scale instead of being refused.
    """

    name: str
    sql_type: str
    description: str
    required: bool = False
    optional: bool = False
    rounded: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """Rows of another table that travel in the parent's frame: a column of JSON text, a list of objects.

    As text they pass through any IO manager that stores a data frame. `partition_date`, `recording_id`
    and, when `shared`, `asset` are filled in from the parent. A `shared` table takes rows of several
    parents, told apart by `asset`, the parent's table name. With `read_back` the rows belong to the
    recording and return in the parent's frame; without it they are only kept for queries.
    """

    table: Table
    shared: bool = False
    read_back: bool = False
    optional: bool = False

    @property
    def column(self) -> str:
        """The name of the column in the parent's frame."""
        return self.table.name


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its columns in order and the child tables that its frame carries.

    Raises ConfigurationError when two columns have the same name, as DuckDB sees it: in any case.
    """

    name: str
    columns: tuple[Column, ...]
    children: tuple[Child, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in [column.name for column in self.columns] + [child.column for child in self.children]:
            if name.lower() in seen:
                raise ConfigurationError(
                    f'table "{self.name}" would have two columns "{name}": rename the field of the output '
                    "model, since these tables have columns of fixed names and DuckDB ignores case"
                )
            seen.add(name.lower())


_KEYS = (
    Column("partition_date", "DATE", "Day of the recording, the partition it belongs to.", required=True),
    Column(
        "recording_id",
        "VARCHAR",
        "First 20 hexadecimal digits of the SHA-256 of the recording's bytes: same content, same id.",
        required=True,
    ),
)

_STATUS = Column(
    "status",
    "VARCHAR",
    "What became of the recording here: ok, too_short, unreadable, refused, invalid_output or failed.",
    required=True,
)
_ERROR = Column("error", "VARCHAR", "Why there is no result, NULL when status is ok.", optional=True)

_ANSWERED_BY = (
    Column("model", "VARCHAR", "Model that answered, NULL when none did.", optional=True),
    Column("provider", "VARCHAR", "Provider of that model.", optional=True),
    Column(
        "fallback_reason",
        "VARCHAR",
        "Why an earlier model of the chain did not answer, NULL when the first one did.",
        optional=True,
    ),
    Column(
        "from_journal",
        "BOOLEAN",
        "True when every answer had been paid for by an earlier run.",
        optional=True,
    ),
)
_COST = Column(
    "cost_usd",
    USD,
    "What the answers cost when they were paid for, in US dollars to the nearest billionth; 0 for a second "
    "recording with the same content on the same day; NULL when a price is unknown.",
    optional=True,
    rounded=True,
)

RECORDINGS = Table(
    "recordings",
    (
        *_KEYS,
        Column("path", "VARCHAR", "Where the recording was found: a path or a URL.", required=True),
        Column("file_name", "VARCHAR", "Last part of the path.", required=True),
        Column("size_bytes", "BIGINT", "Size of the recording in bytes."),
        Column("sha256", "VARCHAR", "SHA-256 of the recording's bytes, hexadecimal."),
        Column("format", "VARCHAR", "Container format, NULL when it cannot be told.", optional=True),
        Column("codec", "VARCHAR", "Audio codec, NULL when it cannot be told.", optional=True),
        Column("channels", "BIGINT", "Number of audio channels.", optional=True),
        Column("sample_rate", "BIGINT", "Samples per second of one channel.", optional=True),
        Column("duration_seconds", "DOUBLE", "Length of the recording in seconds.", optional=True),
        _STATUS,
        _ERROR,
    ),
    description="One row per recording that was found, whether it can be used or not.",
)

SEGMENTS = Table(
    "segments",
    (
        *_KEYS,
        Column("segment_index", "BIGINT", "Position in reading order, from 0.", required=True),
        Column("start_seconds", "DOUBLE", "Start of the speech, from the recording's start."),
        Column("end_seconds", "DOUBLE", "End of the speech, from the recording's start."),
        Column("channel", "BIGINT", "Audio channel it was heard on, NULL when channels were mixed."),
        Column("speaker", "VARCHAR", "Who speaks, NULL when it is not known."),
        Column("text", "VARCHAR", "What is said."),
    ),
    description="Stretches of speech of a transcript, in reading order.",
)

LLM_CALLS = Table(
    "llm_calls",
    (
        *_KEYS,
        Column("run_id", "VARCHAR", "Dagster run that made the call or took it from the journal."),
        Column("asset", "VARCHAR", "Table the call was made for.", required=True),
        Column("provider", "VARCHAR", "Provider that was asked last."),
        Column("model", "VARCHAR", "Model that was asked last."),
        Column("endpoint", "VARCHAR", "chat or transcription."),
        Column("attempts", "BIGINT", "Requests sent for it, over all models of the chain."),
        Column("rate_limited", "BIGINT", "Requests the provider refused for its rate limit."),
        Column("wait_seconds", "DOUBLE", "Time spent waiting for limits and between attempts."),
        Column("latency_seconds", "DOUBLE", "Time from sending to the whole answer."),
        Column("input_tokens", "BIGINT", "Tokens read, cached ones included."),
        Column("cached_tokens", "BIGINT", "Tokens read at the price of cached input."),
        Column("output_tokens", "BIGINT", "Tokens written."),
        Column("audio_seconds", "DOUBLE", "Seconds of audio billed."),
        replace(
            _COST,
            description="What the answer cost when it was paid for, in US dollars to the nearest "
            "billionth; NULL when the price is unknown.",
        ),
        Column("from_journal", "BOOLEAN", "True when an earlier run had paid for the answer."),
        Column("fallback_reason", "VARCHAR", "Why an earlier model of the chain did not answer."),
        Column(
            "status",
            "VARCHAR",
            "answered; refused or invalid_output when the answer was of no use, which costs as much; or "
            "failed, without an answer.",
        ),
        Column("http_status", "BIGINT", "HTTP status of the last answer, NULL when none came."),
        Column("request_id", "VARCHAR", "The provider's name for the request, for its support."),
        Column("started_at", "TIMESTAMPTZ", "When the call began."),
        Column("finished_at", "TIMESTAMPTZ", "When its outcome was known."),
        Column("error", "VARCHAR", "Why there is no answer, or what was wrong with it."),
    ),
    description="One row per call to a model, with what it took and what it cost.",
)

_CALLS = Child(LLM_CALLS, shared=True, optional=True)

TRANSCRIPTS = Table(
    "transcripts",
    (
        *_KEYS,
        _STATUS,
        Column("text", "VARCHAR", "Everything that is said.", optional=True),
        Column("language", "VARCHAR", "Language that was heard, ISO 639-1.", optional=True),
        Column("duration_seconds", "DOUBLE", "Length of the recording in seconds.", optional=True),
        Column("chunk_count", "BIGINT", "Parts the recording was sent in.", optional=True),
        *_ANSWERED_BY,
        _COST,
        Column("latency_seconds", "DOUBLE", "Time its calls took, added up.", optional=True),
        Column("transcribed_at", "TIMESTAMPTZ", "When the transcript was complete.", optional=True),
        _ERROR,
    ),
    children=(Child(SEGMENTS, read_back=True), _CALLS),
    description="One row per recording: its text, or why there is none.",
)

FIXED_TABLES = (RECORDINGS, TRANSCRIPTS, SEGMENTS, LLM_CALLS)

INSIGHTS_TRAILING_COLUMNS = (
    _STATUS,
    *_ANSWERED_BY,
    Column("input_tokens", "BIGINT", "Tokens read, over all calls for the row.", optional=True),
    Column("output_tokens", "BIGINT", "Tokens written, over all calls for the row.", optional=True),
    _COST,
    Column(
        "prompt_version", "VARCHAR", "Hash of the prompt and the schema it was asked with.", optional=True
    ),
    Column("extracted_at", "TIMESTAMPTZ", "When the last answer for the row came.", optional=True),
    _ERROR,
)


def insights_table(name: str, columns: Iterable[Column]) -> Table:
    """The table of one extractor: its output model's columns, then the columns all extractors have.

    Raises ConfigurationError when the name is taken by a fixed table or view, or when a field of the
    output model is called like a fixed column.
    """
    taken = {table.name for table in FIXED_TABLES} | set(VIEW_NAMES)
    if name.lower() in taken:
        raise ConfigurationError(
            f'an insights table cannot be called "{name}", which is one of {sorted(taken)}; name it otherwise'
        )
    return Table(
        name,
        (*_KEYS, *columns, *INSIGHTS_TRAILING_COLUMNS),
        children=(_CALLS,),
        description="One row per transcript: the fields of the output model, or why there are none.",
    )
