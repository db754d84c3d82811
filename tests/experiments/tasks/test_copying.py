"""Copying memory against its definition."""

import math

import numpy as np
import pytest
import torch
from tests.printed import half_unit

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Copying


@pytest.mark.parametrize("delay", [1, 20])
def test_ten_symbols_come_back_after_the_marker(delay):
    batch = Copying(delay).sample(np.random.default_rng(0), 500)
    assert batch.inputs.shape == batch.targets.shape == (delay + 20, 500)
    for x, y in zip(batch.inputs.T.tolist(), batch.targets.T.tolist(), strict=True):
        symbols = x[:10]
        assert set(symbols) <= set(range(1, 9))
        assert x == symbols + [0] * (delay - 1) + [9] + [0] * 10
        assert y == [0] * (delay + 10) + symbols
    share = np.bincount(batch.inputs[:10].ravel(), minlength=9)[1:] / 5000
    # Five standard errors of a share of 5,000.
    np.testing.assert_allclose(share, 1 / 8, atol=5 * np.sqrt(1 / 8 * 7 / 8 / 5000))


@pytest.mark.parametrize(("delay", "published"), [(20, 0.520), (50, 0.297), (1000, 0.0204)])
def test_guessing_among_eight_at_the_right_time_has_the_baseline(delay, published):
    task = Copying(delay)
    assert task.baseline == pytest.approx(published, abs=half_unit(3))
    batch = task.sample(np.random.default_rng(1), 20)
    outputs = torch.full((1, delay + 20, 20, 9), -math.inf, dtype=torch.float64)
    outputs[:, :-10, :, 0] = 0
    outputs[:, -10:, :, 1:] = 0
    targets = torch.from_numpy(batch.targets)[None]
    for measured in (task.losses(outputs, targets, None), task.scores(outputs, targets, None)):
        # Ten thousand float64 additions at most.
        assert float(measured) == pytest.approx(task.baseline, rel=1e4 * np.finfo(float).eps)
    assert task.solved(task.baseline / 11)
    assert not task.solved(task.baseline / 9)


def test_a_delay_below_one_is_refused():
    with pytest.raises(ArgumentError, match="delay must be at least 1 step; got 0"):
        Copying(0)
