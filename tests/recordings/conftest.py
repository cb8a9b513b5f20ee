"""A real S3 server over HTTP that remembers what it was asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bucket import Bucket, S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """A bucket of this test's own, empty."""
    s3_server.refused = lambda request: False
    return s3_server.new_bucket()
