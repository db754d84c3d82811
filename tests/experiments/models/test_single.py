"""One run as a recurrence: measured as torch's own layer is."""

import numpy as np
import pytest
import torch
from tests.experiments.models.cases import CELLS, parameters_of, sequences
from torch import nn

from unitcircle.dynamics import as_recurrence, gradient_flow, lyapunov_exponents
from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import LSTM, Stack, TrainableCell, select, step_of

EPS = np.finfo(float).eps


def test_lstm_is_measured_as_torch_measures_it():
    cell = LSTM(size=5)
    values = select(parameters_of(cell, 3, 2), 1)
    layer = nn.LSTM(2, 5).double()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(values["recurrent"][0])
        layer.weight_ih_l0.copy_(values["input"][0])
        layer.bias_ih_l0.copy_(values["bias"][0])
        layer.bias_hh_l0.zero_()
    step, state = step_of(cell, values)
    ours, x = as_recurrence(step, state=state, batched=True), sequences(1, 30, 4, 2)[0]
    exponents = lyapunov_exponents(ours, x)
    expected = lyapunov_exponents(layer, x)
    # 30 products of 10 × 10 Jacobians whose condition is that of their spread of exponents.
    assert np.allclose(exponents.exponents, expected.exponents, atol=1e6 * EPS)
    flow, other = (gradient_flow(model, x, loss=lambda h: h[..., :5].sum()) for model in (ours, as_recurrence(layer)))
    assert np.allclose(flow.log_norms, other.log_norms, atol=1e4 * EPS)


@pytest.mark.parametrize("name", [name for name in CELLS if TrainableCell.registry[name].recurrent])
def test_step_is_that_of_the_run_in_the_stack(name):
    cell = TrainableCell.parse(f"{name}(size=4)")
    values = parameters_of(cell, 3, 2)
    x = sequences(3, 8, 2, 2)
    _, expected = cell.scan(values, x)
    step, state = step_of(cell, select(values, 2))
    state = tuple(part.expand(2, -1) for part in state)
    for x_t in x[2]:
        state = step(x_t, state)
    for part, other in zip(state, expected, strict=True):
        assert torch.allclose(part, other[2], atol=64 * 8 * EPS)
    J = as_recurrence(step, state=state, batched=True).jacobian(x[2, 0], torch.cat(state, -1))
    assert J.shape == (2, cell.features * len(state), cell.features * len(state))
    assert J.isfinite().all()


def test_asks_for_one_run_of_a_recurrent_cell():
    cell = LSTM(size=4)
    with pytest.raises(ArgumentError, match="one run"):
        step_of(cell, parameters_of(cell, 2, 3))
    with pytest.raises(ArgumentError, match="recurrent"):
        step_of(Stack(size=4), parameters_of(Stack(size=4), 1, 3))
