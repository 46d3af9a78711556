"""Philox against its authors' known answers, and the normals against the normal distribution."""

import numba
import numpy as np
import pytest
from scipy import stats

from cimlab.mock_hw.philox import U32, CellDraws, Stream, key_of, philox


@numba.njit
def _one(counter, key):
    return philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


# Random123's kat_vectors, philox4x32 with 10 rounds
KNOWN = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter, key, answer):
    words = [np.array([int(w, 16) for w in text.split()], U32) for text in (counter, key)]
    assert [f"{int(w):08x}" for w in _one(*words)] == answer.split()


def _draws(seed=1, n=100_000, event=0, stream=Stream.READ):
    return CellDraws(key_of(seed), stream, np.arange(n), np.full(n, event, U32))


def test_normals_are_normal():
    draws = _draws()
    z = np.concatenate([draws.normal(k) for k in range(8)]).astype(np.float64)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    # moments within four standard errors of a million draws
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / n)
    # the tail: P(|z| > 4) = 6.33e-5
    tail = int((np.abs(z) > 4).sum())
    assert stats.binomtest(tail, n, 6.334e-5).pvalue > 1e-3


@pytest.mark.parametrize("word", [0, 0xFFFFFFFF])
def test_uniforms_of_the_extreme_words_are_within_0_and_1(word, monkeypatch):
    drawn = CellDraws(key_of(1), Stream.BORN, np.arange(3), np.zeros(3, U32))
    monkeypatch.setattr(drawn, "_words", lambda _: np.full((4, 3), word, U32))
    u = drawn.uniform(0)
    assert u.dtype == np.float32
    assert (u > 0).all()
    assert (u < 1).all()


def test_uniforms_are_uniform():
    u = np.concatenate([_draws().uniform(k) for k in range(5)])
    assert u.dtype == np.float32
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3


def test_cells_events_streams_and_seeds_are_independent():
    base = _draws().normal(0)
    others = [
        _draws().normal(1),
        _draws(event=1).normal(0),
        _draws(stream=Stream.PULSE).normal(0),
        _draws(seed=2).normal(0),
        _draws(seed=1 << 32 | 1).normal(0),
        np.roll(base, 1),
    ]
    for other in others:
        assert abs(np.corrcoef(base, other)[0, 1]) < 4.5 / np.sqrt(base.size)


def test_a_number_depends_only_on_its_cell_and_event():
    whole = _draws(n=1000)
    some = np.array([3, 500, 999])
    part = CellDraws(key_of(1), Stream.READ, some, np.zeros(3, U32))
    for k in range(6):
        np.testing.assert_array_equal(part.normal(k), whole.normal(k)[some])
        np.testing.assert_array_equal(part.uniform(k), whole.uniform(k)[some])
