"""The filter against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.fit import brram
from cimlab.fit.histories import histories
from cimlab.fit.moments import Moves, _clipped, log_likelihood, open_loop, predict, repeated
from cimlab.fit.synthetic import Lab
from cimlab.mock_hw.devices.brram import BulkRram

shares = st.floats(0, 1)


@given(keep=shares, scatter=shares, noise=shares, count=st.integers(1, 12))
def test_equal_steps_in_closed_form_are_the_steps_one_by_one(keep, scatter, noise, count):
    mean, square, offset = 1.0, 1.0, 0.0  # of the distance from 1 without noise, and of noise
    for _ in range(count):
        mean, square = mean * keep, square * (keep**2 + scatter)
        offset = offset * (keep**2 + scatter) + noise
    k, s, n = repeated(np.array(keep), np.array(scatter), np.array(noise), np.array(count))
    assert (k, s + k * k, n) == pytest.approx((mean, square, offset), rel=1e-9, abs=1e-12)


@given(
    mean=st.floats(-3, 3), sigma=st.floats(0.01, 3), low=st.floats(-2, 0), width=st.floats(0.1, 4)
)
def test_moments_of_a_gaussian_that_is_cut_off(mean, sigma, low, width):
    z = np.linspace(-9, 9, 40001)
    weight = np.exp(-z * z / 2)
    weight /= weight.sum()
    cut = np.clip(mean + sigma * z, low, low + width)
    first = weight @ cut
    second = weight @ (cut - first) ** 2
    found = _clipped(*(np.array([x]) for x in (mean, sigma**2, low, low + width, True)))
    assert found[0][0] == pytest.approx(first, abs=1e-4)
    assert found[1][0] == pytest.approx(second, abs=1e-4 * (1 + sigma))


def gaussian(steps, cells=3):
    """Histories of a cell that moves half-way to 10 with noise 1, and what the law says of it."""
    lab = Lab(BulkRram(), cells)
    lab.run(np.append(0.0, np.full(steps, 2.0)))
    data = histories(lab.tables)
    pulsed = (data.v != 0)[:, None]
    zero = np.zeros(1)
    return data, Moves(
        np.full((1, 1, 1), 10.0),
        np.where(pulsed, 0.5, 1.0),
        zero,
        np.where(pulsed, 1.0, 0.0),
        np.array([16.0]),
    )


def test_likelihood_of_a_linear_gaussian_is_exact():
    """All readings together are one Gaussian, whose density numpy can write down."""
    data, moves = gaussian(4)
    found = log_likelihood(*predict(data, moves))[0]
    g = data.g
    # given the first reading y0: g0 ~ N(y0, 1), then three lines of the recursion
    for c in range(g.shape[1]):
        mean, cov = np.array([g[0, c]]), np.array([[1.0]])
        states = [mean[0]]
        big = np.zeros((5, 5))
        big[0, 0] = cov[0, 0]
        for t in range(1, 5):
            states.append(10 + 0.5 * (states[-1] - 10))
            big[t, :t] = big[:t, t] = 0.5 * big[t - 1, :t]
            big[t, t] = 0.25 * big[t - 1, t - 1] + 1.0
        total = big[1:, 1:] + np.eye(4)
        off = g[1:, c] - states[1:]
        expected = -0.5 * (
            off @ np.linalg.solve(total, off) + np.log(np.linalg.det(2 * np.pi * total))
        )
        assert found[c] == pytest.approx(expected, rel=1e-9)


def test_open_loop_never_looks_at_later_readings():
    data, moves = gaussian(6)
    before = open_loop(data, moves)
    data.g[1:] = 0.0
    np.testing.assert_array_equal(open_loop(data, moves), before)
    assert before[3, 0] == pytest.approx(10 + (data.g[0] - 10) / 8)


def test_deviations_of_true_parameters_are_standard_normal():
    truth = BulkRram(c2c=0.4)
    lab = Lab(truth, 40, seed=3)
    lab.run(np.tile(np.r_[np.full(12, 2.0), np.full(12, -1.8)], 5))
    data = histories(lab.tables)
    up, down, low, high = lab.traits.astype(float)
    thresholds = truth.v_set - up * truth.slope_set, truth.v_reset - down * truth.slope_reset
    traits = np.stack([*thresholds, np.log(1e6 * low), np.log(1e6 * high)], axis=1)
    logs = np.log([truth.slope_set, truth.slope_reset, truth.c2c, 1e6 * truth.sigma_read])
    shared = np.array([[*logs[:2], truth.width_exponent, *logs[2:]]])
    deviation, variance = predict(data, brram.law(data, traits[None], shared))
    standard = (deviation / np.sqrt(variance))[1:]
    assert abs(standard.mean()) < 4 / np.sqrt(standard.size)
    assert abs(np.mean(standard**2) - 1) < 5 * np.sqrt(2 / standard.size)
