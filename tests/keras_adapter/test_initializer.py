"""``unitcircle.keras.Initializer``: what Keras stores is what the specification promises, block by block."""

import json

import keras
import numpy as np
import pytest

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, DtypeError, ShapeError
from unitcircle.initializers import Constant, ForgetBias, Initializer, Orthogonal, parse
from unitcircle.keras import Initializer as KerasInitializer
from unitcircle.recurrence import from_keras

N = 24
WEIGHTS = sorted({cls.name for cls in Initializer.registry.values() if cls.axes == 2})
COMPLEX = {"ring", "unitary_evolution"}
REAL = [name for name in WEIGHTS if name not in COMPLEX]
DTYPES = ["float32", "bfloat16", "float16"]
if keras.backend.backend() == "torch":  # JAX has float64 only where the whole process has
    DTYPES.append("float64")


def blocks_of(kernel, gates):
    """Return the gate blocks in our convention, still in the type and library they are stored in."""
    return [keras.ops.transpose(block) for block in keras.ops.split(kernel, gates, axis=1)]


def test_the_catalogue_is_covered():
    assert {"orthogonal", "eigen", "sparse", "chain", "gaussian", "low_rank"} <= set(REAL)
    assert set(WEIGHTS) >= COMPLEX


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REAL)
def test_every_block_keeps_the_promise_in_every_type(name, dtype):
    init = parse(name)
    for gates in (1, 3, 4):
        kernel = KerasInitializer(init, seed=gates)((N, gates * N), dtype)
        assert keras.backend.standardize_dtype(kernel.dtype) == dtype
        for block in blocks_of(kernel, gates):
            init.certificate(block).require()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REAL)
def test_the_numbers_are_those_of_numpy_in_our_convention(name, dtype):
    init, rng = parse(name), np.random.default_rng(5)
    kernel = KerasInitializer(init, seed=5)((N, 4 * N), dtype)
    for block in blocks_of(kernel, 4):
        expected = keras.ops.convert_to_tensor(init(rng.standard_normal((N, N))), dtype=dtype)
        np.testing.assert_array_equal(to_numpy(block), to_numpy(expected))


@pytest.mark.parametrize("name", ["xavier_uniform", "kaiming_normal", "lecun_normal", "orthogonal"])
def test_input_kernels_have_their_own_fans(name):
    init = parse(name)
    kernel = KerasInitializer(init, seed=0, gates=4)((7, 4 * 50))
    for block in blocks_of(kernel, 4):
        assert tuple(block.shape) == (50, 7)
        init.certificate(block).require()


def test_gates_given_win_over_the_shape():
    whole = blocks_of(KerasInitializer("orthogonal", seed=0, gates=1)((8, 24)), 1)[0]
    Orthogonal().certificate(whole).require()
    three = blocks_of(KerasInitializer("orthogonal", seed=0)((8, 24)), 3)
    four = blocks_of(KerasInitializer("orthogonal", seed=0, gates=4)((8, 24)), 4)
    for block in three + four:
        Orthogonal().certificate(block).require()
    assert [tuple(block.shape) for block in (three[0], four[0])] == [(8, 8), (6, 8)]


@pytest.mark.parametrize("layer", [keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN])
@pytest.mark.parametrize("policy", ["float32", "bfloat16", "mixed_bfloat16"])
def test_layers_are_born_with_orthogonal_gates(layer, policy):
    made = layer(N, recurrent_initializer=KerasInitializer("orthogonal(gain=0.9)", seed=0), dtype=policy)
    made.build((None, None, 3))
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[layer.__name__]
    blocks = blocks_of(made.cell.recurrent_kernel.value, gates)
    for block in blocks:
        Orthogonal(gain=0.9).certificate(block).require()
    assert len({to_numpy(block).tobytes() for block in blocks}) == gates


def test_calling_again_draws_anew_and_a_seed_fixes_the_sequence():
    first, second = (KerasInitializer("gaussian", seed=3) for _ in range(2))
    draws = [to_numpy(first((4, 4))) for _ in range(3)]
    assert len({draw.tobytes() for draw in draws}) == 3
    for draw in draws:
        np.testing.assert_array_equal(to_numpy(second((4, 4))), draw)
    unseeded = [to_numpy(KerasInitializer("gaussian")((4, 4))).tobytes() for _ in range(2)]
    assert unseeded[0] != unseeded[1]


def test_global_seeds_are_neither_read_nor_changed():
    # Keras's set_random_seed would seed NumPy, torch and Python for every other test of this process.
    state = np.random.get_state()[1].tobytes()  # noqa: NPY002  (the state that must not move)
    KerasInitializer("gaussian")((4, 4))
    assert np.random.get_state()[1].tobytes() == state  # noqa: NPY002


