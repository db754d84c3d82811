"""Initialization of flax cells: every gate a draw of its own, biases where they belong, the rest untouched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from flax.core import freeze

from unitcircle.errors import ArgumentError, CertificateError, UnknownNameError
from unitcircle.initializers import Orthogonal
from unitcircle.jax import initialize, initialize_, to_layers

KEY = jax.random.key(0)
M, N = 3, 12
LINEN = {
    "rnn": (nn.SimpleCell, "h"),
    "lstm": (nn.LSTMCell, "ifgo"),
    "optimized lstm": (nn.OptimizedLSTMCell, "ifgo"),
    "gru": (nn.GRUCell, "rzn"),
    "mgu": (nn.MGUCell, "fn"),
}
NNX = {
    "rnn": (nnx.SimpleCell, "h"),
    "lstm": (nnx.LSTMCell, "ifgo"),
    "optimized lstm": (nnx.OptimizedLSTMCell, "ifgo"),
    "gru": (nnx.GRUCell, "rzn"),
}


def linen(name, **options):
    cell = LINEN[name][0](N, **options)
    x = jnp.zeros((1, M))
    return cell.init(KEY, cell.initialize_carry(KEY, x.shape), x)["params"]


def noisy(name):
    """Return parameters whose biases are not zero before."""
    return jax.tree.map(lambda leaf: leaf + 0.5, linen(name))


def kernels(params, gates):
    return [params["h" if gates == "h" else f"h{gate}"]["kernel"] for gate in gates]


def is_orthogonal(kernel, gain=1.0):
    return Orthogonal(gain=gain).certificate(kernel).holds


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", LINEN)
def test_every_gate_of_linen_cells_is_a_draw_of_its_own(name, dtype):
    gates = LINEN[name][1]
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), linen(name))
    made, done = initialize(params, recurrent="orthogonal(gain=0.9)", key=0)
    blocks = kernels(made, gates)
    assert all(block.dtype == dtype and is_orthogonal(block, 0.9) for block in blocks)
    assert not any(jnp.array_equal(a, b) for a, b in zip(blocks[1:], blocks, strict=False))
    assert [filled.gate for filled in done.filled] == list(gates)
    assert all(filled.certificate.holds for filled in done.filled)


@pytest.mark.parametrize("name", NNX)
def test_every_gate_of_nnx_cells_is_a_draw_of_its_own(name):
    make, gates = NNX[name]
    model = nnx.List([nnx.RNN(make(M, N, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))])
    before = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    done = initialize_(model, recurrent="orthogonal", key=0)
    cell = model[0].cell
    fused = hasattr(cell, "dense_h")
    blocks = (
        jnp.split(cell.dense_h.kernel[...], len(gates), axis=1)
        if fused
        else [getattr(cell, f"h{gate}").kernel[...] for gate in gates]
    )
    assert len(done.filled) == len(blocks) == len(gates)
    assert all(map(is_orthogonal, blocks))
    assert not any(jnp.array_equal(a, b) for a, b in zip(blocks[1:], blocks, strict=False))
    after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    moved = jax.tree.leaves(jax.tree.map(lambda a, b: not jnp.array_equal(a, b), before, after))
    assert sum(moved) == (1 if fused else len(gates))


def test_what_was_not_asked_is_the_same_object():
    variables = freeze({"params": {"deep": {"LSTMCell_0": linen("lstm")}, "head": {"kernel": jnp.ones((2, 2))}}})
    made, done = initialize(variables, recurrent={"g": "identity(scale=0.5)", "f": "eigen"}, key=0)
    assert type(made) is type(variables)
    old, new = (dict(jax.tree_util.tree_leaves_with_path(tree)) for tree in (variables, made))
    moved = [jax.tree_util.keystr(path, simple=True, separator=".") for path in old if old[path] is not new[path]]
    assert moved == [f"params.deep.LSTMCell_0.h{gate}.kernel" for gate in "fg"]
    np.testing.assert_array_equal(made["params"]["deep"]["LSTMCell_0"]["hg"]["kernel"], 0.5 * np.eye(N))
    assert str(done).startswith("params.deep.LSTMCell_0.hf.kernel[f] = eigen(modulus=0.95, angles=haar): ")


def test_weights_act_on_columns_in_our_convention():
    made, _ = initialize(linen("lstm"), recurrent="chain(gain=0.9)", input="lecun_uniform", key=0)
    [layer] = to_layers(made)
    for gate in "ifgo":
        np.testing.assert_array_equal(layer.gates[gate], np.diag(np.full(N - 1, np.float32(0.9)), 1))
    bound = np.sqrt(3 / M)
    entries = np.concatenate(list(layer.inputs.values()))
    assert 0.8 * bound < np.abs(entries).max() <= bound  # P(all of 144 below) = 1e-14


def test_keys_make_it_reproducible():
    one, two, three = (
        initialize(linen("gru"), recurrent="orthogonal", key=key)[0] for key in (3, jax.random.key(3), 4)
    )
    assert jax.tree.all(jax.tree.map(jnp.array_equal, one, two))
    assert not jnp.array_equal(one["hr"]["kernel"], three["hr"]["kernel"])


def test_stacked_parameters_get_a_draw_each():
    params = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), linen("lstm"))
    made, done = initialize(params, recurrent="orthogonal", bias="chrono(max_steps=9)", key=0)
    first, second = made["hf"]["kernel"]
    assert is_orthogonal(first)
    assert is_orthogonal(second)
    assert not jnp.array_equal(first, second)
    assert not jnp.array_equal(*made["hf"]["bias"])
    assert len(done.filled) == 5


@pytest.mark.parametrize(("name", "keeping"), [("lstm", "f"), ("optimized lstm", "f"), ("gru", "z")])
def test_forget_biases_of_linen_are_set_once_on_the_gate_that_keeps(name, keeping):
    made, done = initialize(noisy(name), bias="forget_bias(value=2)", key=0)
    [layer] = to_layers(made)
    for gate, bias in layer.biases.items():
        np.testing.assert_array_equal(bias, 2.0 if gate == keeping else 0.0)
    assert not any(bias.any() for bias in layer.recurrent_biases.values())
    assert [filled.gate for filled in done.filled] == [keeping]


@pytest.mark.parametrize("name", ["lstm", "optimized lstm", "gru"])
def test_forget_biases_of_nnx(name):
    make, gates = NNX[name]
    cell = make(M, N, rngs=nnx.Rngs(0), bias_init=nn.initializers.ones_init())
    initialize_(cell, bias="chrono(max_steps=50)", key=0)
    [layer] = to_layers(cell)
    kept = layer.biases["z" if name == "gru" else "f"]
    assert (kept > 0).all()
    assert (kept <= np.log(49) * (1 + 4 * 2.0**-23)).all()
    for gate in set(gates) - {"f", "z"}:
        expected = -kept if gate == "i" else 0.0
        np.testing.assert_array_equal(layer.biases[gate], expected)


def test_a_gate_bias_passes_plain_cells_by():
    made, done = initialize({"plain": noisy("rnn"), "gated": noisy("lstm")}, bias="forget_bias", key=0)
    assert [filled.tensor for filled in done.filled] == ["gated.hf.bias"]
    np.testing.assert_array_equal(made["plain"]["i"]["bias"], 0.5)


def test_the_minimal_unit_keeps_by_f():
    made, _ = initialize(noisy("mgu"), bias="chrono(max_steps=50)", key=0)
    assert (made["if"]["bias"] > 0).all()
    assert not made["in"]["bias"].any()
    assert not made["hn"]["bias"].any()


def test_constant_biases_reach_every_gate_once():
    made, _ = initialize(noisy("gru"), bias="constant(value=0.25)", key=0)
    for gate in "rzn":
        np.testing.assert_array_equal(made[f"i{gate}"]["bias"], 0.25)
    assert not made["hn"]["bias"].any()
    plain, _ = initialize(noisy("rnn"), bias="zeros", key=0)
    assert not plain["i"]["bias"].any()


def test_double_precision_stays_double():
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype("float64"), linen("rnn"))
        made, _ = initialize(params, recurrent="orthogonal", key=0)
        assert made["h"]["kernel"].dtype == "float64"
        assert is_orthogonal(made["h"]["kernel"])


def test_a_promise_that_does_not_hold_is_an_error_and_leaves_the_module_as_it_was(monkeypatch):
    cell = nnx.GRUCell(M, N, rngs=nnx.Rngs(0))
    before = cell.dense_h.kernel[...]
    monkeypatch.setattr(Orthogonal, "_weight", lambda self, z: z)
    with pytest.raises(CertificateError, match=r"dense_h.kernel\[r\].*DOES NOT HOLD"):
        initialize_(cell, recurrent="orthogonal", key=0)
    assert jnp.array_equal(cell.dense_h.kernel[...], before)


@pytest.mark.parametrize(
    ("params", "arguments", "error", "words"),
    [
        (lambda: linen("lstm"), {}, ArgumentError, "must be told what to fill"),
        (lambda: {"a": {"kernel": jnp.ones((2, 2))}}, {"recurrent": "eigen"}, ArgumentError, "must hold a flax"),
        (lambda: linen("lstm"), {"recurrent": {"z": "eigen"}}, UnknownNameError, "gate"),
        (lambda: linen("lstm"), {"recurrent": "ring"}, ArgumentError, "complex"),
        (lambda: linen("lstm"), {"bias": "eigen"}, ArgumentError, "chrono, uniform_gate, zeros or constant"),
        (lambda: linen("rnn"), {"bias": "chrono"}, ArgumentError, "plain layers without gates"),
        (
            lambda: {name: {"kernel": leaves["kernel"]} for name, leaves in linen("lstm").items()},
            {"bias": "chrono"},
            ArgumentError,
            "without biases",
        ),
        (lambda: jax.eval_shape(lambda: linen("gru")), {"recurrent": "eigen"}, ArgumentError, "ShapeDtypeStruct"),
    ],
)
def test_misuse_is_refused_in_words(params, arguments, error, words):
    with pytest.raises(error, match=words):
        initialize(params(), key=0, **arguments)


def test_it_is_not_for_jit_and_the_form_in_place_is_not_for_trees():
    with pytest.raises(ArgumentError, match=r"outside jax\.jit"):
        jax.jit(lambda params: initialize(params, recurrent="eigen", key=0)[0])(linen("rnn"))
    with pytest.raises(ArgumentError, match=r"must be a flax\.nnx\.Module"):
        initialize_(linen("rnn"), recurrent="eigen", key=0)


def test_a_state_of_nnx_is_a_tree_of_parameters():
    model = nnx.GRUCell(3, 8, rngs=nnx.Rngs(0))
    graph, state = nnx.split(model)
    made, done = initialize(state, recurrent="orthogonal", key=0)
    assert type(made) is type(state)
    assert [filled.gate for filled in done.filled] == ["r", "z", "n"]
    expected = nnx.GRUCell(3, 8, rngs=nnx.Rngs(0))
    initialize_(expected, recurrent="orthogonal", key=0)
    merged = nnx.merge(graph, made)
    assert (merged.dense_h.kernel[...] == expected.dense_h.kernel[...]).all()
    assert (merged.dense_i.kernel[...] == model.dense_i.kernel[...]).all()
    (layer,), (known,) = to_layers(made), to_layers(expected)
    assert (layer.gates["z"] == known.gates["z"]).all()
