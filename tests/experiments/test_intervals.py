import numpy as np
import pytest
from scipy.stats import ttest_ind

from experiments.lib.intervals import difference_interval


@pytest.mark.parametrize("sizes", [(3, 3), (2, 5)])
def test_equals_welch_of_scipy(sizes):
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.7, 0.01, sizes[0]), rng.normal(0.6, 0.1, sizes[1])
    expected = ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    actual = difference_interval(first.tolist(), second.tolist(), confidence=0.9)
    assert actual == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_without_spread():
    assert difference_interval([0.75, 0.75], [0.5, 0.5]) == (0.25, 0.25)
