"""Trajectories: chunks, loops, packed and padded batches against one call, or one backward pass a sequence."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unitcircle.dynamics import driven_layers, gradient_flow
from unitcircle.errors import ArgumentError

ACCURACY = 1e-10  # relative, of gradients in double precision
T, B, M, N = 24, 4, 3, 6
LENGTHS = (24, 5, 17, 9)
KINDS = (nn.RNN, nn.GRU, nn.LSTM)


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return make()


def inputs(steps=T, batch=B):
    return torch.randn(batch, steps, M, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def target(batch=B):
    return torch.randint(0, 2, (batch,), generator=torch.Generator().manual_seed(4))


class Chunked(nn.Module):
    """A layer called once a chunk, its state passed on in one of the ways that people have."""

    def __init__(self, kind, chunk, link=lambda state: state, **options):
        super().__init__()
        self.rnn = kind(M, N, batch_first=True, **options)
        self.fc = nn.Linear(N, 2)
        self.chunk, self.link = chunk, link

    def forward(self, x):
        state = None
        for part in x.split(self.chunk, 1):
            y, state = self.rnn(part, None if state is None else self.link(state))
        return self.fc(y[:, -1])


class Stepwise(nn.Module):
    """The same function of the same weights as a loop over a cell."""

    def __init__(self, rnn, fc):
        super().__init__()
        cell = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}[type(rnn)]
        self.rnn, self.fc = cell(M, N), fc
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(self.rnn, name).data.copy_(getattr(rnn, f"{name}_l0").data)

    def forward(self, x):
        state = None
        for x_t in x.unbind(1):
            state = self.rnn(x_t, state)
        return self.fc(state[0] if isinstance(state, tuple) else state)


def views(state):
    """The same state through slices, stacks and clones, as decoders pass it on."""
    if isinstance(state, tuple):
        h, c = state
        return torch.stack([h[0]]), c[:1].clone()
    return torch.cat(list(state.unbind(0))).view_as(state)


def agree(a, b):
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.expm1(a - b))
    assert np.array_equal(np.isneginf(a), np.isneginf(b))
    assert np.nanmax(np.where(np.isneginf(a), 0, difference)) <= ACCURACY


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["gradient", "spectral"])
def test_chunks_and_loops_are_the_single_call(kind, norm):
    whole = seeded(lambda: Chunked(kind, T))
    expected = gradient_flow(whole, (inputs(), target()), norm=norm)
    assert expected.calls == (1,)
    models = [Chunked(kind, 10), Chunked(kind, 1), Chunked(kind, 7, views)]
    for model in models:
        model.load_state_dict(whole.state_dict())
    for model in (*models, Stepwise(whole.rnn, whole.fc)):
        flow = gradient_flow(model, (inputs(), target()), norm=norm)
        assert len(flow.layers) == 1
        assert flow.cuts == ((),)
        agree(flow.log_norms, expected.log_norms)


def test_a_stack_in_chunks_is_the_single_call():
    whole = seeded(lambda: Chunked(nn.LSTM, T, num_layers=2))
    parts = Chunked(nn.LSTM, 5, views2, num_layers=2)
    parts.load_state_dict(whole.state_dict())
    expected, flow = (gradient_flow(model, (inputs(), target())) for model in (whole, parts))
    assert flow.layers == expected.layers == ("rnn.l0", "rnn.l1")
    agree(flow.log_norms, expected.log_norms)
    a, b = (driven_layers(model, (inputs(), target())) for model in (whole, parts))
    for one, other in zip(a, b, strict=True):
        for name in ("states", "inputs"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=ACCURACY, atol=ACCURACY)
        xs, states = other.recurrence.trajectory(*other.first(B)[:1], initial=other.first(B)[1])
        torch.testing.assert_close(states, other.states, rtol=ACCURACY, atol=ACCURACY)
        assert torch.equal(xs, other.inputs)


def views2(state):
    h, c = state
    return torch.stack([h[0], h[1]]), torch.cat([c[:1], c[1:]])


class Reads(nn.Module):
    """A bidirectional layer over sequences of different lengths, packed or padded, read at the ends."""

    def __init__(self, kind, *, packed, bidirectional=False, num_layers=1):
        super().__init__()
        self.rnn = kind(M, N, batch_first=True, bidirectional=bidirectional, num_layers=num_layers)
        self.fc = nn.Linear(N * (1 + bidirectional), 2)
        self.packed = packed

    def forward(self, x, lengths):
        if self.packed:
            y, _ = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
            y, _ = pad_packed_sequence(y, batch_first=True)
        else:
            y, _ = self.rnn(x)
        return self.fc(y[torch.arange(len(x)), lengths - 1])


def alone(model, x, y):
    """log ‖∂L/∂s_t‖ by lag of one unpadded sequence, whose loss is its share of the batch's mean."""
    one = copy.deepcopy(model)
    one.packed = False
    n = torch.tensor([x.shape[0]])
    share = lambda output, t: nn.functional.cross_entropy(output, t) / B  # noqa: E731
    return gradient_flow(one, ({"x": x.unsqueeze(0), "lengths": n}, y.unsqueeze(0)), share)


