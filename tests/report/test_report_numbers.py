"""The numbers of a report are those of the tables, asked here in other words."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_samples import FEBRUARY, INSIGHTS, MARCH, UNFINISHED

from llm_assets.report.headline import headline_numbers
from llm_assets.report.months import Month
from llm_assets.report.write import Report, latest_month, make_report
from llm_assets.warehouse.query import query
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS

_MARCH = "partition_date between '2026-03-01' and '2026-03-31'"


def asked(database: str, sql: str) -> list[tuple[Any, ...]]:
    with query(database, sql) as result:
        return list(result.rows)


def test_recordings_by_day_and_status(database: str, march: Report) -> None:
    """Each recording is counted once, with the status it ended with."""
    sql = f"""
        select partition_date, case when r.status = 'ok' and i.status is null then 'waiting'
                                    else coalesce(i.status, r.status) end as ended,
               count(*), sum(duration_seconds)
        from recordings r left join insights i using (partition_date, recording_id)
        where {_MARCH} group by all order by all"""
    found = [(row.day, row.status, row.recordings, row.audio_seconds) for row in march.rows.outcomes]
    assert [row[:3] for row in found] == [row[:3] for row in asked(database, sql)]
    assert sum(row[3] for row in found) == pytest.approx(sum(row[3] for row in asked(database, sql)))
    assert {row.day for row in march.rows.outcomes if row.status == "waiting"} == {UNFINISHED}


def test_cost_is_exact(database: str, march: Report) -> None:
    """Cost by day, by model and in all is to the billionth what the calls add up to."""
    sql = (
        f"select partition_date, model, sum(cost_usd) from llm_calls where {_MARCH} group by all order by all"
    )
    expected = asked(database, sql)
    assert sorted((row.day, row.model, row.cost_usd) for row in march.rows.model_days) == expected
    assert march.rows.totals.cost_usd == sum(row[2] for row in expected if row[2] is not None)
    by_model = {use.model: use.cost_usd for use in march.rows.models}
    assert by_model["house-model"] is None
    assert f'<td class="number">{by_model["gpt-transcribe"].normalize():f}</td>' in march.html


def test_the_view_agrees(database: str, march: Report) -> None:
    """The view `daily_cost`, which people ask themselves, says the same."""
    sql = f"""
        select sum(calls)::bigint, sum(journal_hits)::bigint, sum(cost_usd),
               sum(new_cost_usd), sum(calls_without_price)::bigint
        from daily_cost where {_MARCH}"""
    totals = march.rows.totals
    found = (
        totals.calls,
        totals.journal_hits,
        totals.cost_usd,
        totals.new_usd,
        totals.calls_without_price,
    )
    assert [found] == asked(database, sql)


def test_quota_use(database: str, march: Report) -> None:
    """Requests, refusals and waits leave out what came from the journal; peaks are minutes of the clock."""
    sql = f"""
        select model, sum(attempts)::bigint, sum(rate_limited)::bigint, sum(wait_seconds) from llm_calls
        where not from_journal and {_MARCH} group by all order by all"""
    found = sorted((use.model, use.attempts, use.rate_limited, use.wait_seconds) for use in march.rows.models)
    assert [row[:3] for row in found] == [row[:3] for row in asked(database, sql)]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in asked(database, sql)])
    sent = asked(
        database,
        f"""select model, attempts, finished_at::timestamp, latency_seconds, input_tokens, output_tokens
            from llm_calls where not from_journal and {_MARCH}""",
    )
    requests: Counter[tuple[str, pd.Timestamp]] = Counter()
    tokens: Counter[tuple[str, pd.Timestamp]] = Counter()
    for model, attempts, finished, latency, read, written in sent:
        minute = (pd.Timestamp(finished) - pd.Timedelta(seconds=latency)).floor("min")
        requests[model, minute] += attempts
        tokens[model, minute] += (read or 0) + (written or 0)
    for use in march.rows.models:
        peak = max(number for (model, _), number in requests.items() if model == use.model)
        assert use.peak_requests_per_minute == peak
        assert use.peak_tokens_per_minute == max(n for (model, _), n in tokens.items() if model == use.model)
    hours: Counter[pd.Timestamp] = Counter()
    for (_, minute), number in requests.items():
        hours[minute.floor("h")] += number
    assert sum(row.requests for row in march.rows.busiest) == max(hours.values())


def test_sentiment_and_topics(database: str, march: Report) -> None:
    """Labels, mean scores and topics are those of the rows that have an answer."""
    (answers,) = march.rows.answers
    labels = f"""select partition_date, sentiment.label, count(*) from insights
                 where status = 'ok' and {_MARCH} group by all order by all"""
    assert [(row.day, row.label, row.rows) for row in answers.labels] == asked(database, labels)
    scores = f"""select partition_date, avg(sentiment.score) from insights
                 where status = 'ok' and {_MARCH} group by all order by all"""
    assert [row.mean for row in answers.scores] == pytest.approx(
        [mean for _, mean in asked(database, scores)]
    )
    topics = """select topic, count(*) filter (month(partition_date) = 3) as rows,
                       count(*) filter (month(partition_date) = 2)
                from (select partition_date, unnest(topics) as topic from insights where status = 'ok')
                group by topic order by rows desc, topic limit 10"""
    assert [(row.name, row.rows, row.rows_before) for row in answers.topics] == asked(database, topics)


def test_choices(database: str, march: Report) -> None:
    """Columns of few values are counted; free text is not among them."""
    choices = {choice.column: dict(choice.values) for choice in march.rows.answers[0].choices}
    assert set(choices) == {"intent", "outcome", "customer_effort", "language"}
    sql = f"select outcome, count(*) from insights where status = 'ok' and {_MARCH} group by all"
    assert choices["outcome"] == dict(asked(database, sql))


def test_the_month_before(database: str, march: Report) -> None:
    """A month is compared with the one before it, which is counted like any other."""
    february = make_report(database, Month(2026, 2)).rows.totals
    assert asdict(march.rows.before) == pytest.approx(asdict(february))
    assert march.rows.before.recordings > 0
    assert {row.day for row in march.rows.outcomes} == set(MARCH)


def test_the_latest_month_is_the_default(database: str) -> None:
    """Which month comes last is read off the tables."""
    assert latest_month(database) == Month(2026, 3)


def test_the_same_recording_twice_is_two(tmp_path: Path) -> None:
    """The same content twice in a day is two recordings, not four."""
    path, day = str(tmp_path / "twice.duckdb"), FEBRUARY[0]
    keys = {"partition_date": day, "recording_id": "same", "status": "ok"}
    recording = keys | {
        "path": "a.ogg",
        "file_name": "a.ogg",
        "size_bytes": 1,
        "sha256": "",
        "duration_seconds": 9.0,
    }
    replace_partition(path, RECORDINGS, [day], pd.DataFrame([recording, recording]))
    replace_partition(path, TRANSCRIPTS, [day], pd.DataFrame([keys, keys]).assign(segments="[]"))
    output = dict.fromkeys(column.name for column in INSIGHTS.columns) | keys
    replace_partition(path, INSIGHTS, [day], pd.DataFrame([output, output]))
    totals = make_report(path, Month.of(day)).rows.totals
    assert (totals.recordings, totals.ok, totals.waiting, totals.audio_seconds) == (2, 2, 0, 18.0)


def test_recordings_alone_make_a_report(tmp_path: Path) -> None:
    """Before anything is transcribed, a recording that can be used is as far as it can be."""
    path, day = str(tmp_path / "alone.duckdb"), date(2026, 5, 1)
    row = {
        "partition_date": day,
        "recording_id": "a",
        "path": "a",
        "file_name": "a.ogg",
        "size_bytes": 1,
        "sha256": "",
        "status": "ok",
    }
    replace_partition(path, RECORDINGS, [day], pd.DataFrame([row]))
    report = make_report(path, Month(2026, 5))
    assert (report.rows.totals.recordings, report.rows.totals.ok) == (1, 1)
    assert "No model was asked" in report.html
    assert headline_numbers(report.rows)["cost_usd"] == 0


def test_sums_for_scripts_have_no_noise(tmp_path: Path) -> None:
    """Three tenths of a second are 0.3, not 0.30000000000000004."""
    path, day = str(tmp_path / "tenths.duckdb"), date(2026, 5, 1)
    rows = [
        {
            "partition_date": day,
            "recording_id": name,
            "path": name,
            "file_name": f"{name}.ogg",
            "size_bytes": 1,
            "sha256": "",
            "status": "ok",
            "duration_seconds": 0.1,
        }
        for name in "abc"
    ]
    replace_partition(path, RECORDINGS, [day], pd.DataFrame(rows))
    assert headline_numbers(make_report(path, Month(2026, 5)).rows)["audio_seconds"] == 0.3


def test_unknown_prices_are_unknown(tmp_path: Path) -> None:
    """A month in which nothing has a price does not cost nothing."""
    path, day = str(tmp_path / "unknown.duckdb"), date(2026, 5, 1)
    call = '[{"provider": "openai", "model": "house", "attempts": 1, "status": "answered"}]'
    row = {"partition_date": day, "recording_id": "a", "status": "ok", "segments": "[]", "llm_calls": call}
    replace_partition(path, TRANSCRIPTS, [day], pd.DataFrame([row]))
    report = make_report(path, Month(2026, 5))
    assert report.rows.totals.cost_usd is None
    assert headline_numbers(report.rows)["cost_usd"] is None
    assert '<dd class="value">unknown</dd>' in report.html
    assert "Cost by day" not in report.html


def test_many_models_share_the_colours(tmp_path: Path) -> None:
    """Past the colours there are, the cheaper models are one series; the table has each of them."""
    path, day = str(tmp_path / "many.duckdb"), date(2026, 5, 1)
    call = {"attempts": 1, "status": "answered"}
    calls = [call | {"provider": f"p{n % 2}", "model": f"m{n // 2}", "cost_usd": n + 1} for n in range(40)]
    row = {
        "partition_date": day,
        "recording_id": "a",
        "status": "ok",
        "segments": "[]",
        "llm_calls": json.dumps(calls),
    }
    replace_partition(path, TRANSCRIPTS, [day], pd.DataFrame([row]))
    report = make_report(path, Month(2026, 5))
    assert report.rows.totals.cost_usd == Decimal(820)
    chart = report.html.split("<figcaption>Cost by day</figcaption>")[1].split("</svg>")[0]
    assert chart.count('class="mark') == 7
    assert ", others: $595.00<" in chart
    assert "p1/m19" in report.html  # the same model at two providers is two
    assert "p0/m0" in report.html


def test_an_answer_that_several_rows_share_is_paid_for_once(tmp_path: Path) -> None:
    """Two recordings led to the same question, and one stands on two days: what was paid is what is shown."""
    path, days = str(tmp_path / "shared.duckdb"), [date(2026, 5, 1), date(2026, 5, 2)]

    def row(day: date, name: str, request_id: str, usd: str, hit: bool) -> dict[str, Any]:
        call = {
            "provider": "p", "model": "m", "attempts": 1, "status": "answered", "request_id": request_id,
            "cost_usd": usd, "latency_seconds": float(usd), "audio_seconds": 60.0, "from_journal": hit,
        }  # fmt: skip
        keys = {"partition_date": day, "recording_id": name, "status": "ok", "segments": "[]"}
        return keys | {"llm_calls": json.dumps([call])}

    rows = [
        row(days[0], "a", "request-1", "1", False),
        row(days[0], "b", "request-1", "1", True),
        row(days[1], "a", "request-1", "1", True),
        row(days[1], "c", "request-2", "0.5", True),  # paid for by a run that was interrupted
        row(days[1], "d", "request-2", "0.25", False),  # a server that began to count anew
    ]
    replace_partition(path, TRANSCRIPTS, days, pd.DataFrame(rows))
    report = make_report(path, Month(2026, 5))
    totals = report.rows.totals
    assert (totals.cost_usd, totals.new_usd, totals.paid_answers) == (
        Decimal("1.75"), Decimal("1.25"), 3,
    )  # fmt: skip
    assert (totals.journal_hits, totals.saved_usd) == (3, Decimal("2.5"))
    assert "cost $1.75 when they were paid for, in 3 calls: $1.25 by the runs that stand" in report.html
    assert [(day.day, day.cost_usd) for day in report.rows.model_days] == [
        (days[0], Decimal(1)),
        (days[1], Decimal("0.75")),
    ]
    sql = "select partition_date, cost_usd, new_cost_usd, audio_seconds, calls from daily_cost order by 1"
    assert asked(path, sql) == [
        (days[0], Decimal(1), Decimal(1), 60.0, 2),
        (days[1], Decimal("0.75"), Decimal("0.25"), 120.0, 3),
    ]
