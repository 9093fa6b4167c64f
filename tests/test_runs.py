"""Runs of True are found where they are."""

from itertools import pairwise

import numpy as np
from hypothesis import given, strategies as st

from speechcmp.runs import find_runs


@given(st.lists(st.booleans(), max_size=12))
def test_runs_are_the_longest_stretches_of_true(values: list[bool]) -> None:
    runs = find_runs(np.array(values, bool)).tolist()
    rebuilt = [False] * len(values)
    for start, stop in runs:
        assert start < stop
        rebuilt[start:stop] = [True] * (stop - start)
    assert rebuilt == values
    assert all(before[1] < after[0] for before, after in pairwise(runs))
