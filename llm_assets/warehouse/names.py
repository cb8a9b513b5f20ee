"""Names and values as pieces of SQL text and of paths, quoted so that they are nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from urllib.parse import quote

_SECRETS = re.compile(r"((?:password|token)\s*=\s*)('[^']*'|[^\s&'\"]+)", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """A database's name, or what is said of it, without a password or token that stands in it."""
    return _SECRETS.sub(r"\1…", text)


def identifier(name: str) -> str:
    """A table's or column's name, quoted so that any character in it is only a character."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal, for statements that take no parameters (`COMMENT ON`)."""
    return "'" + text.replace("'", "''") + "'"


def folder_name(table: str) -> str:
    """A table's folder. Never one above or outside, nor one that Spark and Athena take for hidden."""
    quoted = quote(table, safe=" ")
    return f"%{ord(quoted[0]):02X}{quoted[1:]}" if quoted[:1] in ("_", ".") else quoted


def in_partitions(partition_dates: Sequence[date]) -> tuple[str, list[object]]:
    """The condition that a row lies in one of these days, which must not be none, and its parameters.

    The range lets DuckDB skip the row groups of other days, so that a day costs the same in any table.
    """
    marks = ", ".join("?" for _ in partition_dates)
    condition = f"partition_date BETWEEN ? AND ? AND partition_date IN ({marks})"
    return condition, [min(partition_dates), max(partition_dates), *partition_dates]
