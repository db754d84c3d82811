"""Gradient flow against one backward pass a lag, against formed Jacobians, and against known rates."""

import copy

import numpy as np
import pytest
import torch
from tests.dynamics.single_cells import CELLS
from torch import nn

from unitcircle.dynamics import as_recurrence, gradient_flow
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError

EPS = np.finfo(float).eps
T, B, M, N = 12, 3, 2, 5


class Reader(nn.Module):
    """Embedding, a recurrent layer, a head that reads its last output."""

    def __init__(self, layer, **options):
        super().__init__()
        self.embedding = nn.Embedding(7, M)
        self.rnn = layer(M, N, batch_first=True, **options)
        width = options.get("proj_size", N) * (1 + options.get("bidirectional", False))
        self.head = nn.Linear(width, 4)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


class CellLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(M, N)

    def forward(self, x):
        state = None
        for x_t in x.unbind(0):
            state = self.cell(x_t, state)
        return state[0]


class HandWritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.input2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)

    def forward(self, x):
        h = torch.zeros(x.shape[1], N, dtype=x.dtype)
        for x_t in x.unbind(0):
            h = torch.tanh(self.input2h(x_t) + self.h2h(h))
        return h


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return make()


def sequence():
    return torch.randn(T, B, M, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def tokens():
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 7, (B, T), generator=generator), torch.randint(0, 4, (B,), generator=generator)


def one_backward_per_lag(model, xs, target):
    """‖∂L/∂s_t‖ by cutting the sequence at t, feeding the state in as a leaf, and going backward from the loss.

    Of an LSTM the cut separates h from c; h_t = o tanh c_t hands the gradient of h on to that of c.
    """
    reference = copy.deepcopy(model).double().eval()
    embedded = reference.embedding(xs)
    lstm = isinstance(reference.rnn, nn.LSTM)
    norms = []
    for cut in range(T, -1, -1):
        state = None
        if cut:
            with torch.no_grad():
                _, state = reference.rnn(embedded[:, :cut])
        else:
            zero = torch.zeros(reference.rnn.num_layers, B, N, dtype=torch.float64)
            state = (zero, zero.clone()) if lstm else zero
        parts = [p.clone().requires_grad_() for p in (state if lstm else (state,))]
        h = parts[0][-1]
        if cut < T:
            output, _ = reference.rnn(embedded[:, cut:], tuple(parts) if lstm else parts[0])
            h = output[:, -1]
        loss = nn.functional.cross_entropy(reference.head(h), target)
        grads = torch.autograd.grad(loss, parts, allow_unused=True)
        grads = [torch.zeros_like(p) if g is None else g for g, p in zip(grads, parts, strict=True)]
        if lstm and cut:
            h, c = (p.detach() for p in parts)
            grads[1] = grads[1] + grads[0] * h / torch.tanh(c) * (1 - torch.tanh(c) ** 2)
        norms.append([g.norm(dim=-1).numpy() for g in grads])
    return np.array(norms)  # (lag, part, layer, B)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_one_pass_finds_what_one_backward_per_lag_finds(layer):
    model = seeded(lambda: Reader(layer))
    xs, target = tokens()
    flow = gradient_flow(model, (xs, target))
    naive = one_backward_per_lag(model, xs, target)
    assert flow.layers == ("rnn.l0",)
    assert flow.log_norms.shape == (T + 1, 1, B)
    for part, values in enumerate(flow.parts.values()):
        assert np.abs(np.exp(values) - naive[:, part]).max() <= 32 * N * T * EPS * naive.max()
    whole = np.sqrt((naive**2).sum(1))
    assert np.abs(flow.norms - whole).max() <= 32 * N * T * EPS * naive.max()
    assert (flow.stderr == 0).all()


