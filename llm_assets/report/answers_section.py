"""What the answers say: sentiment and topics over time, and the columns that hold one of a few values.

Which columns those are is found out by name and type (`warehouse.report_columns`); what an output model
does not have is not shown.
"""

from __future__ import annotations

from llm_assets.report.charts import Series, bars, line, shades
from llm_assets.report.contents import DataTable, Figure, Section, present
from llm_assets.report.days import DayAxis, added, daily_columns, largest
from llm_assets.report.months import Month
from llm_assets.report.svg import Scale
from llm_assets.report.text import NONE, count, counted, exact, plain, share, signed
from llm_assets.warehouse.report_rows import Answers, Choice, MonthRows

_NOT_SAID = "not said"
_FEELINGS = {"positive": "good", "neutral": "quiet", "mixed": "k3", "negative": "bad"}


def answers_sections(month: Month, rows: MonthRows) -> list[Section]:
    """Sections for each extractor's table; the table is named when there are several."""
    found: list[Section] = []
    for answers in rows.answers:
        of = f" of {answers.table}" if len(rows.answers) > 1 else ""
        found += [
            section
            for section in (
                _sentiment(month, answers, of),
                _topics(month, answers, of),
                _choices(answers, of),
            )
            if section is not None
        ]
    return found


def _sentiment(month: Month, answers: Answers, of: str) -> Section | None:
    figures = present([_labels(month, answers), _scores(month, answers)])
    if not figures:
        return None
    text = f"Of {counted(answers.ok, 'recording')} with an answer"
    if answers.labels:
        text += f", {_largest_labels(answers)}"
    if answers.score is not None:
        text += f"{';' if answers.labels else ','} the mean score is {signed(answers.score)}"
    if answers.score is not None and answers.score_before is not None:
        text += f" ({signed(answers.score_before)} in {month.before.name})"
    return Section(f"sentiment-{answers.table}", f"Sentiment{of}", f"{text}.", figures)


def _largest_labels(answers: Answers) -> str:
    sums = _label_sums(answers)
    shown = sorted(sums, key=lambda name: -sums[name])[:2]
    return " and ".join(f"{share(sums[name], answers.ok)} are {name}" for name in shown)


def _label_sums(answers: Answers) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in answers.labels:
        sums[_said(row.label)] = sums.get(_said(row.label), 0) + row.rows
    return sums


def _labels(month: Month, answers: Answers) -> Figure | None:
    if not answers.labels:
        return None
    sums = _label_sums(answers)
    order = [name for name in _FEELINGS if name in sums]
    order += sorted(sums.keys() - _FEELINGS.keys(), key=lambda name: (-sums[name], name))
    names, rename = largest(order)
    names = [(name, _FEELINGS.get(name, css_class)) for name, css_class in names]
    cells = added(((row.day, _said(row.label), row.rows) for row in answers.labels), rename)
    return daily_columns("Sentiment by day", month, cells, names, "recordings", count, whole=True)


def _scores(month: Month, answers: Answers) -> Figure | None:
    if not answers.scores:
        return None
    by_day = {row.day: row.mean for row in answers.scores}
    title, days = "Mean score by day", DayAxis(month)
    series = Series("mean score", "k1", tuple(by_day.get(day) for day in month.days))
    values = list(by_day.values())
    # As far down as up, so that the line in the middle is what is neither good nor bad.
    most = max(abs(value) for value in values)
    around_zero = min(values) < 0
    scale = Scale.over([-most, most] if around_zero else values)
    show = signed if around_zero else lambda value: f"{value:,.3g}"
    chart = line(title, days.places, series, days.axes("mean score", show), scale)
    rows = tuple((row.day.isoformat(), exact(row.mean), exact(row.rows)) for row in answers.scores)
    return Figure(title, chart, DataTable(("day", "mean score", "recordings"), rows))


def _topics(month: Month, answers: Answers, of: str) -> Section | None:
    if not answers.topics:
        return None
    left = answers.topic_count - len(answers.topics)
    return Section(
        f"topics-{answers.table}",
        f"Topics{of}",
        f"{counted(answers.topic_count, 'topic')} came up"
        + (f"; these are the {len(answers.topics)} most frequent." if left else "."),
        (_most_frequent(month, answers), _topics_by_day(month, answers)),
    )


def _most_frequent(month: Month, answers: Answers) -> Figure:
    title = "Most frequent topics"
    rows = tuple(
        (
            plain(topic.name),
            exact(topic.rows),
            exact(topic.rows_before),
            NONE if topic.score is None else exact(topic.score, 3),
        )
        for topic in answers.topics
    )
    return Figure(
        title,
        bars(title, [(plain(topic.name), topic.rows) for topic in answers.topics], "recordings", count),
        DataTable(("topic", f"recordings in {month.name}", f"in {month.before.name}", "mean score"), rows),
    )


def _topics_by_day(month: Month, answers: Answers) -> Figure:
    title, days = "Topics by day", DayAxis(month)
    cells = added((row.day, row.name, row.rows) for row in answers.topic_days)
    by_topic = [
        (plain(topic.name), [int(cells.get((day, topic.name), 0)) for day in month.days])
        for topic in answers.topics
    ]
    most = max(value for _, values in by_topic for value in values)
    return Figure(
        title,
        shades(title, days.places, by_topic, days.axes("recordings", count)),
        DataTable(
            ("topic", *(str(day.day) for day in month.days)),
            tuple((name, *(exact(value) for value in values)) for name, values in by_topic),
        ),
        note=f"The darkest cell is {counted(most, 'recording')} on one day.",
    )


def _choices(answers: Answers, of: str) -> Section | None:
    if not answers.choices:
        return None
    return Section(
        f"answers-{answers.table}",
        f"Answers{of}",
        "How often each value was given, for every column of few different values.",
        tuple(_choice(choice) for choice in answers.choices),
    )


def _choice(choice: Choice) -> Figure:
    title = choice.column.replace("_", " ").capitalize()
    rows = [(_said(value), number) for value, number in _in_order(choice)]
    return Figure(
        title,
        bars(title, rows, "recordings", count),
        DataTable((choice.column, "recordings"), tuple((name, exact(number)) for name, number in rows)),
    )


def _in_order(choice: Choice) -> tuple[tuple[str | None, int], ...]:
    """Grades in their own order; anything else as it comes, the most frequent first."""
    if all(value is None or value.lstrip("-").isdecimal() for value, _ in choice.values):
        return tuple(sorted(choice.values, key=lambda row: (row[0] is None, int(row[0] or 0))))
    return choice.values


def _said(value: str | None) -> str:
    return _NOT_SAID if value is None else plain(value)
