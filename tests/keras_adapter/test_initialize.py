"""``unitcircle.keras.initialize_`` and ``to_layers``: every gate is what was asked, wherever its layer stands."""

import keras
import numpy as np
import pytest
from scipy.special import expit

import unitcircle as uc
from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, CertificateError, UnknownNameError
from unitcircle.initializers import Orthogonal
from unitcircle.keras import Initializer, initialize_, to_layers
from unitcircle.recurrence import GATES, step

N = 12
LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn_tanh": keras.layers.SimpleRNN}
CELLS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell, "rnn_tanh": keras.layers.SimpleRNNCell}
EPS = {"float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10, "float64": 2.0**-52}
DTYPES = [name for name in EPS if name != "float64" or keras.backend.backend() == "torch"]


# Keras's variables have an __array__ of before NumPy 2, through which it saves them.
saves = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def sequential(*layers, m=3):
    return keras.Sequential([keras.Input((5, m)), *layers])


def every_kind():
    """Return a model in which recurrent cells stand in every place Keras has for them."""
    inner = keras.Sequential([keras.Input((5, 4)), keras.layers.GRU(6, return_sequences=True)], name="inner")
    return sequential(
        keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), merge_mode="sum"),
        inner,
        keras.layers.RNN([keras.layers.GRUCell(4), keras.layers.LSTMCell(5)], return_sequences=True),
        keras.layers.RNN(keras.layers.SimpleRNNCell(4, activation="relu"), return_sequences=True, go_backwards=True),
        keras.layers.GRU(4, reset_after=False, use_bias=False, recurrent_activation="hard_sigmoid"),
    )


NAMES = [
    ("bidirectional/forward_lstm", "lstm", "forward"),
    ("bidirectional/backward_lstm", "lstm", "reverse"),
    ("inner/gru", "gru", "forward"),
    ("rnn/stacked_rnn_cells/gru_cell", "gru", "forward"),
    ("rnn/stacked_rnn_cells/lstm_cell", "lstm", "forward"),
    ("rnn_1/simple_rnn_cell", "rnn_relu", "reverse"),
    ("gru_1", "gru", "forward"),
]


@pytest.fixture(autouse=True)
def fresh_names():
    keras.utils.clear_session(free_memory=False)


def test_the_old_name_of_rng_still_works_and_says_the_new_one():
    models = [sequential(keras.layers.LSTM(N)) for _ in range(2)]
    initialize_(models[0], recurrent="orthogonal", rng=3)
    with pytest.warns(DeprecationWarning, match=r"initialize_\(seed=\) is now rng="):
        initialize_(models[1], recurrent="orthogonal", seed=3)
    kernels = [to_numpy(model.layers[0].cell.recurrent_kernel.value) for model in models]
    assert np.array_equal(*kernels)


def test_cells_are_found_wherever_they_stand():
    model = every_kind()
    assert [(layer.name, str(layer.cell), layer.direction) for layer in to_layers(model)] == NAMES
    done = initialize_(model, recurrent="orthogonal", rng=0)
    assert list(dict.fromkeys(block.tensor for block in done.filled)) == [f"{n}/recurrent_kernel" for n, _, _ in NAMES]
    for layer in to_layers(model):
        for block in layer.gates.values():
            Orthogonal().certificate(block).require()


@pytest.mark.parametrize(
    "activation",
    [
        *("leaky_relu", "gelu", "hard_sigmoid", keras.layers.LeakyReLU(0.1), keras.layers.ELU(0.5)),
        *(keras.layers.ReLU(negative_slope=0.3), keras.layers.Activation("tanh"), keras.ops.tanh),
    ],
)
def test_activations_are_the_functions_of_keras(activation):
    """leaky_relu has slope 0.2 in Keras and 0.01 in torch, hard_sigmoid divides by 6 since Keras 3."""
    model = sequential(keras.layers.SimpleRNN(N, activation=activation, return_sequences=True))
    (layer,) = to_layers(model)
    x = 2 * np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    state = np.zeros(N)
    for one, expected in zip(x, to_numpy(model(x[None]))[0], strict=True):
        state = step(layer, one, state)
        # 5 steps in single precision: 2 eps measured.
        np.testing.assert_allclose(state, expected, rtol=0, atol=16 * EPS["float32"])


