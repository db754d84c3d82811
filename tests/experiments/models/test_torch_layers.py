"""Cells against nn.RNN, nn.LSTM and nn.GRU: states and gradients."""

from functools import partial

import pytest
import torch
from tests.experiments.models.cases import close, parameters_of, random_loss, sequences
from torch import nn

from unitcircle.experiments.models import GRU, LSTM, ReLU, Tanh, TrainableCell

N, M, T, B = 6, 3, 40, 5
CASES = {
    "tanh": (Tanh(size=N), lambda: nn.RNN(M, N)),
    "relu": (ReLU(size=N), lambda: nn.RNN(M, N, nonlinearity="relu")),
    "lstm": (LSTM(size=N), lambda: nn.LSTM(M, N)),
    "gru": (GRU(size=N), lambda: nn.GRU(M, N)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", CASES)
def test_states_and_gradients_are_those_of_torch(kind, dtype):
    cell, make = CASES[kind]
    values = {key: v.requires_grad_() for key, v in parameters_of(cell, 2, M, dtype=dtype).items()}
    x = sequences(2, T, B, M, dtype=dtype).requires_grad_()
    hidden, state = cell.scan(values, x)
    grads = torch.autograd.grad(random_loss([hidden, *state]), [*values.values(), x])
    found = dict(zip([*values, "x"], grads, strict=True))
    outputs, finals, layers, inputs = [], [], [], []
    for run in range(2):
        layer = make().to(dtype)
        with torch.no_grad():
            layer.weight_hh_l0.copy_(values["recurrent"][run])
            layer.weight_ih_l0.copy_(values["input"][run])
            layer.bias_ih_l0.copy_(values["bias"][run])
            layer.bias_hh_l0.zero_()
            if kind == "gru":
                layer.bias_hh_l0[2 * N :] = values["candidate_bias"][run]
        inputs.append(x[run].detach().clone().requires_grad_())
        output, final = layer(inputs[-1])
        outputs.append(output)
        finals.append([part[0] for part in final] if kind == "lstm" else [final[0]])
        layers.append(layer)
    expected = [torch.stack(outputs), *(torch.stack(parts) for parts in zip(*finals, strict=True))]
    random_loss(expected).backward()
    # T steps of sums over N + M products, in another order.
    multiple = 8 * T * (N + M)
    for a, b in zip([hidden, *state], expected, strict=True):
        assert close(a, b, multiple=multiple)
    for run, layer in enumerate(layers):
        assert close(found["recurrent"][run], layer.weight_hh_l0.grad, multiple=multiple)
        assert close(found["input"][run], layer.weight_ih_l0.grad, multiple=multiple)
        assert close(found["bias"][run], layer.bias_ih_l0.grad, multiple=multiple)
        assert close(found["x"][run], inputs[run].grad, multiple=multiple)
        if kind == "gru":
            assert close(found["candidate_bias"][run], layer.bias_hh_l0.grad[2 * N :], multiple=multiple)


def test_an_lstms_last_state_alone_gives_the_bits_of_the_whole_scan():
    cell, _ = CASES["lstm"]
    values = parameters_of(cell, 3, M, dtype=torch.float32)
    x = sequences(3, T, B, M, dtype=torch.float32)
    readout = parameters_of(Tanh(size=N), 3, 2, dtype=torch.float32)
    V, c = readout["recurrent"], readout["bias"]

    def trained(answers):
        leaves = {key: v.clone().requires_grad_() for key, v in values.items()}
        outputs = answers(leaves, x, V, c)
        return [outputs, *torch.autograd.grad(random_loss([outputs]), list(leaves.values()))]

    # A cell's default scans all states and reads the last.
    for a, b in zip(trained(cell.answers), trained(partial(TrainableCell.answers, cell)), strict=True):
        assert a.abs().max() > 0
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_weights_are_the_gate_blocks(kind):
    cell, make = CASES[kind]
    values = parameters_of(cell, 2, M)
    blocks = cell.recurrent_weights(values)
    assert "".join(blocks) == {"lstm": "ifgo", "gru": "rzn"}[kind]
    assert torch.equal(torch.cat(list(blocks.values()), 1), values["recurrent"])
    assert make().weight_hh_l0.shape == values["recurrent"].shape[1:]
