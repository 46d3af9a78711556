"""Threefry against its authors' known answers, and the converters' normals against the normal."""

import numba
import numpy as np
import pytest
from scipy import stats

from cimlab.mock_hw.philox import U32, Stream, key_of
from cimlab.mock_hw.threefry import normal_pair, pair_keys, threefry


@numba.njit
def _one(words):
    return threefry(words[0], words[1], words[2], words[3])


@numba.njit
def _pairs(first, keys, out):
    for k in range(keys.shape[1]):
        for i in range(out.shape[2]):
            u, w = threefry(U32(first + i), U32(0), keys[0, k], keys[1, k])
            out[k, 0, i], out[k, 1, i] = normal_pair(u, w)


# Random123's kat_vectors, threefry2x32 with 20 rounds: counter, key, answer
KNOWN = [
    ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
    ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
    ("243f6a88 85a308d3", "13198a2e 03707344", "c4923a9c 483df7a0"),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter, key, answer):
    words = np.array([int(word, 16) for word in f"{counter} {key}".split()], U32)
    assert [f"{int(word):08x}" for word in _one(words)] == answer.split()


def _draws(seed=1, stream=Stream.VMM, first=0, n=25_000):
    """Normals (pairs, 2, n) of the 16 pairs of a tile."""
    keys = pair_keys(key_of(seed), stream, 2, 32)[0]
    out = np.empty((16, 2, n), np.float32)
    _pairs(first, keys, out)
    return out


def test_normals_are_normal():
    z = _draws().astype(np.float64).ravel()
    assert stats.kstest(z, "norm").pvalue > 1e-3
    # moments within four standard errors of 800,000 draws
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / n)
    # the tail: P(|z| > 4) = 6.33e-5
    assert stats.binomtest(int((np.abs(z) > 4).sum()), n, 6.334e-5).pvalue > 1e-3


def test_columns_vectors_streams_and_seeds_are_independent():
    base = _draws()
    n = base.shape[2]
    lanes = base.reshape(32, n)
    between = np.corrcoef(lanes)[np.triu_indices(32, 1)]
    # 496 coefficients: their spread, and the largest of them
    assert abs(between.std() * np.sqrt(n) - 1) < 0.15
    assert np.abs(between).max() < 5 / np.sqrt(n)
    for other in (
        _draws(stream=Stream.VMM_TRANSPOSED),
        _draws(seed=2),
        _draws(seed=1 << 32 | 1),
        np.roll(base, 1, axis=2),
        base**2,
    ):
        assert abs(np.corrcoef(base.ravel(), other.ravel())[0, 1]) < 4.5 / np.sqrt(base.size)


def test_a_normal_depends_only_on_its_pair_and_vector():
    np.testing.assert_array_equal(_draws(first=100, n=50), _draws(n=200)[:, :, 100:150])


def test_keys_of_pairs_differ():
    keys = pair_keys(key_of(3), Stream.VMM, 40, 64).transpose(0, 2, 1).reshape(-1, 2)
    assert len(np.unique(keys, axis=0)) == 40 * 32
