from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from shared_stores import Shared, open_views

from llm_assets.llm.quota.redis import RedisQuota


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    where = {
        "memory": lambda: "",
        "sqlite": lambda: str(tmp_path_factory.mktemp("properties") / "state.sqlite"),
        "postgres": lambda: request.getfixturevalue("postgres_url"),
        "redis": lambda: f"{request.getfixturevalue('redis_socket')}?db=5",
    }[request.param]()
    with asyncio.Runner() as runner, ExitStack() as stack:
        views = runner.run(open_views(request.param, stack, where))
        yield Shared(runner, views)
        for view in views:
            if isinstance(view, RedisQuota):
                runner.run(view.aclose())
