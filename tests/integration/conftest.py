"""A HAProxy of its own for each test, with the traffic of both apps where most tests begin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proxies import BLOG, SHOP, Proxy, proxy


@pytest.fixture
def world() -> Iterator[Proxy]:
    """shop and blog: release 1 serves, 2 is known."""
    with proxy() as found:
        found.traffic().switch(SHOP, 1)
        found.traffic().switch(BLOG, 1)
        yield found
