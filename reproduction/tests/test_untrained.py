"""What is judged of untrained networks: fates of powers, memory, moduli beyond 1, and the edge of chaos."""

import numpy as np
import pytest
import torch

from unitcircle.experiments.tasks import Digits
from unitcircle.spectra import power_norms
from unitcircle_reproduction import Verdict
from unitcircle_reproduction.eigen import _beyond_one as beyond
from unitcircle_reproduction.eigen import _memory_length as memory
from unitcircle_reproduction.orthogonal import _edge_of_chaos as edge
from unitcircle_reproduction.orthogonal import _fates as fates

EPS = float(np.finfo(float).eps)
EPS32 = float(np.finfo(np.float32).eps)


def test_norms_of_powers_are_those_of_the_library():
    from unitcircle.initializers import parse

    W = parse("lecun_normal").sample(8, rng=np.random.default_rng([3, 8]), size=5)
    np.testing.assert_allclose(fates.norms("lecun_normal", 8, 5, 3), power_norms(W, fates.STEPS)[:, -1], atol=1e5 * EPS)
    assert np.abs(fates.norms("orthogonal", 8, 5, 3)).max() < 1e4 * EPS


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson():
    # Of 0 in n: 1 − (.025)^(1/n).
    assert fates.Share(0, 20).ends == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)), abs=1e4 * EPS)
    assert str(fates.Share(10, 20)) == "50% [27%, 73%]"


def test_a_delay_line_holds_as_many_inputs_as_it_has_units():
    n = 6
    shares = memory.memory(np.eye(n, k=-1), np.eye(n)[0], "linear", 1.0, np.random.default_rng(0))
    assert memory.length(shares) == n
    assert (shares[:n] > 0.99).all()
    assert (shares[n:] < 0.05).all()


def test_a_draw_has_the_same_angles_at_every_modulus(monkeypatch):
    seen = []
    monkeypatch.setattr(memory, "DRAWS", 1)
    monkeypatch.setattr(memory, "memory", lambda W, U, *_: (seen.append((W, U)), np.zeros(3))[1])
    for modulus in (0.5, 1.0):
        assert memory.lengths("tanh, input × 1", modulus, 4) == [0]
    np.testing.assert_allclose(2 * seen[0][0], seen[1][0], atol=10 * EPS)
    assert (seen[0][1] == seen[1][1]).all()


def test_a_linear_difference_grows_by_the_modulus():
    # 1.01 stays below the bound for 400 steps.
    largest, rate = beyond.measure(beyond.CONTROL["linear"], 1.01, 0)
    assert largest < beyond.LARGE
    # A difference of 1e-7 is rounded at every step.
    assert rate == pytest.approx(np.log(1.01), abs=1e3 * EPS / beyond.SMALL)
    largest, rate = beyond.measure(beyond.CONTROL["linear"], 1.5, 0)
    assert largest > beyond.LARGE
    assert np.isnan(rate)
    assert beyond.measure(beyond.STEP["tanh"], 2.0, 0)[0] <= 1


@pytest.mark.parametrize(
    ("name", "module", "blocks"), [("GRU", torch.nn.GRUCell, "rzn"), ("LSTM", torch.nn.LSTMCell, "ifgo")]
)
def test_gated_steps_are_those_of_torch(name, module, blocks):
    n = 5
    rng = np.random.default_rng(2)
    W, x, h, c = (
        rng.standard_normal((n, n)),
        rng.standard_normal((4, n)),
        rng.standard_normal(n),
        rng.standard_normal(n),
    )
    cell = module(4 * n, n, bias=False).double()
    # The rows of the drive are what each block adds.
    rows = {"z": 0, "r": 1, "n": 2} if name == "GRU" else {"f": 0, "i": 1, "g": 2, "o": 3}
    inputs = np.zeros((len(blocks) * n, 4 * n))
    for k, block in enumerate(blocks):
        inputs[k * n : (k + 1) * n, rows[block] * n : (rows[block] + 1) * n] = np.eye(n)
    cell.load_state_dict(
        {"weight_ih": torch.from_numpy(inputs), "weight_hh": torch.from_numpy(np.tile(W, (len(blocks), 1)))}
    )
    state = h if name == "GRU" else np.concatenate([h, c])
    found = beyond.STEP[name](state, W, x)
    start = torch.from_numpy(h)[None]
    drive = torch.from_numpy(x.ravel())[None]
    wanted = cell(drive, start) if name == "GRU" else torch.cat(cell(drive, (start, torch.from_numpy(c)[None])), -1)
    np.testing.assert_allclose(found, wanted[0].detach().numpy(), atol=100 * EPS)


def test_a_stack_is_the_composition_written_out():
    weights = [torch.from_numpy(part.astype(np.float32))[None] for part in edge._draw(1.0, 0)]
    x, labels = edge._pixels(next(iter(Digits().held_out("validation"))))
    h = x[3].astype(float)
    for W in weights[:-1]:
        h = np.tanh(W[0].numpy() @ h)
    found = edge._forward(weights, torch.from_numpy(x)[None])[0, 3].numpy()
    np.testing.assert_allclose(found, weights[-1][0].numpy() @ h, atol=1e3 * EPS32)
    assert (x.shape[1], set(labels)) == (64, set(range(10)))
    assert edge.trained([(1.0, 0.1, 0)], steps=1).shape == (1,)


def _accuracies(edge_, ordered, chaotic):
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(edge.GAINS), 8))
    means = {edge.EDGE: edge_, edge.ORDERED: ordered, edge.CHAOTIC: chaotic}
    scores = np.array([means.get(gain, 0.5) for gain in edge.GAINS])[:, None] + noise
    return {"accuracy": scores, "rates": np.full(len(edge.GAINS), 0.1), "edge": np.zeros(len(edge.GAINS), bool)}


@pytest.mark.parametrize(
    ("at_edge", "away", "accuracies", "expected"),
    [
        (0.1, 9.0, (0.9, 0.1, 0.1), Verdict.HOLDS),
        (0.1, 0.2, (0.9, 0.1, 0.95), Verdict.CONDITIONALLY),
        (9.0, 0.2, (0.1, 0.9, 0.9), Verdict.FAILS),
    ],
)
def test_the_edge_is_judged_against_both_sides(at_edge, away, accuracies, expected):
    logs = {gain: np.full(3, at_edge if gain == edge.EDGE else away) for gain in edge.GAINS}
    assert edge.judged(logs, _accuracies(*accuracies)).verdict is expected


def test_the_rate_of_a_gain_is_extended_by_itself(monkeypatch):
    wanted = {gain: 1.0 if gain == edge.ORDERED else 1e9 if gain == edge.CHAOTIC else 0.03 for gain in edge.GAINS}
    asked = []

    def trained(members):
        asked.extend(members)
        return np.array([-abs(np.log(rate / wanted[gain])) for gain, rate, _ in members])

    monkeypatch.setattr(edge, "trained", trained)
    found = edge.contest(90)
    rates, edges = (dict(zip(edge.GAINS, found[name].tolist(), strict=True)) for name in ("rates", "edge"))
    assert (rates[edge.ORDERED], rates[edge.EDGE], rates[edge.CHAOTIC]) == (0.99, 0.03, 117.0)
    assert [gain for gain, at_edge in edges.items() if at_edge] == [edge.CHAOTIC]
    # Of the others no further rate is tried; reported seeds choose nothing.
    assert {rate for gain, rate, seed in asked if gain == edge.EDGE and seed == 1090} == set(edge.RATES)
