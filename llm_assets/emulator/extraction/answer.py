"""A chat model's answer by rules: JSON that fits the schema, or a sentence where none is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from llm_assets.emulator.extraction.fields import ALIASES, SYNONYMS, suggestions
from llm_assets.emulator.extraction.merging import merged, part_answers
from llm_assets.emulator.extraction.reading import Reading
from llm_assets.emulator.extraction.transcript import find_transcript
from llm_assets.emulator.schema.check import Schema, as_schema
from llm_assets.emulator.schema.fill import fill

Turn = tuple[str, str]  # role and text

_PLAIN_FIELDS = ("summary", "sentiment", "topics", "intent", "outcome")
_WITHOUT_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        name: {"type": "array", "items": {"type": "string"}} if name == "topics" else {"type": "string"}
        for name in _PLAIN_FIELDS
    },
}


def text_answer(turns: Sequence[Turn]) -> str:
    """A summary in words; JSON in a fence, as models write it, where the instructions tell a schema."""
    told = _schema_in(turns)
    return _reading(turns).summary if told is None else f"```json\n{json_answer(turns, told)}\n```"


def json_answer(turns: Sequence[Turn], schema: Schema | None) -> str:
    """JSON text that validates against `schema`.

    Without one, the schema is looked for in the messages, as servers that only know `json_object` are
    told it there. Raises Unsatisfiable when no value was found for it.
    """
    schema = schema or _schema_in(turns) or _WITHOUT_SCHEMA
    asked = [content for role, content in turns if role == "user"]
    parts = part_answers(asked)
    known = merged(parts, asked) if parts else suggestions(_reading(turns))
    value = fill(schema, known, ALIASES, SYNONYMS)
    return json.dumps(value, ensure_ascii=False)


def _reading(turns: Sequence[Turn]) -> Reading:
    return Reading(find_transcript(content for role, content in turns if role == "user"))


def _schema_in(turns: Sequence[Turn]) -> Schema | None:
    """The first JSON object in the instructions that looks like the schema of an object."""
    decoder = json.JSONDecoder()
    for _, content in turns:
        start = content.find("{")
        while start >= 0:
            try:
                found: Any = decoder.raw_decode(content, start)[0]
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict) and as_schema(cast("dict[str, Any]", found).get("properties")):
                return cast(Schema, found)
            start = content.find("{", start + 1)
    return None