def tanh(x):
    return keras.ops.tanh(2 * x)


@pytest.mark.parametrize(
    ("activation", "name"), [(tanh, "tanh(?)"), ("mish", "mish"), (keras.layers.ReLU(6.0), "relu(?)")]
)
def test_an_activation_of_another_function_is_not_known_by_its_name(activation, name):
    (layer,) = to_layers(sequential(keras.layers.SimpleRNN(N, activation=activation)))
    assert layer.activations == {"h": name}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_gate_of_both_directions_is_orthogonal(kind, dtype):
    # Keras's own orthogonal default cannot be drawn in half precision on torch.
    layer = LAYERS[kind](N, recurrent_initializer="zeros", dtype=dtype)
    model = sequential(keras.layers.Bidirectional(layer, dtype=dtype))
    done = initialize_(model, recurrent="orthogonal(gain=0.9)", rng=0)
    blocks = [block for layer in to_layers(model) for block in layer.gates.values()]
    assert len(done.filled) == len(blocks) == 2 * len(GATES[kind])
    assert all(block.certificate.holds for block in done.filled)
    assert len({block.tobytes() for block in blocks}) == len(blocks)
    assert {layer.source.dtype for layer in to_layers(model)} == {dtype}
    for block in blocks:
        gram = block.T.astype(float) @ block / 0.81
        assert np.abs(gram - np.eye(N)).max() <= 10 * N * EPS[dtype]


@pytest.mark.parametrize("kind", CELLS)
def test_cells_on_their_own(kind):
    cell = CELLS[kind](N)
    cell.build((None, 3))
    initialize_(cell, recurrent="eigen", input="xavier_uniform", rng=0)
    (layer,) = to_layers(cell)
    assert layer.name == cell.name
    for block in layer.gates.values():
        np.testing.assert_allclose(
            np.abs(np.linalg.eigvals(block)), 0.95, rtol=0, atol=100 * N * np.finfo(np.float32).eps
        )


def test_a_seed_fixes_the_numbers_of_a_whole_model_and_they_are_numpys():
    model = sequential(keras.layers.LSTM(N))
    initialize_(model, recurrent="orthogonal", input="xavier_normal", rng=4)
    rng = np.random.default_rng(4)
    (layer,) = to_layers(model)
    for blocks, spec, shape in ((layer.gates, "orthogonal", (N, N)), (layer.inputs, "xavier_normal", (N, 3))):
        for block in blocks.values():  # i f g o is Keras's order as well
            expected = uc.initializers.parse(spec)(rng.standard_normal(shape))
            np.testing.assert_array_equal(block, expected.astype(np.float32))
    before = layer.gates["i"].copy()
    initialize_(model, recurrent="orthogonal")
    assert not np.array_equal(to_layers(model)[0].gates["i"], before)


def test_what_was_not_asked_is_left_alone():
    model = sequential(keras.layers.GRU(N), keras.layers.Dense(N))
    before = {variable.path: to_numpy(variable.value).copy() for variable in model.weights}
    initialize_(model, recurrent={"n": "orthogonal"}, rng=0)
    moved = [v.path for v in model.weights if not np.array_equal(to_numpy(v.value), before[v.path])]
    assert moved == [model.layers[0].cell.recurrent_kernel.path]
    kernel = to_numpy(model.layers[0].cell.recurrent_kernel.value)
    np.testing.assert_array_equal(kernel[:, : 2 * N], before[moved[0]][:, : 2 * N])
    Orthogonal().certificate(kernel[:, 2 * N :]).require()


def test_gates_may_differ_and_go_by_our_names():
    model = sequential(keras.layers.LSTM(N))
    initialize_(model, recurrent={"g": "identity(scale=0.5)", "*": "orthogonal"}, rng=0)
    i, f, c, o = np.split(to_numpy(model.layers[0].cell.recurrent_kernel.value), 4, axis=1)
    np.testing.assert_array_equal(c, 0.5 * np.eye(N))
    for block in (i, f, o):
        Orthogonal().certificate(block).require()


