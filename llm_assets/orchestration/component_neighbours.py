"""Several components in one project: what each needs for itself, and who else has it, by file and line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

from llm_assets.errors import ConfigurationError
from llm_assets.orchestration.component_errors import Misfit, place_of, refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a component takes for itself: what its names begin with, and where its tables are.

    `tables` is None where somebody else sees to them; `fields` are those it was given; `yaml` is where it
    stands, None for one of Python.
    """

    prefix: str | None
    names: str
    tables: str | None
    fields: frozenset[str]
    yaml: dg.ResolutionContext | None

    def refused(self, said: str, field: str) -> Exception:
        """The error of a field, under its line where there is one."""
        if self.yaml is None:
            return ConfigurationError(f"{field}: {said}")
        return refused(self.yaml, Misfit(said, (field,) if field in self.fields else ()))

    @property
    def where(self) -> str:
        return "" if self.yaml is None else f" ({place_of(self.yaml)})"


def require_own(mine: Claim, others: Iterable[Claim]) -> None:
    """Assets, jobs and resources are called by the prefix alone, and tables by the last part of a key.

    Raises what names the field, and the component that has the same.
    """
    for other in others:
        if other.names == mine.names:
            prefix = "no prefix" if mine.prefix is None else f"the prefix {mine.prefix!r}"
            raise mine.refused(
                f"another component{other.where} has the same names, for it has {prefix} too: "
                "give one of them a `prefix` of its own",
                "prefix",
            )
        if mine.tables is not None and other.tables == mine.tables:
            names = " and ".join(sorted(repr(each.prefix or "(none)") for each in (mine, other)))
            raise mine.refused(
                f"the components with the prefixes {names} have the same tables in {mine.tables}"
                f"{other.where}: give each a `duckdb` of its own",
                "duckdb",
            )
