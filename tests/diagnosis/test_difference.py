"""``difference``: 60 seeded conversion errors are named, exact conversions give none, training is only a change."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import unitcircle as uc
from unitcircle.cli import main
from unitcircle.diagnosis import difference
from unitcircle.recurrence import from_keras, from_torch

SHARED = Path(__file__).parents[3] / "shared" / "checkpoints"
N, M = 16, 5
GATES = {"lstm": "ifgo", "gru": "rzn"}
EPS = 2.0**-23


def arrays(cell, seed, layers=2):
    """Return the state dict of torch's own layers, trained a little: biases that are not zero."""
    torch.manual_seed(seed)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn_tanh": torch.nn.RNN}[cell]
    return {name: value.detach().double().numpy() for name, value in kind(M, N, layers).named_parameters()}


def layers_of(state, cell):
    return [
        from_torch(
            state[f"weight_hh_l{k}"], cell=cell, weight_ih=state[f"weight_ih_l{k}"], bias_ih=state[f"bias_ih_l{k}"],
            bias_hh=state[f"bias_hh_l{k}"], name="rnn", layer=k,
        )
        for k in range(2)
    ]  # fmt: skip


def exchange(stack, one, two):
    blocks = list(np.split(stack.copy(), len(stack) // N))
    blocks[one], blocks[two] = blocks[two], blocks[one]
    return np.concatenate(blocks)


def on_block(stack, gate, op):
    blocks = list(np.split(stack.copy(), len(stack) // N))
    blocks[gate] = op(blocks[gate])
    return np.concatenate(blocks)


def whole_stack_errors():
    """Yield errors that take all gates at once."""
    rng = np.random.default_rng(9)
    factors = rng.uniform(0.2, 5, N)

    def each(op):
        return lambda x: np.concatenate([op(block) for block in np.split(x, len(x) // N)])

    def half(x):
        return np.where(np.arange(N)[:, None] < N // 2, x, 0)

    for name, op, words in (
        ("scale lost", lambda x: 37 * x, "weights are multiplied by 37"),
        ("scale twice", lambda x: x / 127, "weights are multiplied by 0.00787"),
        ("scales of columns", lambda x: x * factors, "weights have their columns multiplied by"),
        ("scales of rows", each(lambda x: factors[:, None] * x), "weights have their rows multiplied by"),
        ("clipped", lambda x: np.clip(x, -0.05, 0.05), "weights are clipped to (-0.05, 0.05)"),
        ("absolute", np.abs, "weights are their absolute values"),
        ("rectified", lambda x: np.maximum(x, 0), "weights have lost their negative entries"),
        ("diagonal", each(lambda x: x * np.eye(N)), "weights have lost all but their diagonals"),
        ("triangle", each(np.tril), "weights have lost what is above their diagonals"),
        ("identity", each(lambda x: np.eye(N)), "weights are replaced by the identity"),
        ("plus identity", each(lambda x: x + np.eye(N)), "weights have the identity added"),
        ("ones", np.ones_like, "weights are all 1"),
        ("shard", each(lambda x: np.tile(x[: N // 2], (2, 1))), "weights hold the first of 2 shards 2 times"),
        ("half", each(half), "weights have 8 of 16 rows of zeros (from 8)"),
        ("reshaped", lambda x: x.T.reshape(x.shape), "weights are reshaped where they should be transposed"),
        ("reversed", lambda x: x[::-1].copy(), "weights have all their rows in reverse order"),
    ):
        yield f"lstm {name}", "lstm", {"weight_hh_l0": op}, f"the recurrent {words}"
    reshaped = {"weight_ih_l1": lambda x: x.T.reshape(x.shape)}
    yield "gru reshaped inputs", "gru", reshaped, "the input weights are reshaped"
    biases = ("bias_ih_l0", "bias_hh_l0")
    more = np.repeat([0.0, 0.5, 0.0, 0.0], N)
    yield "lstm forget bias", "lstm", dict.fromkeys(biases, lambda x: x + more), "the bias of gate f is higher by"
    yield "gru bias x10", "gru", dict.fromkeys(biases, lambda x: 10 * x), "the biases are multiplied by"
    turned = each(lambda x: x[::-1])
    yield "lstm order of biases", "lstm", dict.fromkeys(biases, turned), "the units of the biases are in another order"


def seeded_errors():
    """Yield the name, the cell, what is done to the state dict, and the words that must be said."""
    for cell, gates in GATES.items():
        for one, two in itertools.combinations(range(len(gates)), 2):
            pair = f"gates {gates[one]} and {gates[two]} are swapped"
            for part, noun in (("weight_hh_l0", "recurrent weights"), ("weight_ih_l1", "input weights")):
                yield (
                    f"{cell} {part} {pair}",
                    cell,
                    {part: lambda x, i=one, j=two: exchange(x, i, j)},
                    f"{noun} of {pair}",
                )
            both = {f"bias_{k}_l0": lambda x, i=one, j=two: exchange(x, i, j) for k in ("ih", "hh")}
            yield f"{cell} bias {pair}", cell, both, f"biases of {pair}"
        for place, gate in enumerate(gates):
            for word, op in (("transposed", np.transpose), ("of changed sign", np.negative), ("zero", np.zeros_like)):
                change = {"weight_hh_l0": lambda x, p=place, f=op: on_block(x, p, f)}
                yield f"{cell} {gate} {word}", cell, change, f"recurrent weights of gate {gate} are {word}"
    for cell in ("lstm", "gru"):
        k = len(GATES[cell])
        each = {"weight_hh_l0": lambda x, k=k: np.concatenate([block.T for block in np.split(x, k)])}
        yield f"{cell} all transposed", cell, each, "of all gates are transposed"
        yield f"{cell} negated", cell, {"weight_ih_l0": np.negative}, "input weights of all gates are of changed sign"
    for cell in ("lstm", "rnn_tanh"):
        missing = dict.fromkeys(("bias_ih_l0", "bias_hh_l0"), np.zeros_like)
        yield f"{cell} no bias", cell, missing, "biases are missing"
        doubled = dict.fromkeys(("bias_ih_l0", "bias_hh_l0"), lambda x: 2 * x)
        yield f"{cell} doubled", cell, doubled, "biases are doubled"
        yield f"{cell} stale", cell, {"bias_hh_l0": np.zeros_like}, "only the input part of the biases is there"
    order = np.random.default_rng(5).permutation(N)
    for cell in ("lstm", "gru"):
        k = len(GATES[cell])

        def each(op, k=k):
            return lambda x: np.concatenate([op(block) for block in np.split(x, k)])

        rows, columns = each(lambda x: x[order]), each(lambda x: x[:, order])
        shuffle = lambda x, k=k: x.reshape(k, N, -1).swapaxes(0, 1).reshape(x.shape)  # noqa: E731
        back = lambda x, k=k: x.reshape(N, k, -1).swapaxes(0, 1).reshape(x.shape)  # noqa: E731
        for part, noun in (("weight_hh_l0", "recurrent weights"), ("weight_ih_l1", "input weights")):
            yield f"{cell} {part} interleaved", cell, {part: shuffle}, f"{noun} have their gates interleaved"
            yield f"{cell} {part} blocked", cell, {part: back}, f"{noun} have their units interleaved"
            yield f"{cell} {part} rows", cell, {part: rows}, f"the rows of the {noun} are in another order"
            yield f"{cell} {part} columns", cell, {part: columns}, f"the columns of the {noun} are in another order"
        units = {"weight_hh_l0": each(lambda x: x[order][:, order])}
        yield f"{cell} units", cell, units, "the units of the recurrent weights are in another order"
    yield from whole_stack_errors()
    yield "rnn transposed", "rnn_tanh", {"weight_hh_l0": np.transpose}, "recurrent weights of gate h are transposed"
    yield "rnn negated", "rnn_tanh", {"weight_hh_l0": np.negative}, "recurrent weights of gate h are of changed sign"


ERRORS = list(seeded_errors())


def test_there_are_sixty():
    assert len(ERRORS) >= 60


@pytest.mark.parametrize("noise", [0.0, 0.05], ids=["exact", "trained further"])
@pytest.mark.parametrize(("cell", "change", "words"), [pytest.param(*rest, id=name) for name, *rest in ERRORS])
def test_a_conversion_error_is_named(cell, change, words, noise):
    state = arrays(cell, seed=1)
    rng = np.random.default_rng(0)
    trained = {name: x + noise * x.std() * rng.standard_normal(x.shape) for name, x in state.items()}
    after = {name: change.get(name, np.copy)(x) for name, x in trained.items()}
    result = difference(layers_of(state, cell), layers_of(after, cell))
    assert any(words in error for error in result.errors), (result.errors, str(result))
    assert len(result.errors) == 1


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("weight_hh_l0", "the recurrent weights of gate i hold entries that are NaN or infinite"),
        ("weight_ih_l0", "the input weights of gate i hold entries that are NaN or infinite"),
        ("bias_hh_l0", "the biases hold entries that are NaN or infinite"),
    ],
)
def test_entries_that_are_not_finite_are_named(part, words):
    state = arrays("lstm", seed=1)
    for value in (np.nan, np.inf):
        lost = state[part].copy()
        lost.flat[3] = value
        broken = layers_of(state | {part: lost}, "lstm")
        assert difference(layers_of(state, "lstm"), broken).errors == (f"rnn: {words}",)
        assert difference(broken, broken).layers[0].verdict == "the same"


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_layers_that_changed_places_are_named(cell):
    state = arrays(cell, seed=2)
    state["weight_ih_l1"] = state["weight_ih_l1"][:, :M]  # both layers have the same sizes here
    after = {name.translate(str.maketrans("01", "10")): value for name, value in state.items()}
    errors = difference(layers_of(state, cell), layers_of(after, cell)).errors
    assert errors == ("rnn: it holds the weights of rnn l1", "rnn l1: it holds the weights of rnn")


def to_keras(state, k, cell):
    order = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2], "rnn_tanh": [0]}[cell]

    def turned(stack):
        blocks = np.split(stack, len(order))
        return np.concatenate([blocks[i] for i in order]).T

    bias = [turned(state[f"bias_{part}_l{k}"]) for part in ("ih", "hh")]
    return from_keras(
        turned(state[f"weight_hh_l{k}"]), cell=cell, kernel=turned(state[f"weight_ih_l{k}"]),
        bias=np.stack(bias) if cell == "gru" else bias[0] + bias[1], name="rnn", layer=k,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_exact_conversions_give_no_error(cell, seed, tmp_path):
    state = arrays(cell, seed)
    before = layers_of(state, cell)
    result = difference(before, [to_keras(state, k, cell) for k in range(2)])
    assert result.errors == ()
    assert {layer.verdict for layer in result.layers} <= {"the same", "within storage"}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        path = tmp_path / f"{dtype}.safetensors"
        save_file({f"rnn.{name}": torch.as_tensor(value).to(dtype) for name, value in state.items()}, path)
        result = difference(uc.read({f"rnn.{name}": value for name, value in state.items()}), uc.read(path))
        assert result.errors == ()
        expected = "the same" if dtype is torch.float32 else "within storage"
        assert {layer.verdict for layer in result.layers} == {expected}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_units_in_another_order_everywhere_are_no_error(cell):
    state, k = arrays(cell, seed=1), len(GATES[cell])
    order = np.random.default_rng(5).permutation(N)
    rows = np.concatenate([order + gate * N for gate in range(k)])
    first = {name: x[rows] for name, x in state.items() if name.endswith("_l0")}
    first["weight_hh_l0"] = first["weight_hh_l0"][:, order]
    after = state | first | {"weight_ih_l1": state["weight_ih_l1"][:, order]}
    assert difference(layers_of(state, cell), layers_of(after, cell)).errors == ()
    other = after | {"weight_ih_l1": state["weight_ih_l1"][:, np.roll(order, 1)]}
    (error,) = difference(layers_of(state, cell), layers_of(other, cell)).errors
    assert "l1: the columns of the input weights are in another order" in error


@pytest.mark.parametrize(("written", "read", "words"), [
    (torch.bfloat16, torch.float16, "are bfloat16 read as float16"),
    (torch.float16, torch.bfloat16, "are float16 read as bfloat16"),
])  # fmt: skip
def test_bytes_of_another_type_are_named(written, read, words):
    state = arrays("lstm", seed=1)
    after = torch.tensor(state["weight_hh_l0"]).to(written).view(read).double().numpy()
    (error,) = difference(layers_of(state, "lstm"), layers_of(state | {"weight_hh_l0": after}, "lstm")).errors
    assert words in error


def test_recurrent_and_input_weights_that_were_exchanged():
    state = arrays("lstm", seed=1)
    exchanged = {"weight_hh_l1": state["weight_ih_l1"], "weight_ih_l1": state["weight_hh_l1"]}
    (error,) = difference(layers_of(state, "lstm"), layers_of(state | exchanged, "lstm")).errors
    assert "the recurrent and the input weights are exchanged" in error


def test_quantized_weights_are_within_their_grid():
    state = arrays("lstm", seed=3)
    after = {}
    for name, value in state.items():
        step = np.abs(value).max() / 127
        after[name] = np.rint(value / step) * step if "weight" in name else value
    result = difference(layers_of(state, "lstm"), layers_of(after, "lstm"))
    assert {layer.verdict for layer in result.layers} == {"within storage"}


def test_training_is_a_change_and_no_error():
    state = arrays("gru", seed=4)
    rng = np.random.default_rng(0)
    after = {name: value + 0.3 * value.std() * rng.standard_normal(value.shape) for name, value in state.items()}
    result = difference(layers_of(state, "gru"), layers_of(after, "gru"))
    assert result.errors == ()
    assert [layer.verdict for layer in result.layers] == ["changed", "changed"]
    block = result.layers[0].blocks[0]
    expected = np.linalg.norm(after["weight_hh_l0"][:N] - state["weight_hh_l0"][:N]) / np.linalg.norm(
        state["weight_hh_l0"][:N]
    )
    assert block.distance == pytest.approx(expected, rel=N * N * EPS)
    assert block.radius[0] == pytest.approx(np.abs(np.linalg.eigvals(state["weight_hh_l0"][:N])).max(), rel=N * EPS)


def test_a_layer_that_was_initialized_again_is_changed_and_no_error():
    state = arrays("lstm", seed=7)
    state |= {name: np.zeros_like(value) for name, value in state.items() if "bias" in name}
    after = dict(state)
    rng = np.random.default_rng(0)
    after["weight_hh_l0"] = np.concatenate([np.linalg.qr(rng.standard_normal((N, N)))[0] for _ in range(4)])
    after["bias_ih_l0"] = np.concatenate([-np.ones(N), np.ones(N), np.zeros(2 * N)])
    result = difference(layers_of(state, "lstm"), layers_of(after, "lstm"))
    assert result.errors == ()
    assert [layer.verdict for layer in result.layers] == ["changed", "the same"]


HEADS = 12
DECAYS = {
    "is exponentiated": np.exp,
    "is exponentiated, with its sign changed": lambda x: -np.exp(x),
    "has changed sign": np.negative,
    "is the logarithm of its size": lambda x: np.log(np.abs(x)),
    "went through softplus": lambda x: np.logaddexp(x, 0),
    "is divided by log 2, as a logarithm to base 2": lambda x: x / np.log(2),
    "is doubled": lambda x: 2 * x,
    "is multiplied by 10": lambda x: 10 * x,
    "is divided by 10": lambda x: x / 10,
    "is divided by log 10, as a logarithm to base 10": lambda x: x / np.log(10),
    "is squared": np.square,
    "has its heads in reverse order": lambda x: x[::-1],
    "has its heads moved on by 3": lambda x: np.roll(x, 3, 0),
    "has its heads interleaved, 3 groups of 4 as 4 of 3": lambda x: x.reshape(3, 4).T.ravel(),
    "holds its entries in another order": lambda x: x[[4, 1, 9, 0, 6, 2, 11, 3, 10, 5, 8, 7]],
    "has entries that were clamped below": lambda x: np.maximum(x, np.quantile(x, 0.3)),
    "has entries that were clamped above": lambda x: np.minimum(x, np.quantile(x, 0.6)),
    "holds its first 6 heads 2 times": lambda x: np.tile(x[:6], 2),
    "is all zeros": np.zeros_like,
    "is all ones": np.ones_like,
    "is all 0.5": lambda x: np.full_like(x, 0.5),
    "is 2 to its power": np.exp2,
    "is shifted by -2 in all entries": lambda x: x - 2,
    "is multiplied by 3": lambda x: 3 * x,
    "is 0 in 4 of 12 entries (from 8)": lambda x: np.where(np.arange(len(x)) >= 8, 0, x),
    "holds entries that are NaN or infinite": lambda x: np.where(np.arange(len(x)) == 3, -np.inf, x),
}
"""Words → what is done; the heads in another order were seen in ggml-org/llama.cpp#23758."""


def decays(family):
    """Return the parameters of a trained decay: near the laws of the authors, and not on them."""
    rng = np.random.default_rng(3)
    step = np.exp(rng.uniform(np.log(0.001), np.log(0.1), HEADS))
    inverse = step + np.log(-np.expm1(-step))
    return {
        "Gated DeltaNet": {"A_log": np.log(rng.uniform(1.5, 16, HEADS)), "dt_bias": inverse},
        "RWKV-6": {"time_decay": -6 + 5 * np.linspace(0, 1, HEADS) + 0.3 * rng.standard_normal(HEADS),
                   "time_decay_w1": np.ones((4, 4))},
        "mLSTM": {"fgate.bias": np.linspace(3, 6, HEADS) + 0.2 * rng.standard_normal(HEADS),
                  "igate.weight": np.ones((4, 4))},
        "RG-LRU": {"recurrent_param": rng.uniform(-6, -2, HEADS), "recurrent_gate_bias": np.zeros(HEADS)},
        "LRU": {"nu_log": rng.uniform(-7, -2, HEADS), "theta_log": rng.uniform(-2, 1.8, HEADS)},
    }[family]  # fmt: skip


def read_decay(values, place=0):
    return uc.read({f"layers.{place}.linear_attn.{name}": value for name, value in values.items()})


PARAMETERS = {
    "Gated DeltaNet": ("A_log", "dt_bias"), "RWKV-6": ("time_decay",), "mLSTM": ("fgate.bias",),
    "RG-LRU": ("recurrent_param",), "LRU": ("nu_log",),
}  # fmt: skip
CASES = [(family, name, words) for family, names in PARAMETERS.items() for name in names for words in DECAYS]


def test_there_are_sixty_errors_of_decays():
    assert len(CASES) >= 60


@pytest.mark.parametrize("noise", [0.0, 0.01], ids=["exact", "trained further"])
@pytest.mark.parametrize(("family", "name", "words"), CASES)
def test_a_decay_on_another_scale_or_in_another_order(family, name, words, noise):
    values = decays(family)
    rng = np.random.default_rng(0)
    moved = values | {name: values[name] + noise * values[name].std() * rng.standard_normal(HEADS)}
    after = moved | {name: DECAYS[words](moved[name])}
    result = difference(read_decay(values), read_decay(after))
    said = [error.partition(": ")[2] for error in result.errors]
    positive = (moved[name] > 0).all() and words == "is the logarithm of its size"
    if "clamped" in words:
        said = [text.rpartition(" ")[0] for text in said]  # the bound follows
    assert said == [f"{name} {'is its logarithm' if positive else words}"]
    assert difference(read_decay(values), read_decay(values)).layers[0].verdict == "the same"


def test_quantized_codes_without_their_scale_and_a_quantization_that_moves_a_memory():
    values = decays("Gated DeltaNet")
    after = values | {"A_log": np.rint(40 * values["A_log"] + 128)}
    (error,) = difference(read_decay(values), read_decay(after)).errors
    assert "A_log is 39.9 times what it was, plus 128" in error
    (error,) = difference(read_decay(values), read_decay(values | {"A_log": np.rint(values["A_log"])})).errors
    assert "the quantization moves the memory of head" in error


def test_parameters_and_layers_that_were_taken_for_each_other():
    values = decays("Gated DeltaNet")
    after = {"A_log": values["dt_bias"], "dt_bias": values["A_log"]}
    (error,) = difference(read_decay(values), read_decay(after)).errors
    assert error.endswith("A_log and dt_bias are swapped")
    rng = np.random.default_rng(9)
    other = {"A_log": np.log(rng.uniform(1.5, 16, HEADS)), "dt_bias": rng.uniform(-7, -2, HEADS)}
    both = [*read_decay(values), *read_decay(other, 1)]
    stale = [*read_decay(values | {"dt_bias": other["dt_bias"]}), *read_decay(other, 1)]
    (error,) = difference(both, stale).errors
    assert "dt_bias is that of" in error
    channels = {"A_log": np.log(rng.uniform(1, 9, (6, 6))), "dt_proj.bias": rng.uniform(-7, -2, 6)}
    turned = channels | {"A_log": channels["A_log"].T}
    (error,) = difference(read_decay(channels), read_decay(turned)).errors
    assert error.endswith("A_log is transposed")


@pytest.mark.parametrize("family", PARAMETERS)
def test_training_and_casting_decays_is_no_error(family):
    values = decays(family)
    for seed, size in enumerate((1e-4, 0.01, 0.1, 0.5, 1.0)):
        rng = np.random.default_rng(seed)
        after = {k: v + size * max(v.std(), 0.1) * rng.standard_normal(v.shape) for k, v in values.items()}
        assert difference(read_decay(values), read_decay(after)).errors == ()
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        after = {k: torch.as_tensor(v).to(dtype) for k, v in values.items()}
        result = difference(read_decay(values), read_decay(after))
        assert result.errors == ()
        assert {layer.verdict for layer in result.layers} == {"within storage"}


def test_a_cast_that_moves_a_memory_is_an_error():
    slow = {"nu_log": np.full(HEADS, -60.1) - np.arange(HEADS), "theta_log": np.zeros(HEADS)}
    cast = {name: torch.as_tensor(value).bfloat16() for name, value in slow.items()}
    (error,) = difference(read_decay(slow), read_decay(cast)).errors
    assert "the cast to bfloat16 moves the memory of channel" in error


def test_each_head_has_its_change_and_the_bar_of_its_storage():
    values = {"A_log": np.log([1.0, 2, 4, 8]), "dt_bias": np.log(np.expm1([0.1, 0.01, 0.05, 0.001])),
              "in_proj.weight": np.ones((9, 8))}  # fmt: skip
    after = {name: torch.as_tensor(value).bfloat16() for name, value in values.items()}
    cast = difference(read_decay(values), read_decay(after)).layers[0].heads
    assert [head.head for head in cast] == [0, 1, 2, 3]
    memory = [1 / (np.exp(a) * np.log1p(np.exp(b))) for a, b in zip(values["A_log"], values["dt_bias"], strict=True)]
    np.testing.assert_allclose([head.memory[0] for head in cast], memory, rtol=1000 * 2.0**-52)
    for head in cast:
        moved = abs(np.log(head.memory[1] / head.memory[0]))
        assert moved <= head.storage < 0.05  # of bfloat16: 0.4 % of A_log and of dt_bias
        assert not head.changed
        assert head.modulus[1] == pytest.approx(np.exp(-1 / head.memory[1]))
    one = values | {"A_log": values["A_log"] + [0, 0, 0.3, 0]}
    result = difference(read_decay(values), read_decay(one))
    assert [head.changed for head in result.layers[0].heads] == [False, False, True, False]
    assert "head 2: |λ| 0.818731 -> 0.763401, memory 5 -> 3.7 tokens (storage explains 1.9e-06)" in str(result)
    assert result.to_dict()["layers"][0]["heads"][2]["changed"] is True
    assert result.layers[0].verdict == "changed"  # though multiples of log 2 look quantized


def test_the_radius_of_a_gate_has_the_bar_of_its_storage():
    state = arrays("lstm", seed=3)
    cast = {name: torch.as_tensor(value).bfloat16().double().numpy() for name, value in state.items()}
    for layer in difference(layers_of(state, "lstm"), layers_of(cast, "lstm")).layers:
        for block in layer.blocks:
            if block.radius is None:
                continue
            # In double the bar is that of double, times 2^44 for bfloat16.
            moved = abs(block.radius[1] - block.radius[0])
            assert moved <= block.radius_storage / block.storage * block.distance
            assert block.part.startswith("recurrent")


def test_layers_of_other_names_in_another_order_are_found_by_their_weights():
    state = arrays("gru", seed=8)
    state["weight_ih_l1"] = state["weight_ih_l1"][:, :M]
    one, two = layers_of(state, "gru")
    renamed = [replace(two, name="decoder"), replace(one, name="encoder")]
    result = difference([one, two], renamed)
    assert [(layer.layer, layer.other) for layer in result.layers] == [("rnn", "encoder"), ("rnn l1", "decoder l1")]
    assert {layer.verdict for layer in result.layers} == {"the same"}


TWINS = [("silero_vad.jit", "silero_vad_ifless.onnx"), ("dtln.h5", "dtln_1.onnx"), ("dtln.h5", "dtln_2.onnx")]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the files of ../shared are not here")
@pytest.mark.parametrize(("a", "b"), TWINS)
def test_real_conversions_give_no_error(a, b):
    result = difference(uc.read(SHARED / a), uc.read(SHARED / b))
    assert result.errors == ()
    assert "the same" in {layer.verdict for layer in result.layers}


def test_layers_without_a_counterpart_are_said():
    state = arrays("lstm", seed=5)
    one, two = layers_of(state, "lstm")
    result = difference([one, two], [one])
    assert result.only_a == ("rnn l1",)
    assert "1 without a counterpart" in result.summary
    assert difference([one], layers_of(arrays("gru", 1), "gru")).summary == "no layer of one file is in the other"


def test_the_command(tmp_path, capsys):
    state = {f"rnn.{name}": torch.as_tensor(value).float() for name, value in arrays("lstm", seed=6).items()}
    a, b, c = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.pt"))
    save_file(state, a)
    save_file({name: value.bfloat16() for name, value in state.items()}, b)
    turned = torch.cat([block.T for block in state["rnn.weight_hh_l0"].chunk(4)])
    torch.save(state | {"rnn.weight_hh_l0": turned}, c)
    assert main(["diff", str(a), str(b)]) == 0
    assert "2 layers: 2 within storage" in capsys.readouterr().out
    assert main(["diff", str(a), str(c)]) == 1
    out = capsys.readouterr().out
    assert "the recurrent weights of all gates are transposed" in out
    assert "ρ" in out
    assert main(["diff", str(a), str(c), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["layers"][0]["verdict"] == "conversion error"
    del state["rnn.weight_hh_l1"]
    save_file(state, tmp_path / "d.safetensors")
    assert main(["diff", str(a), str(tmp_path / "d.safetensors")]) == 3
    assert main(["diff", str(a), "nothing.pt"]) == 2
