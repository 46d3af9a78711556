"""What a self-test says of a sound array, and of arrays with something wrong."""

import dataclasses

import numpy as np
import pytest

import cimlab
from cimlab.protocols.self_test import Check, self_test


def checks(station: str = "model:?tiles=2", **settings: object) -> dict[str, Check]:
    with cimlab.open(station) as array:
        array.configure(dataclasses.replace(array.converters, **settings))
        before = array.counters()
        found = {check.name: check for check in self_test(array)}
        np.testing.assert_array_equal(array.counters(), before)
    return found


def test_a_sound_array_passes_and_no_cell_was_pulsed() -> None:
    found = checks()
    assert list(found) == ["reads", "ramp", "Kirchhoff", "ground"]
    assert all(check.passed and not check.advice for check in found.values())


@pytest.mark.parametrize(
    ("settings", "name", "advice"),
    [
        ({"v_gate": 0.0}, "reads", "no current"),
        ({"i_read": 1e-7}, "reads", "raise i_read"),
        ({"i_vmm": (1e-7, 1e-7)}, "ramp", "raise i_vmm"),
    ],
)
def test_what_is_wrong_is_found_and_advised_on(
    settings: dict[str, object], name: str, advice: str
) -> None:
    check = checks(**settings)[name]
    assert not check.passed
    assert advice in check.advice
