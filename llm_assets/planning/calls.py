"""The requests of a run to a chat model, added up. Repairs and fallbacks come on top; they are few.

A request that is too long for every model is several calls: its parts, each with instructions and schema, and
those that merge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.requests import ChatRequest, Message, OutputSchema
from llm_assets.llm.sizes import most_output_tokens
from llm_assets.llm.tokens import estimate_tokens
from llm_assets.usage import Usage

# How far below the estimate the count of tokens may lie, see `estimate_tokens`.
_LEAST_SHARE_OF_ESTIMATE = 0.5
# Of an answer, for each property of its schema: a number or a word, up to a sentence or a few items.
_LEAST_TOKENS_PER_PROPERTY, _MOST_TOKENS_PER_PROPERTY = 10, 60
_PLAIN_ANSWER_TOKENS = (50, 1_000)


@dataclass(slots=True)
class PlannedCalls:
    """Adds up the requests that will be sent to `model`, in parts where they fit no context of the chain.

    `most_input_tokens` is what the roomiest model of the chain takes, None where that is not known.
    """

    model: ModelConfig
    most_input_tokens: int | None = None
    requests: int = 0
    calls: int = 0
    in_parts: int = 0
    input_tokens: int = 0
    doubtful_input_tokens: int = 0
    least_output_tokens: int = 0
    most_output_tokens: int = 0
    _properties: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, request: ChatRequest, *, kept_calls: int = 0, is_doubtful: bool = False) -> None:
        """One more. `kept_calls` of its parts have their answers and cost nothing; one that is doubtful may
        turn out to be none.
        """
        schema = self._schema_tokens(request)
        fixed = schema + sum(_estimate(each) for each in request.messages if each.role == "system")
        shown = sum(_estimate(each) for each in request.messages if each.role != "system")
        least, most = self._output(request)
        parts, merges = self._parts(request, fixed, shown, most)
        left = max(parts - kept_calls, 0)
        calls = max(left + merges, 1)
        self.requests += 1
        self.in_parts += parts > 1
        self.calls += calls
        read = shown * left // parts + calls * fixed + (parts * most if merges else 0)
        self.input_tokens += read
        if is_doubtful:
            self.doubtful_input_tokens += read
        else:
            self.least_output_tokens += calls * least
        self.most_output_tokens += calls * most

    def usages(self) -> tuple[Usage, Usage]:
        """What they use at least and at most."""
        least = int((self.input_tokens - self.doubtful_input_tokens) * _LEAST_SHARE_OF_ESTIMATE)
        return (
            Usage(input_tokens=least, output_tokens=self.least_output_tokens),
            Usage(input_tokens=self.input_tokens, output_tokens=self.most_output_tokens),
        )

    def _parts(self, request: ChatRequest, fixed: int, shown: int, answer: int) -> tuple[int, int]:
        """In how many parts a request is asked, and how many calls merge their answers."""
        if self.most_input_tokens is None:
            return 1, 0
        room = self.most_input_tokens - fixed - most_output_tokens(request, self.model)
        if room <= 0 or shown <= room:
            return 1, 0
        parts = 2 ** math.ceil(math.log2(shown / room))
        return parts, math.ceil(parts * answer / room)

    def _schema_tokens(self, request: ChatRequest) -> int:
        """The schema is read with every call."""
        schema = request.output_schema
        return 0 if schema is None else self._count(schema) * _MOST_TOKENS_PER_PROPERTY

    def _output(self, request: ChatRequest) -> tuple[int, int]:
        allowed = most_output_tokens(request, self.model)
        least, most = _PLAIN_ANSWER_TOKENS
        if (schema := request.output_schema) is not None:
            properties = self._count(schema)
            least, most = properties * _LEAST_TOKENS_PER_PROPERTY, properties * _MOST_TOKENS_PER_PROPERTY
        return min(least, allowed), min(most, allowed)

    def _count(self, schema: OutputSchema) -> int:
        known = self._properties.get(id(schema))
        if known is None:
            known = self._properties[id(schema)] = max(_properties_in(schema.schema), 1)
        return known


def _estimate(message: Message) -> int:
    return estimate_tokens(message.content)


def _properties_in(node: object) -> int:
    if isinstance(node, Mapping):
        branch = cast("Mapping[str, object]", node)
        own = branch.get("properties")
        return (len(own) if isinstance(own, dict) else 0) + sum(map(_properties_in, branch.values()))
    return sum(map(_properties_in, cast("list[object]", node))) if isinstance(node, list) else 0
