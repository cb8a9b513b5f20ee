"""The answers for the parts of a long call become one, by rules that a reader would expect."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from llm_assets.emulator.extraction.answer import json_answer, text_answer

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "mood": {"type": "string", "enum": ["good", "bad"]},
        "score": {"type": "integer"},
        "summary": {"type": "string"},
        "topics": {"type": "array", "items": {"type": "string"}},
        "angry": {"type": "boolean"},
        "inner": {
            "type": "object",
            "properties": {"label": {"type": "string"}},
            "required": ["label"],
            "additionalProperties": False,
        },
        "other": {"type": ["string", "null"]},
    },
    "required": ["mood", "score", "summary", "topics", "angry", "inner", "other"],
    "additionalProperties": False,
}
PARTS = [
    {"mood": "bad", "score": 1, "summary": "It is broken.", "topics": ["a", "b"], "angry": True,
     "inner": {"label": "x"}, "other": None},
    {"mood": "good", "score": 5, "summary": "It is mended.", "topics": ["b", "c"], "angry": False,
     "inner": {"label": "y"}, "other": None},
]  # fmt: skip


def test_parts_are_merged_field_by_field() -> None:
    """Lists are joined, numbers averaged, texts strung together; of names the most frequent wins."""
    asked = "Answers for the parts:\n" + "\n".join(map(json.dumps, PARTS))
    repair = ("user", "That answer is not valid.")
    for turns in ([("user", asked)], [("user", asked), ("assistant", "what?"), repair]):
        answer = json.loads(json_answer(turns, SCHEMA))
        jsonschema.validate(answer, SCHEMA)
        assert answer == {
            "mood": "good",
            "score": 3,
            "summary": "It is broken. It is mended.",
            "topics": ["a", "b", "c"],
            "angry": True,
            "inner": {"label": "y"},
            "other": None,
        }


def test_many_parts_do_not_make_an_endless_answer() -> None:
    """Lists keep what comes up most often, texts a few; asked for something much shorter, hardly any."""
    parts = [PARTS[0] | {"summary": f"It is {n}.", "topics": [f"t{n}", "often"]} for n in range(40)]
    lines = "\n".join(map(json.dumps, parts))
    for words, topics, texts in (("Answers for the parts", 12, 4), ("Answer again, much shorter", 2, 1)):
        answer = json.loads(json_answer([("user", f"{words}:\n{lines}")], SCHEMA))
        assert len(answer["topics"]) == topics
        assert "often" in answer["topics"]
        assert answer["summary"].count("It is") == texts
    alone = json.loads(
        json_answer([("user", f"Answer again, much shorter:\n{json.dumps(parts[7])}")], SCHEMA)
    )
    assert (alone["summary"], alone["topics"]) == ("It is 7.", ["t7", "often"])


def test_a_schema_that_is_only_told_is_answered_in_a_fence() -> None:
    """As models do that nobody holds to anything; without a schema the answer is a sentence."""
    told = ("system", f"Answer with JSON that satisfies:\n{json.dumps(SCHEMA)}")
    asked = ("user", "Transcript:\nI want a refund.")
    assert text_answer([told, asked]).startswith("```json\n{")
    assert "refund" in text_answer([asked])
