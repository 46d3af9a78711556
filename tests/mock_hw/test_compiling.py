"""Whoever waits for the compiler is told so, and only then."""

import os
import subprocess
import sys

DRAW = """
from cimlab.mock_hw.compiling import announced
from cimlab.mock_hw.philox import key_of
from cimlab.mock_hw.threefry import pair_keys
announced()
announced()
for seed in (0, 1):
    print(pair_keys(key_of(seed), 5, 1, 2).sum())
"""


def test_a_word_is_said_once_where_something_is_compiled(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, later = (
        subprocess.run(
            [sys.executable, "-c", DRAW],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    )
    assert first.stderr.count("compiling the simulated chip") == 1
    assert later.stderr == ""
    assert first.stdout == later.stdout
