"""Equal layers that are stepped together against the reference step and its derivative, layer by layer."""

from dataclasses import replace

import numpy as np
import pytest

from unitcircle.diagnosis import drive
from unitcircle.diagnosis._driven import drive_together
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import EqualLayers, from_torch, jvp, kind_of, step

EPS, EPS32 = (float(np.finfo(kind).eps) for kind in (float, np.float32))
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1, "linear": 1}


def layers_of(kind, *, n=6, m=3, count=3):
    rng = np.random.default_rng(0)
    cell, _, part = kind.partition(" ")
    k = GATES[cell]

    def layer():
        biases = {} if cell == "linear" else {name: rng.standard_normal(k * n) for name in ("bias_ih", "bias_hh")}
        W, U = rng.standard_normal((k * n, n)) / n**0.5, rng.standard_normal((k * n, m))
        made = from_torch(W, cell=cell, weight_ih=U if m else None, **biases)
        if part == "peepholes":
            return replace(made, peepholes={gate: rng.standard_normal(n) for gate in "ifo"})
        if part == "early reset":
            return replace(made, reset_after=False)
        return replace(made, leak=rng.uniform(0.2, 1, n)) if part == "leaky" else made

    return [layer() for _ in range(count)]


KINDS = [*GATES, "lstm peepholes", "gru early reset", "rnn_tanh leaky"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m", [0, 3])
def test_a_step_of_equal_layers_is_that_of_each(kind, m):
    layers = layers_of(kind, m=m)
    together, rng = EqualLayers(layers), np.random.default_rng(1)
    s = together.state_size
    x, state = rng.standard_normal((2, m)), rng.standard_normal((3, s, 2))
    tangents = rng.standard_normal((3, s, 2, 5))
    drives = together.drives(x.T if m else None)
    after, pushed = together.advance(drives, state, tangents)
    np.testing.assert_array_equal(together.step(drives, state), after)
    for k, layer in enumerate(layers):
        inputs = x if m else None
        np.testing.assert_allclose(after[k].T, step(layer, inputs, state[k].T), atol=64 * EPS)
        expected = jvp(layer, inputs, state[k].T, np.moveaxis(tangents[k], 1, 0))
        np.testing.assert_allclose(np.moveaxis(pushed[k], 1, 0), expected, atol=256 * EPS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_driven_dynamics_are_those_of_the_reference(kind):
    layers = layers_of(kind)
    steps, rng = 9, np.random.default_rng(5)
    inputs = rng.standard_normal((2 * steps, 4, 3))
    probes = rng.standard_normal((4, layers[0].state_size, 8))
    for layer, found in zip(layers, drive_together(layers, steps=steps, rng=5), strict=True):
        state, tangents, logs = np.zeros((4, layer.state_size)), probes, [np.zeros(4)]
        for t, x in enumerate(inputs):
            if t >= steps:
                tangents = jvp(layer, x, state, tangents)
                logs.append(np.log(np.linalg.norm(tangents, axis=(1, 2)) / np.linalg.norm(probes, axis=(1, 2))))
            state = step(layer, x, state)
        np.testing.assert_allclose(found.log_growth, np.mean(logs, axis=1), atol=1024 * EPS)
        np.testing.assert_allclose(found.spread, np.std(logs, axis=1), atol=1024 * EPS)
        alone = drive(layer, steps=steps, rng=5)
        np.testing.assert_allclose(found.log_growth, alone.log_growth, atol=1024 * EPS)
        assert (found.saturation, found.inputs) == (pytest.approx(alone.saturation), alone.inputs)


def test_a_layer_that_explodes_leaves_the_others_alone():
    layers = layers_of("rnn_relu")
    wild = replace(layers[1], gates={"h": 1e150 * np.abs(layers[1].gates["h"])})
    calm, exploded, _ = drive_together([layers[0], wild, layers[2]], steps=8, rng=0)
    assert np.isposinf(exploded.log_growth[-1])
    np.testing.assert_array_equal(calm.log_growth, drive_together(layers, steps=8, rng=0)[0].log_growth)


def test_layers_of_different_kinds_are_refused():
    mixed = [layers_of("gru")[0], layers_of("lstm")[0]]
    assert kind_of(mixed[0]) != kind_of(mixed[1])
    with pytest.raises(ArgumentError, match="gru, lstm"):
        EqualLayers(mixed)
    with pytest.raises(ArgumentError, match="none"):
        EqualLayers([])


def large_lstm(dtype, n=256):
    rng = np.random.default_rng(1)
    parts = {"weight_ih": (4 * n, 3), "bias_ih": 4 * n, "bias_hh": 4 * n}
    made = {name: (rng.uniform(-1, 1, shape) / n**0.5).astype(dtype) for name, shape in parts.items()}
    return from_torch((rng.uniform(-1, 1, (4 * n, n)) / n**0.5).astype(dtype), cell="lstm", **made)


def test_a_large_layer_is_driven_in_the_precision_that_it_has():
    single, double = (drive(large_lstm(dtype), steps=12) for dtype in (np.float32, np.float64))
    assert not np.array_equal(single.log_growth, double.log_growth)
    assert np.allclose(single.log_growth, double.log_growth, rtol=0, atol=256 * EPS32)
    assert np.allclose(single.spread, double.spread, rtol=0, atol=256 * EPS32)


def test_what_single_precision_cannot_hold_is_driven_in_double():
    rng = np.random.default_rng(0)
    W, U = (100 * rng.normal(size=(256, k)) / 16 for k in (256, 1))
    single, double = (
        drive(from_torch(W.astype(dtype), cell="linear", weight_ih=U.astype(dtype)), steps=30)
        for dtype in (np.float32, np.float64)
    )
    assert single.log_growth[-1] > 130  # the states of 60 steps reach 1e120
    assert np.allclose(single.log_growth, double.log_growth, rtol=256 * EPS32)