def by_autograd(model, x, y):
    """The same of a plain unidirectional tanh layer, in plain operations."""
    rnn, fc = (copy.deepcopy(part).double() for part in (model.rnn, model.fc))
    h = [torch.zeros(N, dtype=torch.float64, requires_grad=True)]
    for x_t in x:
        pre = rnn.weight_ih_l0 @ x_t + rnn.bias_ih_l0 + rnn.weight_hh_l0 @ h[-1] + rnn.bias_hh_l0
        h.append(torch.tanh(pre))
    loss = nn.functional.cross_entropy(fc(h[-1]).unsqueeze(0), y.unsqueeze(0)) / B
    return torch.stack(torch.autograd.grad(loss, h)).norm(dim=-1).log().numpy()[::-1]


def padded():
    x = inputs()
    for b, n in enumerate(LENGTHS):
        x[b, n:] = 0
    return {"x": x, "lengths": torch.tensor(LENGTHS)}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_each_sequence_of_a_batch_is_counted_back_from_its_own_end(packed, named):
    model = seeded(lambda: Reads(nn.RNN, packed=packed))
    batch, y = padded(), target()
    if not named:
        model = Renamed(model)
        batch["where"] = batch.pop("lengths")
    flow = gradient_flow(model, (batch, y))
    inner = model if named else model.model
    assert [int(n) for n in flow.lengths[0]] == list(LENGTHS)
    for b, n in enumerate(LENGTHS):
        expected = by_autograd(inner, batch["x"][b, :n], y[b])
        agree(flow.log_norms[: n + 1, 0, b], expected)
        assert np.isnan(flow.log_norms[n + 1 :, 0, b]).all()
    assert np.isfinite(flow.growth_rate).all()
    assert "at most one" not in str(flow)


class Renamed(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, where):
        return self.model(x, where)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"bidirectional": True, "num_layers": 2}])
def test_a_packed_batch_is_its_sequences_one_by_one(kind, options):
    model = seeded(lambda: Reads(kind, packed=True, **options))
    batch, y = padded(), target()
    flow = gradient_flow(model, (batch, y))
    layers = driven_layers(model, (batch, y))
    for b, n in enumerate(LENGTHS):
        single = alone(model, batch["x"][b, :n], y[b])
        assert single.layers == flow.layers
        for k in range(len(flow.layers)):
            agree(flow.log_norms[: n + 1, k, b], single.log_norms[:, k, 0])
            assert np.isnan(flow.log_norms[n + 1 :, k, b]).all()
        one = copy.deepcopy(model)
        one.packed = False
        single_layers = driven_layers(one, {"x": batch["x"][b : b + 1, :n], "lengths": torch.tensor([n])})
        for layer, other in zip(layers, single_layers, strict=True):
            assert layer.lengths[b] == n
            torch.testing.assert_close(layer.states[: n + 1, b], other.states[:, 0], rtol=ACCURACY, atol=ACCURACY)
            torch.testing.assert_close(layer.inputs[:n, b], other.inputs[:, 0], rtol=ACCURACY, atol=ACCURACY)
    # What the model returns is what it returns outside of a measurement.
    reference = copy.deepcopy(model).double()(**batch)
    seen = []
    gradient_flow(model, (batch, y), lambda output, _: seen.append(output) or output.sum())
    torch.testing.assert_close(seen[0], reference, rtol=ACCURACY, atol=ACCURACY)


