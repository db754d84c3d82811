"""``unitcircle.torch.to_layers``: what a file of the model's state dict holds, with the weights that act."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import unitcircle as uc
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import Cell, step
from unitcircle.torch import RecurrentTensors, parametrize_orthogonal, recurrent_tensors, to_layers

N = 6
EPS = np.finfo(float).eps


def every_kind():
    """Return a model in which recurrent layers of every kind stand."""
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "lstm": nn.LSTM(3, N, num_layers=2, bidirectional=True, proj_size=2),
            "gru": nn.GRU(3, N, bias=False),
            "rnn": nn.RNN(3, N),
            "cells": nn.ModuleList([nn.LSTMCell(3, N), nn.GRUCell(3, N), nn.RNNCell(3, N)]),
            "h2h": nn.Linear(N, N),
            "readout": nn.Linear(N, 2),
        }
    )


def arrays(layer):
    """Return every array of a layer by name."""
    fields = {"gates": layer.gates, "inputs": layer.inputs, "biases": layer.biases, "in": layer.recurrent_biases}
    fields |= {f"parts {side}": blocks for side, blocks in layer.bias_parts.items()}
    named = {f"{field} {gate}": block for field, blocks in fields.items() for gate, block in blocks.items()}
    return named | ({} if layer.projection is None else {"projection": layer.projection})


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_layers_are_those_of_the_file(tmp_path, suffix):
    model, path = every_kind(), tmp_path / f"model{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(model.state_dict(), path)
    from_file = {layer.source.tensors[0]: layer for layer in uc.read(path)}
    layers = to_layers(model, linear=["h2h"])
    assert {layer.source.tensors[0] for layer in layers} == set(from_file)
    for layer in layers:
        twin = from_file[layer.source.tensors[0]]
        # A file holds no module: of a hand-written recurrence it knows the tensor alone.
        assert layer.label == twin.label.removesuffix(".weight")
        for field in ("cell", "layer", "direction", "reset_after", "activations"):
            assert getattr(layer, field) == getattr(twin, field)
        assert set(layer.source.tensors) == set(twin.source.tensors)
        assert layer.source.dtype == twin.source.dtype
        expected = arrays(twin)
        assert set(arrays(layer)) == set(expected)
        assert all(np.array_equal(block, expected[name]) for name, block in arrays(layer).items())


def test_labels_and_keys_are_stated_once():
    tensors = {t.key: t for t in recurrent_tensors(every_kind())}
    labels = ["lstm", "lstm l0 reverse", "lstm l1", "lstm l1 reverse", "gru", "rnn", "cells.0", "cells.1", "cells.2"]
    assert [t.label for t in tensors.values()] == labels
    assert [t.as_layer().label for t in tensors.values()] == labels
    assert list(tensors)[:5] == ["lstm.l0", "lstm.l0_reverse", "lstm.l1", "lstm.l1_reverse", "gru.l0"]
    assert tensors["lstm.l1_reverse"].name == "lstm.weight_hh_l1_reverse"


@pytest.mark.parametrize(
    ("model", "key", "label"),
    [(nn.LSTM(2, N), "l0", "lstm"), (nn.GRUCell(2, N), "GRUCell", "grucell"), (nn.RNN(2, N, 2), "l1", "rnn l1")],
)
def test_a_lone_module_is_named_by_its_class(model, key, label):
    last = list(RecurrentTensors.of(model))[-1]
    assert (last.key, last.label) == (key, label)
    x = torch.zeros((1, 2) if isinstance(model, nn.GRUCell) else (3, 1, 2))
    assert [layer.name for layer in uc.dynamics.driven_layers(model, x)][-1:] == [key]


def test_the_weight_that_acts_is_read_and_not_its_parameters():
    lstm = parametrize_orthogonal(nn.LSTM(3, N, dtype=torch.float64))
    (layer,) = to_layers(lstm)
    assert layer.name == "lstm"
    # Products of n terms, each rounded.
    for block in layer.gates.values():
        assert np.abs(block.T @ block - np.eye(N)).max() < 10 * N * EPS
    h = lstm(torch.ones(1, 1, 3, dtype=torch.float64))[0].detach().numpy()
    assert np.abs(step(layer, np.ones(3), np.zeros(2 * N))[:N] - h).max() < 10 * N * EPS


def test_no_parametrized_layer_is_missed():
    stack = nn.GRU(3, N, num_layers=6)
    for k in range(6):
        parametrizations.orthogonal(stack, f"weight_hh_l{k}")
    assert [layer.layer for layer in to_layers(stack)] == list(range(6))


def test_a_shared_weight_is_one_layer():
    model = nn.Sequential(nn.RNN(N, N), nn.RNN(N, N))
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    assert [layer.label for layer in to_layers(model)] == ["0"]


def test_activation_and_precision_are_those_of_the_module():
    (layer,) = to_layers(nn.RNN(2, N, nonlinearity="relu", dtype=torch.bfloat16))
    assert layer.cell is Cell.RNN_RELU
    assert layer.source.dtype == "bfloat16"
    assert layer.gates["h"].dtype == np.float32


@pytest.mark.parametrize(
    ("model", "linear", "error", "words"),
    [
        (nn.Linear(3, 3), (), ArgumentError, "must hold a recurrent layer; got Linear"),
        (nn.ModuleDict({"h2h": nn.Linear(3, 3)}), (), ArgumentError, r"linear=\['h2h'\]"),
        (nn.ModuleDict({"out": nn.Linear(3, 2)}), ["out"], ArgumentError, r"out.weight with shape \(2, 3\)"),
        (nn.LSTM(3, N), ["h2h"], UnknownNameError, "h2h"),
        (nn.LSTM(3, N, device="meta"), (), ArgumentError, "weight_hh_l0 on the meta device"),
    ],
)
def test_what_cannot_be_read_is_refused(model, linear, error, words):
    with pytest.raises(error, match=words):
        to_layers(model, linear=linear)
