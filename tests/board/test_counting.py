"""The HAL that counts and refuses, at the edges of floating-point numbers."""

import pytest

from cimlab.board.counting import CountingHal
from cimlab.core.errors import LimitError
from tests.board.stub import StubHal


@pytest.mark.parametrize("v_read", [5e-324, 1e-310, 1e-3, 0.1])
def test_every_dac_code_may_be_read_below_the_limit(v_read: float) -> None:
    hal = CountingHal(StubHal())
    hal.configure(v_read, 1e-6, (1e-5,) * hal.info.tiles)
    hal.check_read(255, 1)
    with pytest.raises(LimitError, match="256"):
        hal.check_read(256, 1)
