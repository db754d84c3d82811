"""The figure of a calibration shows what was measured."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from unitcircle.dynamics import calibrate_, plot_calibration
from unitcircle.torch import initialize_


@pytest.mark.parametrize("criterion", ["gradient_ratio", "typical_direction"])
def test_the_curve_and_the_gain_are_drawn(criterion):
    model = nn.RNN(2, 8)
    initialize_(model, recurrent="orthogonal(gain=0.8)", bias="zeros", rng=0)
    xs = torch.randn(20, 4, 2, generator=torch.Generator().manual_seed(0))
    result = calibrate_(model, xs, criterion=criterion, grid=7)
    ax = plot_calibration(result, ax=Figure().subplots())
    (layer,) = result.layers
    line, *_ = ax.containers[0]
    np.testing.assert_array_equal(line.get_xdata(), layer.radii)
    np.testing.assert_array_equal(line.get_ydata(), layer.values / np.log(10))
    assert ax.lines[-1].get_xdata()[0] == layer.radius


def test_a_refusal_has_no_gain_and_gated_layers_no_curve():
    model = nn.RNN(2, 8)
    initialize_(model, recurrent="orthogonal(gain=0.1)", bias="zeros", rng=0)
    result = calibrate_(model, 1e-6 * torch.ones(20, 4, 2), radii=(0.3, 0.6))
    ax = plot_calibration(result, ax=Figure().subplots())
    assert "refused" in ax.get_legend().get_texts()[0].get_text()
    ax = plot_calibration(calibrate_(nn.LSTM(2, 8), torch.ones(20, 4, 2)), ax=Figure().subplots())
    assert ax.get_legend() is None
