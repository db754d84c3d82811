"""What every cell promises."""

from dataclasses import dataclass

import pytest
import torch
from tests.experiments.models.cases import CELLS, close, parameters_of, random_loss, sequences

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments import models
from unitcircle.experiments.models import Network, Parameter, Role, TrainableCell

RECURRENT = [name for name in CELLS if TrainableCell.registry[name].recurrent]


def made(name, size):
    return TrainableCell.parse(f"{name}(size={size})")


@pytest.mark.parametrize("name", CELLS)
def test_text_is_read_back(name):
    cell = made(name, 7)
    assert TrainableCell.parse(str(cell)) == cell
    assert cell.size == 7


def test_a_whole_number_for_a_float_is_the_same_text():
    assert (
        str(TrainableCell.parse("leaky(alpha=1)"))
        == str(TrainableCell.parse("leaky(alpha=1.0)"))
        == "leaky(size=64, alpha=1.0)"
    )


@pytest.mark.parametrize("text", ["leaky(alpha=small)", "leaky(alpha=true)", "tanh(size=8.5)", "stack(activation=3)"])
def test_parameters_have_the_declared_type(text):
    with pytest.raises(ArgumentError, match="must be a"):
        TrainableCell.parse(text)


@pytest.mark.parametrize("name", CELLS)
def test_parameters_say_what_initializes_them(name):
    cell = made(name, 7)
    for p in cell.parameters(3).values():
        assert isinstance(p, Parameter)
        assert (p.own is not None) == (p.role is Role.OWN)
        assert p.shape[0] % len(p.gates) == 0
        if p.role is Role.RECURRENT:
            assert p.shape == (7 * len(p.gates), 7)
        if p.role is Role.OWN:
            assert p.own.elementwise or p.own.sample(p.shape, rng=0).shape == p.shape


@pytest.mark.parametrize("name", CELLS)
def test_no_unit_is_refused(name):
    with pytest.raises(ArgumentError, match="at least 1 unit"):
        made(name, 0)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("steps", [1, 16, 37])
def test_scan_is_the_loop_of_steps_with_autograd(name, steps):
    cell = made(name, 5)
    values = parameters_of(cell, 3, 2)
    start = [torch.tanh(s) for s in sequences(len(cell.initial(values, 4)), 3, 4, cell.features, seed=5)]
    leaves = [v.requires_grad_() for v in (*values.values(), sequences(3, steps, 4, 2), *start)]
    hidden, state = cell.scan(values, leaves[len(values)], tuple(leaves[len(values) + 1 :]))
    # The loop takes the parameters as they are, not what was made of them for the whole sequence.
    states = [tuple(leaves[len(values) + 1 :])]
    for x in leaves[len(values)].unbind(1):
        states.append(cell.step(values, x, states[-1]))
    expected = torch.stack([s[0] for s in states[1:]], 1)
    assert hidden.shape == (3, steps, 4, cell.features)
    assert close(hidden, expected, multiple=64 * steps)
    for part, other in zip(state, states[-1], strict=True):
        assert close(part, other, multiple=64 * steps)
    for ours, theirs in (((hidden, *state), (expected, *states[-1])), (state, states[-1]), ((hidden,), (expected,))):
        found = torch.autograd.grad(random_loss(ours), leaves, retain_graph=True, allow_unused=True)
        wanted = torch.autograd.grad(random_loss(theirs), leaves, retain_graph=True, allow_unused=True)
        for a, b in zip(found, wanted, strict=True):
            if b is None:
                assert a is None or not a.any()
            else:
                assert close(a, b, multiple=64 * steps)


@pytest.mark.parametrize("name", RECURRENT)
def test_gradients_are_those_of_finite_differences(name):
    cell = made(name, 3)
    values = parameters_of(cell, 2, 2)
    x = sequences(2, 18, 2, 2)

    def ends(x, *tensors):
        hidden, state = cell.scan(dict(zip(values, tensors, strict=True)), x)
        return hidden[:, ::6], *state

    leaves = [v.requires_grad_() for v in (x, *values.values())]
    step = 1e-6
    # Rounding over a step: 1 eps/step measured, 8 for the linear cell, whose states grow; truncation is of order step².
    rounding = 100 * torch.finfo(torch.float64).eps / step
    assert torch.autograd.gradcheck(ends, leaves, eps=step, atol=rounding, rtol=rounding, fast_mode=True)


@pytest.mark.parametrize("name", RECURRENT)
def test_unrolled_states_are_connected_one_to_the_next(name):
    cell = made(name, 4)
    values = {key: v.requires_grad_() for key, v in parameters_of(cell, 2, 3).items()}
    states = cell.unrolled(values, sequences(2, 6, 2, 3))
    assert len(states) == 7
    for after, before in zip(states[2:], states[1:], strict=False):
        (back,) = torch.autograd.grad(after[0].sum(), before[0], retain_graph=True)
        assert back.abs().max() > 0