@pytest.mark.parametrize("packed", [True, False])
def test_jacobians_end_where_each_sequence_ends(packed):
    model = seeded(lambda: Reads(nn.GRU, packed=packed))
    batch, y = padded(), target()
    for data in (batch, (batch, y)):
        flow = gradient_flow(model, data, norm="spectral")
        for b, n in enumerate(LENGTHS):
            single = gradient_flow(model.rnn, batch["x"][b : b + 1, :n], norm="spectral")
            agree(flow.log_norms[: n + 1, 0, b], single.log_norms[:, 0, 0])


def test_a_packed_batch_passes_its_initial_state_to_the_right_sequences():
    rnn = seeded(lambda: nn.LSTM(M, N, batch_first=True)).double()
    x, lengths = padded().values()
    start = tuple(torch.randn(1, B, N, dtype=torch.float64) for _ in range(2))

    class Started(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = rnn

        def forward(self, x, lengths):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.rnn(packed, start)[1][0][0]

    seen = []
    flow = gradient_flow(Started(), {"x": x, "lengths": lengths}, lambda h: seen.append(h) or h.sum())
    torch.testing.assert_close(seen[0], Started()(x, lengths), rtol=ACCURACY, atol=ACCURACY)
    for b, n in enumerate(LENGTHS):
        parts = [part[:, b : b + 1].clone().requires_grad_() for part in start]
        h = rnn(x[b : b + 1, :n], tuple(parts))[1][0]
        g = torch.cat(torch.autograd.grad(h.sum(), parts), -1).norm().log().item()
        assert flow.log_norms[n, 0, b] == pytest.approx(g, abs=ACCURACY)


class Siamese(nn.Module):
    """One encoder for two sequences."""

    def __init__(self, cell):
        super().__init__()
        self.c = cell

    def encode(self, x):
        h = x.new_zeros(len(x), N)
        for x_t in x.unbind(1):
            h = self.c(x_t, h)
        return h

    def forward(self, x):
        a, b = x.chunk(2, 1)
        return (self.encode(a) * self.encode(b)).sum(-1)


@pytest.mark.parametrize("norm", ["gradient", "spectral"])
def test_one_cell_over_two_sequences_has_two_trajectories(norm):
    model = seeded(lambda: Siamese(nn.GRUCell(M, N)))
    flow = (
        gradient_flow(model, inputs(), lambda output: output.sum() if norm == "gradient" else None, norm=norm)
        if (norm == "gradient")
        else gradient_flow(model, inputs(), norm=norm)
    )
    assert flow.layers == ("c", "c#2")
    assert flow.steps == T // 2
    fused = nn.GRU(M, N, batch_first=True).double()
    for name, value in model.c.named_parameters():
        getattr(fused, f"{name}_l0").data.copy_(value.data)
    for k, x in enumerate(inputs().chunk(2, 1)):
        other = fused(inputs().chunk(2, 1)[1 - k])[1].detach()
        loss = None if norm == "spectral" else lambda output, other=other: (output[1] * other).sum()
        expected = gradient_flow(fused, x, loss, norm=norm)
        agree(flow.log_norms[:, k], expected.log_norms[:, 0])


def test_two_encoders_are_each_measured_to_their_own_end():
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.GRU(M, N, batch_first=True), nn.LSTM(M, N, batch_first=True)

        def forward(self, x):
            return self.a(x)[0][:, -1] + self.b(x)[0][:, -1]

    model = seeded(Towers)
    flow = gradient_flow(model, inputs(), norm="spectral")
    for k, rnn in enumerate((model.a, model.b)):
        agree(flow.log_norms[:, k], gradient_flow(rnn, inputs(), norm="spectral").log_norms[:, 0])


@pytest.mark.parametrize(
    "detach",
    [
        lambda state: state.detach(),
        lambda state: state.data.clone(),
        lambda state: torch.tensor(state.tolist(), dtype=state.dtype),
        lambda state: state.detach().requires_grad_(),
    ],
)
def test_a_detached_link_is_a_cut(detach):
    model = seeded(lambda: Chunked(nn.GRU, 10, detach))
    flow = gradient_flow(model, (inputs(40), target()))
    whole = seeded(lambda: Chunked(nn.GRU, 40))
    expected = gradient_flow(whole, (inputs(40), target()))
    assert flow.layers == ("rnn.l0",)
    assert flow.steps == 40
    assert flow.cuts == ((10, 20, 30),)
    agree(flow.log_norms[:10], expected.log_norms[:10])
    assert np.isneginf(flow.log_norms[10:]).all()
    jacobian = gradient_flow(model, (inputs(40), target()), norm="spectral")
    assert np.isneginf(jacobian.log_norms[10:]).all()


def test_a_state_that_is_zero_when_detached_is_a_cut_too():
    model = seeded(lambda: Chunked(nn.RNN, 10, lambda state: state.detach(), nonlinearity="relu"))
    model.rnn.bias_ih_l0.data.fill_(-100.0)
    assert gradient_flow(model, (inputs(40), target())).cuts == ((10, 20, 30),)


def test_an_encoder_that_is_not_trained_is_not_a_cut():
    model = seeded(lambda: Chunked(nn.GRU, 10))

    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.top = model, nn.GRU(2, N, batch_first=True)

        def forward(self, x):
            with torch.no_grad():
                features = self.model(x)
            return self.top(features.unsqueeze(1).expand(-1, 8, -1))[0][:, -1]

    flow = gradient_flow(Frozen(), inputs(40))
    assert flow.cuts == ((), ())
    assert flow.lengths[0].tolist() == [40] * B


def test_a_burn_in_without_gradients_is_a_cut():
    class BurnIn(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(M, N, batch_first=True)

        def forward(self, x):
            with torch.no_grad():
                _, state = self.rnn(x[:, :15])
            return self.rnn(x[:, 15:], state)[0][:, -1]

    flow = gradient_flow(seeded(BurnIn), inputs())
    assert flow.cuts == ((T - 15,),)
    assert flow.steps == T
    assert np.isneginf(flow.log_norms[T - 15 :]).all()


class Episodes(nn.Module):
    """A cell whose state is set to 0 where an episode ends, as agents do."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(M, N)

    def forward(self, x, done):
        h = None
        for x_t, d in zip(x.unbind(1), done.unbind(1), strict=True):
            h = self.cell(x_t, h if h is None else h * (1 - d).unsqueeze(-1))
        return h


def test_a_state_set_to_zero_begins_anew():
    model = seeded(Episodes)
    ends = (0, 4, 20, 11)
    done = torch.zeros(B, T, dtype=torch.float64)
    done[range(B), ends] = 1
    done[:, 3] = 1
    flow = gradient_flow(model, {"x": inputs(), "done": done}, lambda h: h.square().sum())
    assert flow.layers == ("cell", "cell#2")  # all of them begin anew at step 3
    assert np.isneginf(flow.log_norms[:4, 0]).all()
    begins = [max(3, end) for end in ends]
    rnn = nn.RNN(M, N, batch_first=True)
    for name, value in model.cell.named_parameters():
        getattr(rnn, f"{name}_l0").data.copy_(value.data)
    for b, begin in enumerate(begins):
        expected = gradient_flow(rnn, inputs()[b : b + 1, begin:], lambda output: output[1].square().sum())
        # The state at the reset is 0 whatever it was: what enters the cell after it is the initial state.
        agree(flow.log_norms[: T - begin + 1, 1, b], expected.log_norms[:, 0, 0])
        assert np.isnan(flow.log_norms[T - begin + 1 :, 1, b]).all()
    assert np.isfinite(flow.growth_rate[1])


class Masked(nn.Module):
    """A loop over a cell that keeps the state of a sequence over its padding."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.fc = cell, nn.Linear(N, 2)

    def forward(self, x, mask):
        h = x.new_zeros(len(x), N)
        for x_t, m in zip(x.unbind(1), mask.unbind(1), strict=True):
            h = torch.where(m.unsqueeze(-1), self.cell(x_t, h), h)
        return self.fc(h)


def test_a_state_that_is_kept_over_padding_ends_with_the_data():
    model = seeded(lambda: Masked(nn.RNNCell(M, N)))
    x, lengths = padded().values()
    y = target()
    flow = gradient_flow(model, ({"x": x, "mask": torch.arange(T) < lengths.unsqueeze(1)}, y))
    assert flow.layers == ("cell",)
    reference = Reads(nn.RNN, packed=False)
    reference.fc = model.fc
    for name, value in model.cell.named_parameters():
        getattr(reference.rnn, f"{name}_l0").data.copy_(value.data)
    for b, n in enumerate(LENGTHS):
        expected = by_autograd(reference, x[b, :n], y[b])
        agree(flow.log_norms[:n, 0, b], expected[:n])  # the initial state is a constant that is also used by itself


def test_a_changed_state_is_measured_as_it_enters_the_next_call():
    class Zoneout(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(M, N)
            self.states = []

        def forward(self, x):
            h = x.new_zeros(len(x), N)
            self.states.clear()
            for x_t in x.unbind(1):
                h = 0.9 * h + 0.1 * self.cell(x_t, h)
                self.states.append(h)
            return h

    model = seeded(Zoneout)
    flow = gradient_flow(model, inputs(), lambda h: h.square().sum())
    assert model.states == []
    twin = copy.deepcopy(model).double()
    gradients = torch.autograd.grad(twin(inputs()).square().sum(), twin.states[:-1])
    expected = torch.stack(gradients).norm(dim=-1).log().numpy()[::-1]
    agree(flow.log_norms[1:, 0], expected)


def test_a_state_that_two_calls_continue_has_two_trajectories():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(M, N, batch_first=True)

        def forward(self, x):
            _, h = self.rnn(x[:, :10])
            return self.rnn(x[:, 10:14], h)[1] + 2 * self.rnn(x[:, 14:], h)[1]

    model = seeded(Branches)
    flow = gradient_flow(model, inputs(), norm="spectral")
    assert [int(n[0]) for n in flow.lengths] == [14, 20]
    gradient = gradient_flow(model, inputs(), lambda h: h.sum())
    assert np.abs(gradient.log_norms[4, 0] - gradient.log_norms[10, 1]).max() == 0


def test_a_subclass_with_its_own_forward_is_never_replaced():
    class Leaky(nn.RNNCell):
        def forward(self, x, h):
            return 0.9 * h + 0.1 * super().forward(x, h)

    class Plain(nn.RNNCell):
        pass

    class Shifted(nn.LSTM):
        def forward(self, x, state=None):
            return super().forward(x + 1, state)

    leaky = seeded(lambda: Loop(Leaky(M, N)))
    flow = gradient_flow(leaky, inputs(), lambda h: h.sum())
    twin = copy.deepcopy(leaky).double()
    states = [torch.zeros(B, N, dtype=torch.float64, requires_grad=True)]
    for x_t in inputs().double().unbind(1):
        states.append(twin.cell(x_t, states[-1]))
    reference = torch.stack(torch.autograd.grad(states[-1].sum(), states)).norm(dim=-1).flip(0).numpy()
    assert flow.layers == ("cell",)
    assert abs(flow.norms[:, 0] / reference - 1).max() <= ACCURACY
    assert gradient_flow(leaky, inputs(), lambda h: h.sum(), norm="jacobian").norm == "jacobian"
    with pytest.raises(ArgumentError, match="Leaky, with its own forward"):
        gradient_flow(leaky, inputs(), norm="spectral")
    shifted, torchs = seeded(lambda: Shifted(M, N)), seeded(lambda: nn.LSTM(M, N))
    assert np.array_equal(gradient_flow(shifted, inputs()).log_norms, gradient_flow(torchs, inputs() + 1).log_norms)
    assert nn.LSTM.forward.__qualname__ == "LSTM.forward"
    assert gradient_flow(seeded(lambda: Loop(Plain(M, N))), inputs()).layers == ("cell",)
    assert driven_layers(seeded(lambda: Loop(Leaky(M, N))), inputs()) == ()

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.shifted, self.gru = Shifted(M, N, batch_first=True), nn.GRU(N, N, batch_first=True)

        def forward(self, x):
            return self.gru(self.shifted(x)[0])[0][:, -1]

    model, seen = seeded(Beside), []
    flow = gradient_flow(model, inputs(), lambda output: seen.append(output) or output.sum())
    assert flow.layers == ("shifted.l0", "gru.l0")
    torch.testing.assert_close(seen[0], copy.deepcopy(model).double()(inputs()), rtol=ACCURACY, atol=ACCURACY)


class Loop(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        h = x.new_zeros(len(x), N)
        for x_t in x.unbind(1):
            h = self.cell(x_t, h)
        return h
