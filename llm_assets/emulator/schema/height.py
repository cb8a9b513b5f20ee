"""How deep the shortest value of a schema nests: tells recursion that ends from recursion that cannot."""

from __future__ import annotations

import math
from functools import cached_property

from llm_assets.emulator.schema.check import Schema, as_schema, definition, types_of


class Heights:
    """For one schema and its definitions. Infinite means that no value of finite length exists."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def of(self, schema: Schema) -> float:
        return self._height(schema, self._definitions)

    @cached_property
    def _definitions(self) -> dict[str, float]:
        """Starts from "nothing ends" and improves until nothing changes."""
        names = ["#"]
        for place in ("$defs", "definitions"):
            names += [f"#/{place}/{name}" for name in as_schema(self._root.get(place))]
        heights = dict.fromkeys(names, math.inf)
        while True:
            better = {name: self._height(as_schema(definition(self._root, name)), heights) for name in names}
            if better == heights:
                return heights
            heights = better

    def _height(self, schema: Schema, known: dict[str, float]) -> float:
        if "$ref" in schema:
            return 1 + known.get(schema["$ref"], math.inf)
        if "enum" in schema or "const" in schema:
            return 0
        if "anyOf" in schema:
            return min(self._height(as_schema(option), known) for option in schema["anyOf"])
        types = types_of(schema)
        if not types or set(types) - {"object", "array"}:
            return 0
        return min(self._nested(kind, schema, known) for kind in types)

    def _nested(self, kind: str, schema: Schema, known: dict[str, float]) -> float:
        if kind == "array":
            items = as_schema(schema.get("items"))
            return 1 + self._height(items, known) if schema.get("minItems", 0) else 1
        children = as_schema(schema.get("properties")).values()
        return 1 + max((self._height(as_schema(child), known) for child in children), default=0)
