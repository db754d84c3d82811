"""Contests of transitions: what is told of rivals, which rows are trained, and the networks of each claim."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from unitcircle_reproduction import Context, Verdict, _kept_records, _versus
from unitcircle_reproduction import _transition as transition
from unitcircle_reproduction.eigen import _answers as answers
from unitcircle_reproduction.eigen import _departures as departures
from unitcircle_reproduction.eigen import _long_regression as regression
from unitcircle_reproduction.orthogonal import _standstill as standstill

EPS32 = float(np.finfo(np.float32).eps)
TASK = transition.CELLS["tanh"]


def _arrays(means, noise=1e-3):
    scores = np.array(means)[:, None] + np.random.default_rng(0).normal(0, noise, (len(means), 8))
    return {"scores": scores, "rates": np.full(len(means), 0.1), "edge": np.arange(len(means)) == 0}


def test_of_rivals_one_is_worse_better_or_equal():
    labels = ["a", "b", "c", "d"]
    rivals = [_versus.Rivals(TASK, worse=label, better="a") for label in "bcd"]
    evidence = _versus.evidence_of({TASK.name: _arrays([0.5, 0.9, 0.1, 0.501])}, labels, rivals, family=3)
    assert [(each.sign, each.equivalent) for each in evidence] == [(1, False), (-1, False), (0, True)]
    # Eight pairs: no p below 1/128, so that in a larger family nothing can be told.
    assert _versus.evidence_of({TASK.name: _arrays([0.5, 0.9])}, labels, rivals[:1], family=7)[0].sign == 0


def test_a_diverged_run_counts_as_the_baseline():
    arrays = _arrays([0.5, 0.9])
    arrays["scores"][1, 0] = math.inf
    rivals = [_versus.Rivals(TASK, worse="b", better="a")]
    assert _versus.evidence_of({TASK.name: arrays}, ["a", "b"], rivals, family=1)[0].sign == 1
    rows = _versus.rows_of(TASK, ["a", "b"], arrays)
    assert [(row["diverged"], row["rate"]) for row in rows] == [("0/8", "0.1 (edge)"), ("1/8", "0.1")]
    assert "b" in _versus.in_words(rows)


def test_only_laws_without_records_are_trained(tmp_path, monkeypatch):
    asked = []

    def contest(task, laws, first_seed):
        asked.append(laws)
        return _arrays([0.3] * len(laws)) | {"dimensions": np.full((len(laws), 8), 4.0)}

    monkeypatch.setattr(_kept_records, "contest", contest)
    context = Context(tmp_path, seed=8)
    laws = {"new": "identity(scale=0.3)", departures.ONE: departures.LAWS[departures.ONE]}
    (found,) = _kept_records.contests(context, "name", [TASK], laws).values()
    assert asked == [("identity(scale=0.3)",)]
    rows = _kept_records.read(tmp_path / "transitions.csv")
    assert [row.label for row in rows] == ["new"] * 8 + [departures.ONE] * 8
    known = _kept_records.arrays_of(_kept_records.committed(), TASK, {"": departures.LAWS[departures.ONE]}, 80)
    assert (found["scores"][1] == known["scores"][0]).all()
    # Run again, or with a law more, nothing that is there is trained again.
    _kept_records.contests(context, "name", [TASK], laws)
    assert len(asked) == 1
    assert len(_kept_records.merged(rows, rows)) == len(rows)


def test_plain_descent_goes_along_the_gradient_as_it_is():
    task = replace(TASK, descent="sgd", clip=math.inf)
    parameters = transition.drawn(task, [("orthogonal", 0), ("identity", 0)])
    before = {name: p.clone() for name, p in parameters.items()}
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in parameters.items()}
    for p in parameters.values():
        p.requires_grad_().grad = torch.full_like(p, 50.0)
    transition._descend(task, parameters, moments, torch.tensor([0.1, 0.2]), 1)
    for name, p in parameters.items():
        for rate, found, old in zip((0.1, 0.2), p.detach(), before[name], strict=True):
            torch.testing.assert_close(found, old - rate * 50, rtol=8 * EPS32, atol=8 * EPS32)
    plain = _kept_records.protocol(TASK)
    assert _kept_records.protocol(task) == f"{plain}, sgd, clipped at inf"


@pytest.mark.parametrize("name", answers.INPUTS)
def test_both_kinds_of_answer_are_of_the_same_inputs(name):
    numbers, classes = (answers.TASKS[name, kind].sample(np.random.default_rng(3), 400) for kind in answers.KINDS)
    assert (numbers[0] == classes[0]).all()
    assert (classes[1][0] == (numbers[1] > 0)).all()
    # The baselines are those of the mean, and of a guess.
    assert np.square(numbers[1]).mean() == pytest.approx(answers.TASKS[name, "numbers"].baseline, rel=0.2)
    assert 0.35 < classes[1].mean() < 0.65
    # A seed draws the same network for both.
    first, second = (transition.drawn(answers.TASKS[name, kind], [("orthogonal", 0)]) for kind in answers.KINDS)
    assert all((first[key] == second[key]).all() for key in first)


def _answered(numbers, classes, learned=0.1):
    noise = np.random.default_rng(1).normal(0, 1e-3, (2, 10))
    states = np.stack([0.3 + noise, 0.5 + noise], -1)
    states[0] += 0.2

    def of(value):
        return answers.Answered(np.full((2, 10), learned), value + noise, value - noise, value + noise, *[states] * 3)

    return {
        (task, kind): of(v)
        for task in answers.INPUTS
        for kind, v in zip(answers.KINDS, (numbers, classes), strict=True)
    }


def test_kinds_of_answer_are_told_apart_where_both_learned():
    assert answers.eigenvalues(_answered(1.2, 1.5)).verdict is Verdict.HOLDS
    assert "larger for classes" in answers.eigenvalues(_answered(1.2, 1.5)).measured
    assert answers.eigenvalues(_answered(1.2, 1.2)).verdict is Verdict.NO_DIFFERENCE
    assert answers.eigenvalues(_answered(1.2, 1.5, learned=0.9)).verdict is Verdict.TOO_FEW
    assert answers.states(_answered(1.2, 1.5)).verdict is Verdict.HOLDS


def test_what_is_measured_of_trained_networks_is_that_of_their_weights(monkeypatch):
    task = replace(answers.TASKS["the first of 10", "classes"], units=6, steps=4)
    found = answers.answered(task, range(2))
    _, end = transition.fitted(task, [(law, answers.RATE, seed) for law in answers.LAWS.values() for seed in range(2)])
    radii = [max(abs(np.linalg.eigvals(V.double().numpy()))) for V in end["V"]]
    np.testing.assert_allclose(found.radius.ravel(), radii, rtol=1e4 * EPS32)
    # Eigen .95 before training: all states inside, and those of the first law in the first row.
    assert found.distance.shape == (2, 2, 2)
    first = transition.drawn(task, [(answers.LAWS["eigen .95"], 1)])
    inputs = torch.from_numpy(task.sample(np.random.default_rng(46), 500)[0])[None]
    last = transition.hidden(first, inputs, "tanh")[-1, 0].double().numpy()
    assert found.distance[0, 1, 0] == pytest.approx(np.sqrt(np.square(last).mean(1)).mean(), rel=1e3 * EPS32)


def test_the_factor_of_a_gradient_is_that_of_autograd():
    law = departures.LAWS[departures.LARGE]
    task = departures.CELLS["tanh"]
    factors = []
    for seed in range(8):
        parameters = {k: v.double() for k, v in transition.drawn(task, [(law, seed)]).items()}
        rng = np.random.default_rng(48)
        x = torch.from_numpy(task.sample(rng, 1)[0][None].astype(float))
        start = torch.zeros(1, 1, task.units, dtype=torch.float64, requires_grad=True)
        fed = (torch.einsum("rnd,rtbd->trbn", parameters["U"], x)).relu()
        h = start
        for each in fed:
            h = torch.tanh(h @ parameters["V"].mT + each)
        g = torch.from_numpy(rng.standard_normal(task.units))
        (back,) = torch.autograd.grad(h[0, 0], start, g)
        factors.append(float(back.norm() / g.norm()))
    assert departures.gradient(law, 0) == pytest.approx(np.median(factors), rel=1e4 * EPS32)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((0.2, 1.39, 1.5), Verdict.HOLDS),
        ((0.2, 1.39, 0.1), Verdict.CONDITIONALLY),
        ((0.2, 0.1, 0.1), Verdict.FAILS),
        ((1.2, 1.39, 1.5), Verdict.TOO_FEW),
    ],
)
def test_standing_still_is_told_beside_a_start_that_learns(losses, expected):
    assert standstill.judged(_arrays(losses)).verdict is expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0.1, Verdict.HOLDS), (0.9, Verdict.CONDITIONALLY), (5.0, Verdict.FAILS)]
)
def test_a_regression_is_stable_and_learned_or_not(share, expected):
    others = [0.1] * (len(regression.LAWS) - 1)
    found = {task.name: _arrays([share * task.baseline, *others]) for task in regression.TASKS}
    assert regression.judged(found).verdict is expected
    x, y = regression.TASKS[0].sample(np.random.default_rng(0), 3)
    assert x.shape == (10, 3, 2)
    np.testing.assert_allclose(y, (x[..., 0] * x[..., 1]).sum(0), rtol=8 * EPS32)


@pytest.mark.parametrize("module", [answers, departures, regression, standstill])
def test_a_quick_run_leaves_long_sections_out_and_says_so(module, tmp_path):
    said = []
    assert list(module.claims(Context(tmp_path, say=said.append))) == []
    assert said[0].endswith("not run without --full")
