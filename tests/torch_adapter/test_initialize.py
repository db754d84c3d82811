"""``unitcircle.torch.initialize_``: every block of every layer is what was asked, and nothing else moves."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

import unitcircle as uc
from unitcircle.errors import ArgumentError, CertificateError, UnknownNameError
from unitcircle.initializers import Orthogonal
from unitcircle.recurrence import GATES
from unitcircle.torch import fill_, generator_of, initialize_

KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
N = 12


def eps(tensor):
    return torch.finfo(tensor.dtype).eps


def is_orthogonal(block, gain=1.0):
    gram = (block.double().T @ block.double()) / gain**2
    return (gram - torch.eye(len(gram))).abs().max() <= 10 * len(gram) * eps(block)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_gate_of_every_layer_and_direction_is_orthogonal(kind, dtype):
    model = KINDS[kind](5, N, num_layers=2, bidirectional=True, dtype=dtype)
    done = initialize_(model, recurrent="orthogonal(gain=0.9)", rng=0)
    k = len(GATES[kind])
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        blocks = getattr(model, f"weight_hh_{suffix}").chunk(k)
        assert all(is_orthogonal(block, 0.9) for block in blocks)
        assert not any(torch.equal(a, b) for a, b in zip(blocks[1:], blocks, strict=False))
    assert len(done.filled) == 4 * k
    assert all(block.certificate.holds for block in done.filled)


@pytest.mark.parametrize("kind", CELLS)
def test_cells(kind):
    cell = CELLS[kind](3, N)
    done = initialize_(cell, recurrent="eigen", input="xavier_uniform", rng=0)
    assert [(f.tensor, f.gate) for f in done.filled][: len(GATES[kind])] == [("weight_hh", g) for g in GATES[kind]]
    for block in cell.weight_hh.detach().chunk(len(GATES[kind])):
        np.testing.assert_allclose(np.abs(np.linalg.eigvals(block.numpy())), 0.95, rtol=0, atol=100 * N * eps(block))


def test_a_generator_makes_it_reproducible_and_global_state_is_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    models = [nn.LSTM(3, N) for _ in range(2)]
    torch.manual_seed(7)
    initialize_(models[0], recurrent="orthogonal", rng=3)
    initialize_(models[1], recurrent="orthogonal", rng=torch.Generator().manual_seed(3))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(models[0].weight_hh_l0, models[1].weight_hh_l0)
    initialize_(models[1], recurrent="orthogonal")
    assert not torch.equal(models[0].weight_hh_l0, models[1].weight_hh_l0)


def test_a_numpy_generator_is_as_good_as_a_seed_and_moves_on():
    twins = [nn.LSTM(3, N) for _ in range(2)]
    for model in twins:
        initialize_(model, recurrent="orthogonal", rng=np.random.default_rng(3))
    assert torch.equal(twins[0].weight_hh_l0, twins[1].weight_hh_l0)
    rng = np.random.default_rng(3)
    assert generator_of(rng).initial_seed() != generator_of(rng).initial_seed()


@pytest.mark.parametrize("rng", [0, -1, 2**64 - 1, np.int64(5)])
def test_a_seed_is_the_seed_of_torch(rng):
    assert torch.equal(
        torch.rand(3, generator=generator_of(rng)), torch.rand(3, generator=torch.Generator().manual_seed(int(rng)))
    )


@pytest.mark.parametrize("rng", [2**64, "0", 0.5, np.random.RandomState(0)])
def test_what_is_no_randomness_is_refused_by_name(rng):
    with pytest.raises(ArgumentError, match=r"^rng must be a seed"):
        initialize_(nn.LSTM(3, N), recurrent="orthogonal", rng=rng)


def test_a_torch_generator_is_taken_as_it_is():
    generator = torch.Generator()
    assert generator_of(generator) is generator


def test_the_old_name_of_rng_still_works_and_says_the_new_one():
    models = [nn.LSTM(3, N) for _ in range(2)]
    initialize_(models[0], recurrent="orthogonal", rng=3)
    with pytest.warns(DeprecationWarning, match=r"initialize_\(generator=\) is now rng="):
        initialize_(models[1], recurrent="orthogonal", generator=3)
    assert torch.equal(models[0].weight_hh_l0, models[1].weight_hh_l0)
    with pytest.warns(DeprecationWarning, match=r"fill_\(generator=\) is now rng="):
        filled = fill_(torch.empty(N, N), "gaussian", generator=3)
    assert torch.equal(filled, fill_(torch.empty(N, N), "gaussian", rng=3))


def test_what_was_not_asked_is_left_alone():
    model = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, N))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    initialize_(model, recurrent="orthogonal", rng=0)
    moved = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert moved == ["1.weight_hh_l0"]
    assert model[1].weight_hh_l0.requires_grad


def test_gates_may_differ():
    model = nn.LSTM(3, N)
    initialize_(model, recurrent={"g": "identity(scale=0.5)", "*": "orthogonal"}, rng=0)
    i, f, g, o = model.weight_hh_l0.detach().chunk(4)
    assert torch.equal(g, 0.5 * torch.eye(N))
    assert all(map(is_orthogonal, (i, f, o)))


def test_only_the_gates_named_are_filled():
    model = nn.GRU(3, N)
    before = model.weight_hh_l0.detach().clone()
    initialize_(model, recurrent={"n": "orthogonal"}, rng=0)
    assert torch.equal(model.weight_hh_l0[: 2 * N], before[: 2 * N])
    assert is_orthogonal(model.weight_hh_l0[2 * N :].detach())


def test_a_projection_keeps_the_spectrum_that_was_asked():
    model = nn.LSTM(3, N, proj_size=5, num_layers=2)
    initialize_(model, recurrent="eigen(modulus=0.9)", rng=0)
    for layer in ("l0", "l1"):
        W_hr = getattr(model, f"weight_hr_{layer}").detach().double()
        for W_hh in getattr(model, f"weight_hh_{layer}").detach().double().chunk(4):
            moduli = np.sort(np.abs(np.linalg.eigvals((W_hh @ W_hr).numpy())))
            np.testing.assert_allclose(moduli[-5:], 0.9, rtol=0, atol=1e3 * torch.finfo(torch.float32).eps)
            # Computed in double precision from a product of rank 5.
            assert moduli[-6] < 10 * N * np.finfo(float).eps


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_projection_works_in_every_precision(dtype):
    done = initialize_(nn.LSTM(8, 64, proj_size=16, dtype=dtype), recurrent="orthogonal", rng=0)
    assert len(done.filled) == 5
    assert all(block.certificate.holds for block in done.filled)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_two_biases_sum_to_what_was_asked(bidirectional):
    model = nn.LSTM(3, N, num_layers=2, bidirectional=bidirectional)
    initialize_(model, bias="forget_bias")
    for name, vector in model.named_parameters():
        if name.startswith("bias_ih"):
            total = vector.detach() + getattr(model, name.replace("ih", "hh")).detach()
            expected = torch.zeros(4 * N)
            expected[N : 2 * N] = 1
            assert torch.equal(total, expected)


def test_chrono_spreads_time_constants_up_to_the_length():
    model = nn.LSTM(3, 400)
    initialize_(model, bias="chrono(max_steps=100)", rng=0)
    i, f, g, o = (model.bias_ih_l0 + model.bias_hh_l0).detach().double().chunk(4)
    steps = 1 / (1 - expit(f.numpy()))
    assert 2 <= steps.min() < 4
    assert 96 < steps.max() <= 100.001
    assert abs(np.median(steps) - 51) < 10  # uniform on (2, 100); ±4 standard errors of the median of 400
    assert torch.equal(i, -f)
    assert not g.any()
    assert not o.any()


def test_chrono_on_a_gru_sets_the_gate_that_keeps():
    model = nn.GRU(3, N)
    initialize_(model, bias="chrono(max_steps=100)", rng=0)
    r, z, n = model.bias_ih_l0.detach().chunk(3)
    assert (z > 0).all()
    assert not r.any()
    assert not n.any()
    assert not model.bias_hh_l0.any()


@pytest.mark.parametrize(("spec", "value"), [("zeros", 0.0), ("constant(value=0.25)", 0.25)])
def test_constant_biases_reach_every_gate(spec, value):
    model = nn.GRU(3, N)
    initialize_(model, bias=spec)
    assert torch.equal(model.bias_ih_l0 + model.bias_hh_l0, torch.full((3 * N,), value))


class CTRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.input2h = nn.Linear(3, N)
        self.h2h = nn.Linear(N, N)
        self.fc = nn.Linear(N, N)


def test_recurrent_linear_modules_are_named_by_the_user_or_reported():
    model = nn.Sequential(CTRNN(), nn.GRU(3, N))
    done = initialize_(model, recurrent="orthogonal", rng=0)
    assert done.suspects == ("0.h2h",)
    assert "linear=['0.h2h']" in str(done)
    before = model[0].fc.weight.detach().clone()
    done = initialize_(model, recurrent="orthogonal", bias="zeros", linear=["h2h"], rng=0)
    assert done.suspects == ()
    assert is_orthogonal(model[0].h2h.weight.detach())
    assert not model[0].h2h.bias.any()
    assert torch.equal(model[0].fc.weight, before)


def test_shared_modules_are_filled_once():
    shared = nn.GRUCell(3, N)
    model = nn.ModuleDict({"a": shared, "b": shared})
    assert len(initialize_(model, recurrent="orthogonal").filled) == 3


def test_meta_tensors_are_deferred():
    model = nn.LSTM(3, N, device="meta")
    done = initialize_(model, recurrent="orthogonal", bias="forget_bias")
    assert (done.filled, done.deferred) == ((), ("weight_hh_l0", "bias_ih_l0"))
    assert "deferred" in str(done)
    model.to_empty(device="cpu")
    assert len(initialize_(model, recurrent="orthogonal").filled) == 4


def test_a_promise_that_does_not_hold_is_an_error(monkeypatch):
    monkeypatch.setattr(Orthogonal, "_weight", lambda self, z: z)
    with pytest.raises(CertificateError, match=r"weight_hh_l0\[i\].*DOES NOT HOLD"):
        initialize_(nn.LSTM(3, N), recurrent="orthogonal")


@pytest.mark.parametrize(
    ("model", "arguments", "error", "words"),
    [
        (nn.LSTM(3, 4), {}, ArgumentError, "must be told what to fill"),
        (nn.Linear(3, 4), {"recurrent": "orthogonal"}, ArgumentError, "must hold a recurrent layer"),
        (CTRNN(), {"recurrent": "orthogonal"}, ArgumentError, r"linear=\['h2h'\]"),
        (CTRNN(), {"recurrent": "orthogonal", "linear": ["h3h"]}, UnknownNameError, "h2h"),
        (CTRNN(), {"recurrent": "orthogonal", "linear": ["input2h"]}, ArgumentError, "square"),
        (nn.LSTM(3, 4), {"recurrent": {"z": "orthogonal"}}, UnknownNameError, "gate"),
        (nn.LSTM(3, 4), {"recurrent": "ring"}, ArgumentError, "complex"),
        (nn.LSTM(3, 4), {"bias": "orthogonal"}, ArgumentError, "chrono, uniform_gate, zeros or constant"),
        (nn.RNN(3, 4), {"bias": "chrono"}, ArgumentError, "without gates"),
        (nn.LSTM(3, 4, bias=False), {"bias": "chrono"}, ArgumentError, "without biases"),
    ],
)
def test_misuse_is_refused_in_words(model, arguments, error, words):
    with pytest.raises(error, match=words):
        initialize_(model, **arguments)


@pytest.mark.parametrize("spec", ["orthogonal", "eigen", "block_rotation", "gaussian(radius=1)", "xavier_uniform"])
def test_the_diagnosis_finds_nothing_wrong_with_it(spec):
    from unitcircle.recurrence import from_torch

    model = nn.LSTM(3, 48)
    initialize_(model, recurrent=spec, bias="forget_bias", rng=0)
    tensors = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    layer = from_torch(
        tensors["weight_hh_l0"],
        cell="lstm",
        weight_ih=tensors["weight_ih_l0"],
        bias_ih=tensors["bias_ih_l0"],
        bias_hh=tensors["bias_hh_l0"],
    )
    assert {f.code for f in uc.diagnose([layer]).findings} <= {"UC106"}


def test_zeros_take_nothing_from_the_generator():
    with_bias, without = (torch.nn.RNN(2, 4, num_layers=2) for _ in range(2))
    initialize_(with_bias, recurrent="orthogonal", bias="zeros", rng=3)
    initialize_(without, recurrent="orthogonal", rng=3)
    assert torch.equal(with_bias.weight_hh_l1, without.weight_hh_l1)


class ByParameter(nn.Module):
    """A recurrence whose weights are parameters, one of them parametrized."""

    def __init__(self, parametrized=False):
        super().__init__()
        self.W, self.U = nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(3, 6))
        self.inner = nn.ParameterDict({"R": torch.randn(6, 6)})
        self.register_buffer("reservoir", torch.randn(6, 6))
        self.both = nn.Linear(9, 6)
        if parametrized:
            nn.utils.parametrizations.weight_norm(self, "W")


@pytest.mark.parametrize("name", ["W", "inner.R", "R", "reservoir"])
@pytest.mark.parametrize("parametrized", [False, True])
def test_a_parameter_that_a_person_names_is_initialized(name, parametrized):
    model = ByParameter(parametrized)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    done = initialize_(model, recurrent="orthogonal", linear=[name], rng=0)
    (filled,) = done.filled
    weight = {"W": model.W, "reservoir": model.reservoir}.get(name, model.inner["R"]).detach()
    assert filled.tensor.rpartition(".")[2] == name.rpartition(".")[2]
    assert (weight.T @ weight - torch.eye(6)).abs().max() <= 64 * torch.finfo(torch.float32).eps
    changed = {key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])}
    assert all(name.rpartition(".")[2] in key for key in changed)
    assert changed


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("U", ArgumentError, r"U with shape \(3, 6\)"),
        ("both", ArgumentError, r"both.weight with shape \(6, 9\)"),
        ("inner", ArgumentError, "inner, which has no weight"),
        ("V", UnknownNameError, "W"),
    ],
)
def test_what_is_named_and_cannot_be_initialized_is_refused(name, error, words):
    with pytest.raises(error, match=words):
        initialize_(ByParameter(), recurrent="orthogonal", linear=[name])