def test_a_stack_is_measured_layer_by_layer():
    # Cut below: states of a lower layer act on the loss at the same step through the layer above.
    model = seeded(lambda: Reader(nn.LSTM, num_layers=2, dropout=0.4))
    xs, target = tokens()
    flow = gradient_flow(model, (xs, target), nn.functional.cross_entropy)
    naive = one_backward_per_lag(model, xs, target)
    assert flow.layers == ("rnn.l0", "rnn.l1")
    # At a cut all layers' states are handed over at once: the lower layer's state no longer acts within its own step.
    assert np.abs(np.exp(flow.parts["h"][:, 1]) - naive[:, 0, 1]).max() <= 32 * N * T * EPS * naive.max()
    assert np.isfinite(flow.log_norms[:, 0]).all()


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_jacobian_norms_are_those_of_the_formed_product(layer):
    module = seeded(lambda: layer(M, N))
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(sequence())
    J = recurrence.linearize(xs, states[:-1]).dense(0, T).numpy()
    n = recurrence.state_size
    product = np.broadcast_to(np.eye(n), (B, n, n))
    frobenius, spectral = [], []
    for lag in range(T + 1):
        frobenius.append(np.linalg.norm(product[:, :N], axis=(1, 2)))
        spectral.append(np.linalg.norm(product[:, :N], 2, axis=(1, 2)))
        if lag < T:
            product = product @ J[T - 1 - lag]
    exact = gradient_flow(module, sequence(), norm="spectral")
    assert np.abs(exact.log_norms[:, 0] - np.log(spectral)).max() <= 64 * n * T * EPS
    for probes in (N, 64):
        flow = gradient_flow(module, sequence(), norm="jacobian", probes=probes)
        assert np.abs(flow.log_norms[:, 0] - np.log(frobenius)).max() <= 64 * n * T * EPS
        assert not flow.stderr.any()


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_fewer_probes_than_entries_estimate_the_jacobian_norm(layer):
    module = seeded(lambda: layer(M, 32))
    exact, flow = (gradient_flow(module, sequence(), norm="jacobian", probes=p) for p in (32, 31))
    z = (flow.log_norms - exact.log_norms)[1:, 0] / flow.stderr[1:, 0]
    # 36 correlated estimates; beyond 5 standard errors by chance in fewer than 1 of 1000 seeds.
    assert np.abs(z).max() <= 5
    assert np.std(z) > 0.2
    assert np.abs(flow.log_norms[0, 0] - exact.log_norms[0, 0]).max() <= 16 * EPS


def test_the_error_of_a_jacobian_norm_falls_with_the_number_of_probes():
    module = seeded(lambda: nn.RNN(M, 520))
    few, many = (gradient_flow(module, sequence(), norm="jacobian", probes=p).stderr[1:, 0] for p in (8, 512))
    # 1/√64 of the error; of 8 probes it is known to a factor 2, and the median of many lags better.
    assert 1 / 16 < np.median(many) / np.median(few) < 1 / 4


