"""The papers that the text on orthogonal initialization points to, each step against another route to it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from unitcircle.experiments.tasks import Copying
from unitcircle_reproduction import Context, Verdict
from unitcircle_reproduction import _transition as transition
from unitcircle_reproduction._judgement import follows
from unitcircle_reproduction.orthogonal import _explicit as explicit
from unitcircle_reproduction.orthogonal import _learning_times as learning
from unitcircle_reproduction.orthogonal import _linear_transition as linear
from unitcircle_reproduction.orthogonal._depth import GAUSSIAN, PROTOCOLS

EPS = float(np.finfo(float).eps)
EPS32 = float(np.finfo(np.float32).eps)


# ------------------------------------------------------------------ explicit solutions


def test_a_ring_of_slots_repeats_what_was_written_some_steps_ago():
    V, U, W = explicit.shift_register(3)
    assert (np.eye(len(V)) == V @ V.T).all()
    power = np.eye(len(V))
    for lag in range(3 + 2 * explicit.LENGTH):
        # Only the answer's lag is read, and not again before the task ends.
        assert ((W @ power @ U) == (np.eye(8) if lag == 3 + explicit.LENGTH else 0)).all()
        power = V @ power


def test_every_explicit_solution_is_run_on_the_tasks(tmp_path):
    (claim,) = explicit.claims(Context(tmp_path, seed=3))
    assert claim.verdict is Verdict.HOLDS
    right = [float(row["answers right"].rstrip("%")) for row in claim.table if row["answers right"]]
    assert right[:2] == [100, 100]
    assert right[2] < 90
    assert right[3] < 20  # The identity: chance or less


def test_the_network_is_the_recurrence_written_out():
    rng = np.random.default_rng(0)
    V, U, W = rng.standard_normal((3, 3)) / 2, rng.standard_normal((3, 8)), rng.standard_normal((8, 3))
    inputs = Copying(2).sample(rng, 4).inputs
    found = explicit.copy_with(V, U, W, inputs)
    for b in range(4):
        h = np.zeros(3)
        for t in range(len(inputs)):
            symbol = inputs[t, b]
            h = V @ h + (U[:, symbol - 1] if 1 <= symbol <= 8 else 0)
            assert found[t, b] == np.argmax([0.5, *(W @ h)])


# ------------------------------------------------------------------ learning times


def test_gradients_of_a_deep_linear_net_are_those_of_autograd():
    rng = np.random.default_rng(1)
    layers = [torch.tensor(rng.standard_normal((1, 5, 5)), requires_grad=True) for _ in range(4)]
    readout = torch.tensor(rng.standard_normal((1, 2, 5)), requires_grad=True)
    target = torch.tensor(rng.standard_normal((1, 2, 5)))
    product = readout @ torch.linalg.multi_dot([W[0] for W in reversed(layers)])
    loss = (product - target).square().sum() / 2
    loss.backward()
    with torch.no_grad():
        inner, outer, value = learning.gradients(layers, readout, target)
    for found, leaf in zip([*inner, outer], [*layers, readout], strict=True):
        torch.testing.assert_close(found, leaf.grad, rtol=1e3 * EPS, atol=1e3 * EPS)
    assert float(value) == pytest.approx(loss.item(), rel=1e2 * EPS)


def test_the_exact_solution_solves_its_equation():
    # da/dt = 2a(s − a), by central differences of step h: error O(h²).
    h = 1e-4
    for s in learning.STRENGTHS:
        assert learning.exact_strength(s, np.array(0.0)) == pytest.approx(learning.START_SIZE)
        for t in (0.1, 1.0, 3.0):
            a, before, after = (float(learning.exact_strength(s, np.array(x))) for x in (t, t - h, t + h))
            assert (after - before) / (2 * h) == pytest.approx(2 * a * (s - a), abs=100 * h * h * s**3)


def test_plateaus_follow_the_exact_solution():
    claim = learning._plateau_claim()
    assert claim.verdict is Verdict.HOLDS
    assert max(row["largest error / s"] for row in claim.table) < 0.02


NOISE = 0.02


def _times(power, missing=0):
    noise = np.exp(np.random.default_rng(0).normal(0, NOISE, (7, 8)))
    steps = 5 * np.array(learning.DEPTHS)[:, None] ** power * noise
    if missing:
        steps[-missing:] = math.inf
    return learning.Times(steps, np.ones(7), np.zeros(7, bool))


def test_slopes_are_those_of_made_up_times():
    assert learning.fit(_times(0.5).slopes).mean == pytest.approx(0.5, abs=NOISE)
    low, high = learning.fit(_times(0.5).slopes)[1:]
    assert low < 0.5 < high
    # What was not learned counts as the last step: a lower bound.
    assert learning.fit(_times(0.5, 2).slopes).mean > 0.3
    ranks = np.polyfit(np.log(learning.DEPTHS), np.log(_times(0.4).steps[:, 3]), 1)[0]
    assert _times(0.4).slopes[3] == pytest.approx(ranks, rel=1e3 * EPS)


@pytest.mark.parametrize(
    ("orthogonal", "gaussian", "expected"),
    [(0.05, 0.8, Verdict.HOLDS), (0.5, 0.8, Verdict.FAILS), (0.05, 0.05, Verdict.TOO_FEW)],
)
def test_the_slope_is_judged_beside_that_of_gaussian_layers(orthogonal, gaussian, expected):
    fits = {start: learning.fit(_times(orthogonal).slopes) for start in PROTOCOLS}
    fits |= {start: learning.fit(_times(gaussian).slopes) for start in GAUSSIAN.values()}
    assert follows(learning.evidence_of(fits))[0] is expected


def test_a_rate_at_an_edge_is_extended(monkeypatch):
    # The fewest steps at 2⁻⁸, beyond the grid.
    def learn(_, __, rates, seeds, *, first=False):
        assert first or len(rates) == 1
        return np.array([[10 + abs(math.log2(rate) + 8) for _ in seeds] for rate in rates])

    monkeypatch.setattr(learning, "learn", learn)
    found = learning.times(PROTOCOLS[0], 0)
    assert (found.rates == 2.0**-8).all()
    assert not found.at_edge.any()
    monkeypatch.setattr(learning, "FARTHEST", 1)
    assert learning.times(PROTOCOLS[0], 0).at_edge.all()


def test_a_shallow_net_learns_and_a_wild_rate_does_not():
    found = learning.learn(PROTOCOLS[0], 2, (0.5, 64.0), (1, 2))
    assert np.isfinite(found[0]).all()
    assert np.isinf(found[1]).all()
    alone = learning.learn(PROTOCOLS[0], 2, (0.5,), (2,))
    assert alone[0, 0] == found[0, 1]


# ------------------------------------------------------------------ linear transitions


def _parameters(task, seeds=(0, 1)):
    draws = transition._stacked([transition._draw(task, "orthogonal", seed) for seed in seeds])
    return {name: torch.from_numpy(np.stack(value)).requires_grad_() for name, value in draws.items()}


@pytest.mark.parametrize("task", transition.TASKS, ids=lambda task: task.name)
def test_losses_are_those_of_the_recurrence_written_out(task):
    task = replace(task, units=6)
    parameters = _parameters(task)
    x, y = task.sample(np.random.default_rng(3), 3)
    both = (torch.from_numpy(np.stack([part.astype(kind)] * 2)) for part, kind in ((x, float), (y, y.dtype)))
    found = transition.losses(parameters, *both).detach().numpy()
    for r in range(2):
        V, U, W, b, c = (parameters[name][r].detach().numpy() for name in "VUWbc")
        losses = []
        for column in range(3):
            h, outputs = np.zeros(6), []
            for t in range(len(x)):
                h = V @ h + np.maximum(U @ x[t, column] + b[0], 0)
                outputs.append(W @ h + c[0])
            if y.ndim == 1:
                losses.append((outputs[-1][0] - y[column]) ** 2)
            else:
                last = np.array(outputs[-len(y) :])
                nats = np.log(np.exp(last).sum(1)) - last[np.arange(len(y)), y[:, column]]
                losses.append(nats.mean())
        assert found[r] == pytest.approx(np.mean(losses), rel=1e4 * EPS32)


def test_the_adjoint_recursion_is_the_gradient():
    rng = np.random.default_rng(2)
    V, fed = (torch.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((2, 3, 3), (5, 2, 4, 3)))
    assert torch.autograd.gradcheck(transition._Transition.apply, (V, fed))


STEP = 0.01


def test_steps_are_those_of_adam_with_clipped_gradients():
    parameters = _parameters(transition.TASKS[0], (0,))
    rate, moments = torch.tensor([STEP]), {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in parameters.items()}
    others = {name: p[0].detach().clone().requires_grad_() for name, p in parameters.items()}
    optimizer = torch.optim.Adam(others.values(), lr=STEP)
    rng = np.random.default_rng(0)
    for step in range(1, 4):
        for name, p in parameters.items():
            p.grad = torch.from_numpy(rng.standard_normal(p.shape))
            others[name].grad = p.grad[0].clone()
        torch.nn.utils.clip_grad_norm_(others.values(), 1.0)
        optimizer.step()
        transition._descend(transition.COPYING, parameters, moments, rate, step)
    for name, p in parameters.items():
        # One adds 1e-8 to the root of the second moment before its correction, the other after: small gradients see it.
        torch.testing.assert_close(p[0].detach(), others[name].detach(), rtol=0, atol=STEP / 10)


def test_tasks_ask_for_what_was_fed_in():
    x, y = transition.copying(np.random.default_rng(0), 7)
    assert (x[: len(y)].argmax(-1) == y).all()
    assert len(x) == 2 * transition.REMEMBERED + transition.DELAY
    x, y = transition.adding(np.random.default_rng(0), 7)
    assert (x[..., 1].sum(0) == 2).all()
    np.testing.assert_allclose(y, (x[..., 0] * x[..., 1]).sum(0), rtol=8 * EPS32)


def test_rates_of_a_contest_are_extended_while_one_is_at_an_edge(monkeypatch):
    monkeypatch.setattr(
        transition, "trained", lambda _, members: np.array([abs(math.log10(rate) + 1.5) for _, rate, _ in members])
    )
    found = transition.contest(transition.TASKS[0], tuple(linear.LAWS.values()), 0)
    assert np.allclose(found["rates"], 3.3e-2)
    assert not found["edge"].any()
    assert found["scores"].shape == (len(linear.LAWS), transition.SEEDS)


def _scores(haar, identity):
    noise = np.random.default_rng(5).normal(0, 1e-3, (4, 8))
    return {
        "scores": np.array([haar, identity, 0.1, 0.1])[:, None] + noise,
        "rates": np.ones(4), "edge": np.array([True, False, False, False]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("copying", "adding", "expected"),
    [
        ((0.1, 1.0), (0.16, 0.01), Verdict.HOLDS),
        ((0.1, 1.0), (0.01, 0.15), Verdict.CONDITIONALLY),
        ((1.0, 0.1), (0.01, 0.15), Verdict.FAILS),
        ((0.1, 0.1), (0.1, 0.1), Verdict.NO_DIFFERENCE),
    ],
)
def test_orthogonal_copies_and_the_identity_adds(copying, adding, expected):
    of_each = dict.fromkeys(("copying 20", "copying 50"), copying) | {"adding 100": adding}
    claim = linear.judged({name: _scores(*pair) for name, pair in of_each.items()})
    assert claim.verdict is expected
    assert claim.table[0]["rate"] == "1 (edge)"
