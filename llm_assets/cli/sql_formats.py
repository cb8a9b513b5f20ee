"""An answer as a table for people, or as CSV, JSON or JSON lines for scripts.

Only the table shortens anything. The others carry every value whole: decimals with all their digits,
times in UTC as ISO 8601, NULL as an empty cell or `null`, nested values as JSON.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import IO, Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_assets.warehouse.query import QueryResult

_NARROW_CHARACTERS = 20  # columns up to this width are shown whole
_LEAST_CHARACTERS = 12  # a longer one is cut, but not below this
_BESIDE_CELL_CHARACTERS = 3
_CELL_CHARACTERS = 300


def _limited(result: QueryResult, limit: int) -> Iterable[tuple[Any, ...]]:
    return itertools.islice(result.rows, limit or None)


def _objects(result: QueryResult, limit: int) -> Iterable[str]:
    """Each row as a JSON object. DuckDB hands out JSON as text, which is not to become a text in JSON."""
    names = _distinct(result.columns)
    is_json = [sql_type == "JSON" for sql_type in result.types]
    for row in _limited(result, limit):
        values = (
            json.loads(value) if there and value is not None else value
            for value, there in zip(row, is_json, strict=True)
        )
        yield _json(dict(zip(names, values, strict=True)))


def _write_csv(result: QueryResult, limit: int, output: IO[str]) -> None:
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows([_cell(value) for value in row] for row in _limited(result, limit))


def _write_jsonl(result: QueryResult, limit: int, output: IO[str]) -> None:
    output.writelines(f"{line}\n" for line in _objects(result, limit))


def _write_json(result: QueryResult, limit: int, output: IO[str]) -> None:
    separator = "[\n"
    for line in _objects(result, limit):
        output.write(separator + line)
        separator = ",\n"
    output.write("[]\n" if separator == "[\n" else "\n]\n")


def _distinct(columns: Sequence[str]) -> list[str]:
    """Names for an object's keys: `select 1 as a, 2 as a` has two columns of the same name."""
    seen: Counter[str] = Counter()
    names: list[str] = []
    for column in columns:
        seen[column] += 1
        names.append(column if seen[column] == 1 else f"{column}_{seen[column]}")
    return names


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Decimal):
        # A number where JSON's readers can hold it exactly, else its digits as text.
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if (
        value is None
        or isinstance(value, bool | int | str)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _cell(value: Any) -> str:
    """A value as one cell of CSV or of a table: nothing for NULL, JSON for what is nested."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value) if isinstance(value, Mapping | list | tuple) else _scalar(value)


def _write_table(result: QueryResult, limit: int, output: IO[str]) -> None:
    rows = [[_line(_cell(value)) for value in row] for row in _limited(result, limit)]
    left = sum(1 for _ in result.rows)
    console = Console(file=output, width=Console().width, highlight=False)
    if result.columns:
        widths = _widths(result.columns, rows, console.width)
        console.print(_across(result, rows, widths) if widths else _down(result, rows))
    total = len(rows) + left
    counted = f"{total:,} row{'' if total == 1 else 's'}"
    if left:
        counted = f"{len(rows):,} of {counted}; --limit 0 shows all, --format csv or json writes all"
    console.print(counted, soft_wrap=True)


def _line(text: str) -> str:
    """One printable line: a text can hold line breaks and even codes that would steer the terminal."""
    text = "".join(
        character if character.isprintable() else " " for character in text[: _CELL_CHARACTERS + 1]
    )
    return text if len(text) <= _CELL_CHARACTERS else f"{text[:_CELL_CHARACTERS]}…"


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], available: int) -> list[int] | None:
    """The width of each column, the long ones sharing what is left; None when they do not fit at all."""
    natural = [
        max(Text(text).cell_len for text in (name, *(row[index] for row in rows)))
        for index, name in enumerate(columns)
    ]
    widths = [min(width, _NARROW_CHARACTERS) for width in natural]
    for index, name in enumerate(columns):
        if natural[index] > _NARROW_CHARACTERS:
            widths[index] = max(_LEAST_CHARACTERS, min(len(name), _NARROW_CHARACTERS))
    left = available - 1 - _BESIDE_CELL_CHARACTERS * len(columns) - sum(widths)
    if left < 0:
        return None
    for place, index in enumerate(sorted(range(len(columns)), key=lambda index: natural[index])):
        extra = min(natural[index] - widths[index], left // (len(columns) - place))
        widths[index] += extra
        left -= extra
    return widths


def _across(result: QueryResult, rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Table:
    table = Table()
    for name, sql_type, width in zip(result.columns, result.types, widths, strict=True):
        justify = "right" if _is_number(sql_type) else "left"
        table.add_column(Text(name), justify=justify, width=width, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _is_number(sql_type: str) -> bool:
    return sql_type.startswith(("DECIMAL", "DOUBLE", "FLOAT", "BIGINT", "HUGEINT", "INTEGER", "SMALLINT"))


def _down(result: QueryResult, rows: Sequence[Sequence[str]]) -> Table:
    """Too many columns for the terminal: one below the other, a block for each row."""
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        for name, text in zip(result.columns, row, strict=True):
            table.add_row(Text(name), Text(text))
        table.add_section()
    return table


WRITERS: Mapping[str, Callable[[QueryResult, int, IO[str]], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
}