def test_growth_rate_of_an_orthogonal_linear_regime_is_its_gain():
    module = nn.RNN(1, 16, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        module.weight_ih_l0.fill_(1.0)
        module.weight_hh_l0.copy_(0.8 * torch.eye(16, dtype=torch.float64))
    flow = gradient_flow(module, torch.ones(200, 2, 1))
    assert flow.growth_rate[0] == pytest.approx(np.log(0.8), abs=64 * EPS)
    assert flow.growth_rate_stderr[0] <= 64 * EPS
    assert flow.horizon()[0] == np.ceil(np.log(1e-3) / np.log(0.8))
    assert flow.horizon(1e3)[0] == np.inf
    assert flow.steps == 200
    assert "-0.223" in str(flow)
    assert "within 31 steps" in str(flow)


def linear_rnn(gain, n=4):
    """A linear recurrence ``h' = gain h + x``: the relu never cuts where inputs are positive."""
    module = nn.RNN(1, n, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        module.weight_ih_l0.fill_(1.0)
        module.weight_hh_l0.copy_(gain * torch.eye(n, dtype=torch.float64))
    return module


def test_the_horizon_is_a_lag_also_where_the_loss_reads_an_early_state():
    # The loss reads the state after step 10 of 20, which is lag 10: one tenth is left 4 steps further back.
    flow = gradient_flow(linear_rnn(0.5), torch.ones(20, 1, 1), lambda output: output[0][9].sum())
    assert np.isneginf(flow.log_norms[:10]).all()
    assert flow.horizon(0.1)[0] == 10 + np.ceil(np.log(0.1) / np.log(0.5))
    assert np.exp(flow.log_norms[14, 0, 0] - flow.log_norms[10, 0, 0]) <= 0.1
    assert "by 0.001 within 20 steps" in str(flow)
    assert flow.horizon(1e-4)[0] == np.inf
    assert gradient_flow(linear_rnn(2.0), torch.ones(20, 1, 1), lambda output: output[0][9].sum()).horizon(3.0)[0] == 12


def test_exploding_and_kept_gradients_are_told_apart():
    def flow(gain):
        module = nn.RNN(1, 4, nonlinearity="relu", bias=False)
        with torch.no_grad():
            module.weight_ih_l0.fill_(1.0)
            module.weight_hh_l0.copy_(gain * torch.eye(4))
        return gradient_flow(module, torch.ones(400, 1, 1))

    assert "changes by 1000 within" in str(flow(1.1))
    assert "keeps its order of magnitude" in str(flow(1.0))
    assert flow(1.1).horizon(10.0)[0] == np.ceil(np.log(10) / np.log(1.1))
    overflowing = flow(10.0)
    assert np.isposinf(overflowing.log_norms[-1]).all()
    assert overflowing.growth_rate[0] == pytest.approx(np.log(10.0), abs=1e3 * EPS)


def test_worst_step_is_where_the_gradient_is_lost():
    module = nn.RNN(1, 4, bias=False)
    with torch.no_grad():
        module.weight_ih_l0.fill_(1.0)
        module.weight_hh_l0.copy_(torch.eye(4))
    xs = torch.zeros(30, 1, 1)
    xs[19] = 6.0  # saturates the units at step 19; from then on the slope is that at the state left behind
    step = gradient_flow(module, xs).worst_step
    assert step.layer == "l0"
    assert step.lag == 30 - 20
    assert step.change < -5


def test_both_directions_of_a_bidirectional_layer_are_measured():
    model = seeded(lambda: Reader(nn.GRU, bidirectional=True))
    xs, target = tokens()
    flow = gradient_flow(model, (xs, target))
    assert flow.layers == ("rnn.l0", "rnn.l0_reverse")
    # The head reads the reverse direction at the last time, which is its first step.
    assert np.isneginf(flow.log_norms[: T - 1, 1]).all()
    assert "at most one of its states" not in str(flow).splitlines()[0]
    whole = gradient_flow(seeded(lambda: nn.GRU(M, N, bidirectional=True)), sequence(), norm="spectral")
    assert np.abs(whole.log_norms[0]).max() <= 16 * EPS


def test_a_gradient_that_reaches_one_state_only_says_so():
    module = seeded(lambda: nn.RNN(M, N))
    flow = gradient_flow(module, sequence(), lambda output: output[0][0].sum() * 0 + output[1].detach().sum())
    assert np.isneginf(flow.log_norms).all()
    assert np.isnan(flow.growth_rate[0])
    assert np.isnan(flow.horizon()[0])
    assert flow.worst_step is None
    assert "at most one of its states" in str(flow)


def test_cells_in_a_loop_hand_written_recurrences_and_recurrences_agree_with_the_fused_layer():
    fused = seeded(lambda: nn.LSTM(M, N))
    loop = CellLoop()
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(loop.cell, name).copy_(getattr(fused, f"{name}_l0"))
    a, b = (gradient_flow(m, sequence(), norm="spectral") for m in (fused, loop))
    assert b.layers == ("cell",)
    assert np.abs(a.log_norms - b.log_norms).max() <= 64 * N * T * EPS
    recurrence = as_recurrence(fused)
    c = gradient_flow(recurrence, sequence(), norm="spectral")
    assert c.layers == ("LSTM",)
    assert (c.log_norms >= a.log_norms - 64 * N * T * EPS).all()  # all of s_T, not h_T alone

    plain = seeded(lambda: nn.RNN(M, N))
    hand = HandWritten()
    with torch.no_grad():
        for linear, kind in ((hand.input2h, "ih"), (hand.h2h, "hh")):
            linear.weight.copy_(getattr(plain, f"weight_{kind}_l0"))
            linear.bias.copy_(getattr(plain, f"bias_{kind}_l0"))
    xs = sequence()
    last = gradient_flow(plain, xs, lambda output: output[1].square().sum())
    by_name = gradient_flow(hand, xs, lambda h: h.square().sum(), at=("h2h",))
    # h2h is called with h_0 .. h_{T-1}; h_0 is a constant outside any graph.
    assert np.abs(by_name.log_norms[:, 0] - last.log_norms[1:T, 0]).max() <= 64 * N * T * EPS


def test_recurrence_with_a_loss_and_without_input():
    rotation = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    recurrence = as_recurrence(lambda x, s: 0.5 * rotation @ s, state=torch.ones(2, dtype=torch.float64))
    flow = gradient_flow(recurrence, 10, lambda state: state.sum())
    assert flow.growth_rate[0] == pytest.approx(np.log(0.5), abs=8 * EPS)


def test_default_losses_and_dictionaries():
    model = seeded(lambda: Reader(nn.GRU))
    xs, target = tokens()
    values = torch.randn(B, 4)
    squared = gradient_flow(model, (xs, values))
    named = gradient_flow(model, (xs, values), nn.functional.mse_loss)
    assert np.array_equal(squared.log_norms, named.log_norms)
    keyed = gradient_flow(model, {"tokens": xs}, lambda output: nn.functional.cross_entropy(output, target))
    assert np.array_equal(keyed.log_norms, gradient_flow(model, (xs, target)).log_norms)


def test_initial_states_and_unbatched_inputs():
    class Started(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(M, N)

        def forward(self, x):
            return self.rnn(input=x, hx=torch.zeros(1, N) if x.ndim == 2 else torch.zeros(1, x.shape[1], N))[0][-1]

    model = seeded(Started)
    one = gradient_flow(model, sequence()[:, 0], lambda h: h.sum())
    many = gradient_flow(model, sequence(), lambda h: h.sum())
    assert np.abs(one.log_norms[:, 0, 0] - many.log_norms[:, 0, 0]).max() <= 16 * N * T * EPS
    bare = gradient_flow(seeded(lambda: nn.LSTM(M, N)), sequence()[:, 0])
    assert bare.log_norms.shape == (T + 1, 1, 1)
    cell = seeded(CellLoop)
    assert gradient_flow(cell, sequence()[:, 0]).log_norms.shape == (T + 1, 1, 1)


def test_a_layer_used_again_with_a_new_state_is_kept_apart_and_aligned_at_its_end():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(M, N)

        def forward(self, x):
            _, h = self.rnn(x)
            return self.rnn(x[:4] + h[..., :M])[0][-1]

    flow = gradient_flow(seeded(Twice), sequence(), lambda h: h.sum())
    assert flow.layers == ("rnn.l0", "rnn.l0#2")
    assert np.isnan(flow.log_norms[5:, 1]).all()
    assert np.isfinite(flow.log_norms[:, 0]).all()
    assert np.isfinite(flow.growth_rate).all()


def test_everything_is_left_as_found():
    model = seeded(lambda: Reader(nn.LSTM, num_layers=2, dropout=0.3))
    xs, target = tokens()
    model.head.weight.requires_grad_(False)
    model.rnn.eval()
    state = copy.deepcopy(model.state_dict())
    values = torch.randn(B, T, M)
    original = values.clone()
    before = torch.random.get_rng_state()
    with torch.no_grad():
        gradient_flow(model, (xs, target))
    gradient_flow(model.rnn, values, norm="jacobian")
    model.rnn.forward = model.rnn.forward  # an instance's own forward comes back, too
    own = model.rnn.__dict__["forward"]
    gradient_flow(model, (xs, target))
    assert model.rnn.__dict__.pop("forward") is own
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(values, original)
    assert model.training
    assert not model.rnn.training
    assert not model.head.weight.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert not model.rnn._forward_pre_hooks


def test_random_state_is_left_as_found():
    class Noisy(HandWritten):
        def forward(self, x):
            return super().forward(x + torch.rand_like(x))

    model = Noisy()
    before = torch.random.get_rng_state()
    gradient_flow(model, sequence(), lambda h: h.sum(), at=("h2h",))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_cells_with_states_of_their_own_and_unbatched():
    class Started(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(M, N)

        def forward(self, x):
            h = torch.zeros(N, dtype=x.dtype)
            for x_t in x:
                h = self.cell(x_t, h)
            return h

    model = seeded(Started)
    flow = gradient_flow(model, sequence()[:, 0], lambda h: h.sum())
    assert flow.log_norms.shape == (T + 1, 1, 1)
    assert np.isfinite(flow.log_norms).all()


class OwnTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(M, N)

    def forward(self, x):
        return self.rnn(x)[0][-1] @ torch.ones(N, 1)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: gradient_flow(nn.Linear(M, N), x, torch.sum), ArgumentError, "must call an nn.RNN"),
        (lambda x: gradient_flow(nn.RNN(M, N), x, norm="nuclear"), UnknownNameError, "norm"),
        (lambda x: gradient_flow(nn.RNN(M, N), x, norm="jacobian", probes=1), ArgumentError, "probes"),
        (lambda x: gradient_flow(nn.RNN(M, N), (x, x, x, x)), ArgumentError, "inputs, target"),
        (lambda x: gradient_flow(nn.RNN(M, N), (x, x)), ArgumentError, "a target that fits the output"),
        (lambda x: gradient_flow(nn.RNN(M, N), x, lambda output: output[0]), ArgumentError, "scalar"),
        (lambda x: gradient_flow(HandWritten(), x, at=("hh",)), UnknownNameError, "at"),
        (lambda x: gradient_flow(OwnTensors(), x), ArgumentError, "dtype=None"),
        (lambda x: gradient_flow(nn.RNN(M + 1, N), x), ShapeError, r"what RNN takes, numbers of shape \(T, B, 3\)"),
        (lambda x: gradient_flow(nn.RNN(M, N), x).horizon(1.0), ArgumentError, "factor"),
    ],
)
def test_misuse_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call(sequence())


def test_a_norm_whose_square_underflows_is_not_zero():
    """In double precision squares vanish below 1e-162, half of the range of the gradient itself."""
    rnn = nn.RNN(1, 1, bias=False)
    with torch.no_grad():
        rnn.weight_hh_l0.fill_(1e-10)
    flow = gradient_flow(rnn, torch.zeros(31, 1, 1), lambda output: output[0][-1].sum())
    lags = np.arange(31)
    assert np.abs(flow.log_norms[:31, 0, 0] - lags * np.log(rnn.weight_hh_l0.item())).max() < 1e4 * EPS
    jacobian = gradient_flow(rnn, torch.zeros(31, 1, 1), norm="jacobian")
    np.testing.assert_allclose(jacobian.log_norms[:31], flow.log_norms[:31], rtol=1e3 * EPS, atol=2 * EPS)


class ByCell(nn.Module):
    """An LSTM in a loop: torch's cell, or its equations."""

    def __init__(self, cell, *, written):
        super().__init__()
        self.weights, self.written, self.head, self.kept = cell, written, nn.Linear(N, 4, bias=False), []
        self.head.weight.data = torch.randn(4, N, generator=torch.Generator().manual_seed(4))

    def step(self, x, h, c):
        cell = self.weights
        if not self.written:
            return cell(x, (h, c))
        i, f, g, o = (x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(self, x):
        h = c = x.new_zeros(x.shape[1], N)
        self.kept = []
        for row in x:
            h, c = self.step(row, h, c)
            self.kept.append((h, c))
        return self.head(h)


class ByLayer(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.rnn, self.head = nn.LSTM(M, N), ByCell(cell, written=False).head
        for name, weight in cell.named_parameters():
            getattr(self.rnn, f"{name}_l0").data = weight.data

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


def test_an_lstm_has_one_gradient_as_layer_as_cell_and_as_equations():
    """That of retain_grad at the h and c of each step: c includes what flows through the h of its own step."""
    cell = seeded(lambda: nn.LSTMCell(M, N))
    x, target = sequence(), torch.arange(B)
    for written in (False, True):
        twin = copy.deepcopy(ByCell(cell, written=written)).double()
        output = twin(x)
        for part in (part for state in twin.kept for part in state):
            part.retain_grad()
        nn.functional.cross_entropy(output, target).backward()
        grads = [[torch.zeros(B, N) if part.grad is None else part.grad for part in state] for state in twin.kept]
        expected = torch.stack([torch.cat(state, -1).norm(dim=-1) for state in grads[::-1]]).numpy()
        for model in (ByLayer(cell), ByCell(cell, written=False), ByCell(cell, written=True)):
            measured = gradient_flow(model, (x, target)).norms[:T, 0]
            assert np.abs(measured / expected - 1).max() <= 32 * N * T * EPS


@pytest.mark.parametrize("name", CELLS)
def test_the_flow_of_one_cell_is_that_of_its_jacobians(name):
    torch.manual_seed(0)
    recurrence = as_recurrence(CELLS[name]())
    x = torch.randn(6, 3, 2)
    xs, states = recurrence.trajectory(x)
    product = torch.eye(recurrence.state_size, dtype=torch.float64).expand(3, -1, -1)
    rows = [product]
    for J in recurrence.linearize(xs, states[:-1]).dense(0, 6).flip(0):
        product = product @ J
        rows.append(product)
    J = torch.stack(rows)  # (lag, B, N, N)
    loss = torch.linalg.vector_norm((2 * states[-1]).unsqueeze(1) @ J, dim=(-2, -1))
    for options, exact in (
        ({"norm": "spectral"}, torch.linalg.matrix_norm(J, 2)),
        ({"norm": "jacobian", "probes": recurrence.state_size}, torch.linalg.matrix_norm(J)),
        ({"loss": lambda state: state.square().sum()}, loss),
    ):
        found = np.exp(gradient_flow(recurrence, x, **options).log_norms[:, 0])
        np.testing.assert_allclose(found, exact.numpy(), rtol=1e3 * np.finfo(float).eps)
