"""The kinds of stream that the conformance suite runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.streams.ends import Ends, make


@pytest.fixture(params=["tcp", "serial", "memory", "slow", "faultless", "split"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """A stream of every kind with its peer."""
    stream, peer = make(request.param)
    yield Ends(request.param, stream, peer)
    stream.close()
    peer.hang_up()