def test_chrono_spreads_time_constants_up_to_the_length():
    model = sequential(keras.layers.LSTM(400))
    initialize_(model, bias="chrono(max_steps=100)", rng=0)
    i, f, c, o = np.split(to_numpy(model.layers[0].cell.bias.value).astype(float), 4)
    steps = 1 / (1 - expit(f))
    assert 2 <= steps.min() < 4
    assert 96 < steps.max() <= 100.001
    assert abs(np.median(steps) - 51) < 10  # uniform on (2, 100); ±4 standard errors of the median of 400
    np.testing.assert_array_equal(i, -f)
    assert not c.any()
    assert not o.any()


@pytest.mark.parametrize(
    ("spec", "first"),
    [("forget_bias(value=2)", [2.0, 0.0, 0.0]), ("constant(value=0.25)", [0.25] * 3), ("zeros", [0.0] * 3)],
)
def test_of_the_two_biases_of_a_gru_one_is_filled(spec, first):
    model = sequential(keras.layers.GRU(N, bias_initializer="ones"))
    initialize_(model, bias=spec)
    bias = to_numpy(model.layers[0].cell.bias.value)
    np.testing.assert_array_equal(bias, [np.repeat(first, N), np.zeros(3 * N)])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("lstm", {}), ("rnn_tanh", {}), ("gru", {"reset_after": True}), ("gru", {"reset_after": False})],
)
def test_layers_compute_what_keras_computes(kind, options):
    keras_layer = LAYERS[kind](N, bias_initializer=keras.initializers.RandomNormal(seed=1), **options)
    model = sequential(keras_layer)
    initialize_(model, recurrent="orthogonal", input="xavier_normal", rng=0)
    (layer,) = to_layers(model)
    x = np.random.default_rng(2).standard_normal((5, 7, 3))
    state = np.zeros((7, layer.state_size))
    for inputs in x:
        state = step(layer, inputs, state)
    output = to_numpy(model(keras.ops.convert_to_tensor(x.transpose(1, 0, 2), dtype="float32")))
    np.testing.assert_allclose(output, state[:, :N], rtol=0, atol=5 * 20 * N * np.finfo(np.float32).eps)


def test_shared_layers_are_filled_once():
    inputs = keras.Input((5, 3))
    shared = keras.layers.GRU(N)
    model = keras.Model(inputs, shared(inputs) + shared(inputs[:, ::-1]))
    assert len(initialize_(model, recurrent="orthogonal").filled) == 3
    assert len(to_layers(model)) == 1