# Runs of 5 or 33 units do not start at a whole vector; B = 3 or 1 leaves a rest behind the last whole vector.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("size", "batch", "steps", "inputs"), [(5, 3, 7, 1), (33, 7, 18, 3), (64, 32, 20, 1)])
@pytest.mark.parametrize("name", [*CELLS, "stack(activation=tanh)", "orthogonal(map=expm)"])
def test_a_run_has_the_same_bits_whatever_stands_beside_it(name, size, batch, steps, inputs, dtype):
    head, _, rest = name.rstrip(")").partition("(")
    cell = TrainableCell.parse(f"{head}(size={size}, {rest})" if rest else f"{head}(size={size})")
    x = sequences(5, steps, batch, inputs, dtype=dtype)
    for every_step in (False, True):
        network = Network(cell, inputs, 3, every_step)
        values = parameters_of(_As(network), 5, inputs, dtype=dtype)
        whole = _trained(network, values, x)
        for kept in ([0], [3], [4, 1], [1, 2, 3]):
            part = _trained(network, {key: v[kept] for key, v in values.items()}, x[kept])
            for a, b in zip(whole, part, strict=True):
                assert torch.equal(a[kept], b)


class _As:
    def __init__(self, network):
        self.parameters = lambda _: network.parameters()


def _trained(network, values, x):
    leaves = {key: v.detach().clone().requires_grad_() for key, v in values.items()}
    outputs = network.outputs_of(leaves, x)
    assert outputs.dtype == x.dtype
    assert outputs.isfinite().all()
    losses = outputs.double().square().flatten(1).mean(1)
    return [outputs.detach(), *torch.autograd.grad(losses.sum(), list(leaves.values()))]


@pytest.mark.parametrize("name", CELLS)
def test_answers_are_the_readout_of_hidden_states(name):
    for every_step in (False, True):
        network = Network(made(name, 6), 3, 2, every_step)
        values = parameters_of(_As(network), 2, 3)
        tokens = torch.tensor([[[0, 2], [1, 1], [2, 0]]] * 2)
        outputs = network.outputs_of(values, tokens)
        # A linear stack multiplies its weights first, which rounds otherwise.
        assert close(outputs, network.read(values, network.hidden(values, tokens)), multiple=64)
        unit = torch.eye(3, dtype=torch.float64)[tokens]
        assert torch.equal(outputs, network.outputs_of(values, unit))


def test_unknown_choices_are_refused():
    with pytest.raises(UnknownNameError, match="cayley"):
        TrainableCell.parse("orthogonal(map=qr)")
    with pytest.raises(UnknownNameError, match="tanh"):
        TrainableCell.parse("stack(activation=gelu)")
    with pytest.raises(ArgumentError, match="at least 1 layer"):
        TrainableCell.parse("stack(depth=0)")
    with pytest.raises(ArgumentError, match=r"\(0, 1\]"):
        TrainableCell.parse("leaky(alpha=0)")


@dataclass(frozen=True)
class Averaging(TrainableCell):
    """The cell of docs/models.md; without a name, so that it stays out of the registry."""

    keep: float = 0.9

    def parameters(self, inputs, /):
        return {"input": Parameter((self.size, inputs), Role.INPUT)}

    def step(self, parameters, x, state, /):
        drive = torch.bmm(x, parameters["input"].transpose(1, 2))
        return (self.keep * state[0] + (1 - self.keep) * torch.tanh(drive),)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_cell_with_a_step_alone_is_scanned_run_by_run(dtype):
    cell = Averaging(size=5)
    network = Network(cell, 2, 3)
    values = parameters_of(_As(network), 4, 2, dtype=dtype)
    x = sequences(4, 9, 3, 2, dtype=dtype)
    hidden, (last,) = cell.scan(network.cell_parameters(values), x)
    states = cell.unrolled(network.cell_parameters(values), x)
    assert close(hidden, torch.stack([state[0] for state in states[1:]], 1), multiple=64)
    assert torch.equal(last, hidden[:, -1])
    whole = _trained(network, values, x)
    part = _trained(network, {key: v[[3, 1]] for key, v in values.items()}, x[[3, 1]])
    for a, b in zip(whole, part, strict=True):
        assert torch.equal(a[[3, 1]], b)


def test_the_name_of_earlier_releases_works_with_a_warning():
    # `Cell` is the kind of a recurrent layer, in unitcircle.recurrence.
    with pytest.warns(DeprecationWarning, match=r"models\.Cell is now unitcircle\.experiments\.models\.TrainableCell"):
        assert models.Cell is TrainableCell
