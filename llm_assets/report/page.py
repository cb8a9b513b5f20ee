"""A month's rows as a page of HTML that needs nothing but itself: no script, font or picture from elsewhere.

What a reader would get wrong: texts of the tables (topics, errors, names of models) are whatever somebody
said on the phone. The template escapes them, and the page forbids itself to run or load anything.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from llm_assets.report.answers_section import answers_sections
from llm_assets.report.contents import Contents
from llm_assets.report.cost_section import cost_section
from llm_assets.report.headline import headline
from llm_assets.report.months import Month
from llm_assets.report.quota_section import quota_section
from llm_assets.report.recordings_section import failures_section, recordings_section
from llm_assets.warehouse.report_rows import MonthRows


@dataclass(frozen=True, slots=True)
class Style:
    """The style sheet and the hash by which the page allows it, and nothing else."""

    css: Markup
    sha256: str


def contents_of(month: Month, rows: MonthRows) -> Contents:
    """Everything the page says, as values."""
    return Contents(
        title=month.name,
        subtitle="Recordings, what was said in them, and what it cost to know",
        tiles=headline(month, rows),
        sections=(
            recordings_section(month, rows),
            *answers_sections(month, rows),
            cost_section(month, rows),
            quota_section(month, rows),
            failures_section(month, rows),
        ),
    )


def render(contents: Contents, source: str, made_at: datetime) -> str:
    """The page. `source` names the database, `made_at` is a time in UTC."""
    return _template().render(page=contents, source=source, made_at=made_at, style=_style())


@lru_cache
def _style() -> Style:
    css = _file("page.css")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return Style(Markup(css), digest)  # noqa: S704 - our own file


@lru_cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("page.html.j2"))


def _file(name: str) -> str:
    return resources.files("llm_assets.report").joinpath(name).read_text(encoding="utf-8")