class Custom(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.layers.GRU(N)
        self.head = keras.layers.Dense(2)

    def call(self, inputs):
        return self.head(self.encoder(inputs))


def test_layers_of_subclassed_models_are_found():
    model = Custom()
    with pytest.raises(ArgumentError, match=r"must be built; got gru.*model\.build"):
        initialize_(model, recurrent="orthogonal")
    model(np.zeros((1, 2, 3), np.float32))
    assert [block.gate for block in initialize_(model, recurrent="orthogonal").filled] == ["z", "r", "n"]


@pytest.mark.parametrize("kind", LAYERS)
def test_a_model_of_our_initializers_trains(kind):
    layer = LAYERS[kind](N, recurrent_initializer=Initializer("orthogonal"), kernel_initializer=Initializer("gaussian"))
    model = sequential(layer, keras.layers.Dense(1))
    model.compile("sgd", "mse")
    before = to_layers(model)[0].gates[GATES[kind][-1]].copy()
    x = np.random.default_rng(0).standard_normal((8, 5, 3)).astype(np.float32)
    assert np.isfinite(model.fit(x, x[:, 0, :1], verbose=0).history["loss"]).all()
    assert not np.array_equal(to_layers(model)[0].gates[GATES[kind][-1]], before)


def test_the_diagnosis_sees_what_keras_does_by_default_and_what_we_do():
    model = sequential(keras.layers.LSTM(48, recurrent_initializer=keras.initializers.Orthogonal(seed=0)))
    assert "UC101" in {finding.code for finding in uc.diagnose(to_layers(model)).findings}
    initialize_(model, recurrent="orthogonal", bias="forget_bias", rng=0)
    assert {finding.code for finding in uc.diagnose(to_layers(model)).findings} <= {"UC106"}


def test_a_seed_inside_bidirectional_is_copied_and_the_diagnosis_says_so():
    def codes(seed):
        layer = keras.layers.GRU(N, recurrent_initializer=Initializer("orthogonal", seed))
        return {f.code for f in uc.diagnose(to_layers(sequential(keras.layers.Bidirectional(layer)))).findings}

    assert "UC103" in codes(0)
    assert "UC103" not in codes(None)


def test_a_promise_that_does_not_hold_is_an_error(monkeypatch):
    monkeypatch.setattr(Orthogonal, "_weight", lambda self, z: z)
    with pytest.raises(CertificateError, match=r"lstm/recurrent_kernel\[i\].*DOES NOT HOLD"):
        initialize_(sequential(keras.layers.LSTM(N)), recurrent="orthogonal")


@pytest.mark.parametrize(
    ("layer", "arguments", "error", "words"),
    [
        (keras.layers.LSTM(4), {}, ArgumentError, "must be told what to fill"),
        (keras.layers.Dense(4), {"recurrent": "orthogonal"}, ArgumentError, "must hold a recurrent layer"),
        (keras.layers.LSTM(4), {"recurrent": {"z": "orthogonal"}}, UnknownNameError, "f, g, i, o"),
        (keras.layers.LSTM(4), {"recurrent": {"c": "orthogonal"}}, UnknownNameError, "gate"),
        (keras.layers.LSTM(4), {"recurrent": "ring"}, ArgumentError, "real"),
        (keras.layers.LSTM(4), {"bias": "orthogonal"}, ArgumentError, "chrono, uniform_gate, zeros or constant"),
        (keras.layers.SimpleRNN(4), {"bias": "chrono"}, ArgumentError, "without gates"),
        (keras.layers.LSTM(4, use_bias=False), {"bias": "chrono"}, ArgumentError, "without biases"),
    ],
)
def test_misuse_is_refused_in_words(layer, arguments, error, words):
    with pytest.raises(error, match=words):
        initialize_(sequential(layer), **arguments)


def test_what_is_no_layer_is_refused():
    with pytest.raises(ArgumentError, match="must be a Keras model or layer; got list"):
        to_layers([])


def test_the_result_reads_as_text():
    done = initialize_(sequential(keras.layers.GRU(N)), recurrent="orthogonal", bias="chrono")
    assert [line.partition(" =")[0] for line in str(done).splitlines()] == [
        "gru/recurrent_kernel[z]",
        "gru/recurrent_kernel[r]",
        "gru/recurrent_kernel[n]",
        "gru/bias[z]",
    ]


@saves
def test_a_file_holds_what_the_model_holds(tmp_path):
    pytest.importorskip("h5py")
    model = every_kind()
    initialize_(model, recurrent="orthogonal", rng=0)
    model.save(tmp_path / "model.keras")
    read, live = uc.read(tmp_path / "model.keras"), to_layers(model)
    assert len(read) == len(live) == len(NAMES)
    for theirs, ours in zip(read, live, strict=True):
        for attribute in ("name", "cell", "direction", "activations", "reset_after"):
            assert getattr(theirs, attribute) == getattr(ours, attribute)
        assert theirs.source.dtype == ours.source.dtype == "float32"
        for blocks in ("gates", "inputs", "biases", "recurrent_biases"):
            assert set(getattr(theirs, blocks)) == set(getattr(ours, blocks))
            for gate, block in getattr(ours, blocks).items():
                np.testing.assert_array_equal(getattr(theirs, blocks)[gate], block)


@saves
def test_save_and_load_round_trip(tmp_path):
    pytest.importorskip("h5py")
    made = keras.layers.LSTM(
        N,
        kernel_initializer=Initializer("xavier_uniform", gates=4),
        recurrent_initializer=Initializer("eigen(modulus=0.9)", seed=1),
        bias_initializer=Initializer("chrono(max_steps=30)", gates=4),
        unit_forget_bias=False,
    )
    model = sequential(made, keras.layers.Dense(1))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for saved, back in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(back.value), to_numpy(saved.value))
    for kind in ("kernel_initializer", "recurrent_initializer", "bias_initializer"):
        saved, back = getattr(made.cell, kind), getattr(loaded.layers[0].cell, kind)
        assert isinstance(back, Initializer)
        assert back.get_config() == saved.get_config()
