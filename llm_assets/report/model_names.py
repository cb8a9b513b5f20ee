"""What the models are called in a report, and the colour that each has in all of its charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from llm_assets.report.contents import Figure
from llm_assets.report.days import Cells, daily_columns, largest
from llm_assets.report.months import Month
from llm_assets.report.svg import Show
from llm_assets.report.text import plain
from llm_assets.warehouse.report_rows import ModelDay, ModelMinute, ModelUse, MonthRows

_NO_MODEL = "no model"


class Names:
    """What the models are called: by their provider too where two providers have one of the same name."""

    def __init__(self, rows: MonthRows) -> None:
        self._often = Counter(use.model for use in rows.models)
        # The dearest first, and of one colour in every chart.
        self._coloured, self.grouped = largest(self(use) for use in rows.models)

    def coloured(self, found: Iterable[str]) -> list[tuple[str, str]]:
        """Those of the names, or of `others`, that are among `found`, with their colours."""
        names = set(found)
        return [(name, css_class) for name, css_class in self._coloured if name in names]

    def __call__(self, row: ModelUse | ModelDay | ModelMinute) -> str:
        if row.model is None:
            return _NO_MODEL
        return plain(f"{row.provider}/{row.model}" if self._often[row.model] > 1 else row.model)


def columns_by_model(
    title: str, month: Month, cells: Cells, names: Names, unit: str, show: Show, *, whole: bool = False
) -> Figure:
    """Columns by day, a series for each model that `cells` has something of, in its own colour."""
    coloured = names.coloured(name for _, name in cells)
    return daily_columns(title, month, cells, coloured, unit, show, whole=whole)