@pytest.mark.parametrize("name", [*WEIGHTS, "chrono", "forget_bias"])
def test_configuration_round_trip(name):
    made = KerasInitializer(parse(name), seed=7, gates=4)
    config = json.loads(json.dumps(keras.initializers.serialize(made)))
    assert config["registered_name"] == "unitcircle>Initializer"
    back = keras.initializers.deserialize(config)
    assert isinstance(back, KerasInitializer)
    assert (back.spec, back.seed, back.gates) == (made.spec, 7, 4)
    assert back.get_config() == made.get_config()
    if name in REAL:
        np.testing.assert_array_equal(to_numpy(back((8, 32))), to_numpy(made((8, 32))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_of_an_lstm(dtype):
    layer = keras.layers.LSTM(
        N,
        recurrent_initializer=KerasInitializer("orthogonal"),
        bias_initializer=KerasInitializer("chrono(max_steps=50)", 0, 4),
        unit_forget_bias=False,
        dtype=dtype,
    )
    layer.build((None, None, 3))
    made = from_keras(layer.cell.recurrent_kernel.value, cell="lstm", bias=layer.cell.bias.value)
    parse("chrono(max_steps=50)").certificate(layer.cell.bias.value[N : 2 * N]).require()
    np.testing.assert_array_equal(made.biases["i"], -made.biases["f"])
    assert made.biases["f"].min() >= 0
    assert not made.biases["g"].any()
    assert not made.biases["o"].any()


@pytest.mark.parametrize("reset_after", [True, False])
def test_bias_of_a_gru_sets_the_gate_that_keeps(reset_after):
    gates = None if reset_after else 3
    bias_initializer = KerasInitializer("forget_bias(value=30)", 0, gates)
    layer = keras.layers.GRU(4, bias_initializer=bias_initializer, reset_after=reset_after)
    layer.build((None, None, 3))
    bias = to_numpy(layer.cell.bias.value)
    assert bias.shape == ((2, 12) if reset_after else (12,))
    np.testing.assert_array_equal(bias.ravel()[:12], [30.0] * 4 + [0.0] * 8)
    assert not bias.ravel()[12:].any()
    # At z = 1 − 1e-13 the state stays what it is, whatever comes in: the gate that was set is the one that keeps.
    state = keras.ops.convert_to_tensor(np.linspace(-1, 1, 4)[None], dtype="float32")
    inputs = keras.ops.convert_to_tensor(np.full((1, 3), 5.0), dtype="float32")
    np.testing.assert_array_equal(to_numpy(layer.cell(inputs, state)[0]), to_numpy(state))


def test_vectors_of_initializers_that_make_every_entry_alike():
    assert to_numpy(KerasInitializer(Constant(0.25))((5,))).tolist() == [0.25] * 5
    assert not to_numpy(KerasInitializer("zeros")((5,))).any()


@pytest.mark.parametrize(
    ("spec", "gates", "shape", "error", "words"),
    [
        ("orthogonal", None, (5,), ShapeError, "2 axes"),
        ("orthogonal", None, (3, 4, 5), ShapeError, "2 axes"),
        ("orthogonal", 4, (5, 18), ShapeError, "4 gates"),
        ("eigen", None, (5, 6), ShapeError, "square"),
        ("eigen", 4, (5, 24), ShapeError, "square"),
        ("ring", None, (8, 32), ArgumentError, "real"),
        ("unitary_evolution", None, (8, 32), ArgumentError, "real"),
        ("chrono", None, (12,), ArgumentError, "4 .LSTM. or 3 .GRU."),
        ("chrono", 4, (10,), ShapeError, "unit_forget_bias=False"),
        ("chrono", 4, (2, 12), ShapeError, "4 gates"),
        ("chrono", 3, (3, 12), ShapeError, "3 gates"),
        ("forget_bias", 1, (12,), ArgumentError, "4 .LSTM. or 3 .GRU."),
    ],
)
def test_what_does_not_fit_is_refused_in_words(spec, gates, shape, error, words):
    with pytest.raises(error, match=words):
        KerasInitializer(spec, gates=gates)(shape)


@pytest.mark.parametrize(("option", "value"), [("gates", 0), ("seed", -1), ("seed", 0.5)])
def test_arguments_are_checked(option, value):
    with pytest.raises(ArgumentError, match=option):
        KerasInitializer("orthogonal", **{option: value})


@pytest.mark.parametrize("dtype", ["int32", "complex64"])
def test_types_without_real_fractions_are_refused(dtype):
    with pytest.raises(DtypeError, match="real floating"):
        KerasInitializer("orthogonal")((4, 4), dtype)


def test_ours_are_told_apart():
    assert not isinstance(KerasInitializer("zeros"), Initializer)
    assert isinstance(KerasInitializer(ForgetBias(2)).spec, Initializer)
    assert isinstance(KerasInitializer("zeros"), keras.initializers.Initializer)
