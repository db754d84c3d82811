"""No practical difference: the tests against other routes to them, powers and error rates against simulation."""

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from unitcircle.experiments.comparison import Group, Interval, Row, Standing
from unitcircle_reproduction import Context, Verdict
from unitcircle_reproduction._equivalence import (
    Plan,
    difference_p,
    difference_power,
    equivalence_p,
    equivalence_power,
    pairs_needed,
)
from unitcircle_reproduction._judgement import Evidence, follows
from unitcircle_reproduction._sequential import claim_by_looks
from unitcircle_reproduction._statement import Statement, claim_of, edge
from unitcircle_reproduction.orthogonal import _unitary as unitary

NONE = Interval(math.nan, math.nan)
EPS = float(np.finfo(float).eps)


@pytest.mark.parametrize("seed", range(4))
def test_two_one_sided_tests_are_an_interval_within_the_margin(seed):
    sample = np.random.default_rng(seed).normal(0.2, 1.0, 9)
    low, high = stats.ttest_1samp(sample, 0.0).confidence_interval(0.9)
    just_inside = max(-low, high)
    # The 90 % interval touches the margin where the larger of both one-sided p-values is 5 %.
    assert equivalence_p(sample.tolist(), just_inside) == pytest.approx(0.05, rel=1e5 * EPS)
    lower = stats.ttest_1samp(sample, -1.0, alternative="greater").pvalue
    upper = stats.ttest_1samp(sample, 1.0, alternative="less").pvalue
    assert equivalence_p(sample.tolist(), 1.0) == pytest.approx(max(lower, upper), rel=1e5 * EPS)


def test_what_is_censored_or_alone_shows_no_equivalence():
    assert equivalence_p([0.0, 0.0, math.inf], 1.0) == 1.0
    assert equivalence_p([0.0, math.nan], 1.0) == 1.0
    assert equivalence_p([0.0], 1.0) == 1.0
    assert (equivalence_p([0.5, 0.5], 1.0), equivalence_p([1.0, 1.0], 1.0)) == (0.0, 1.0)


DRAWS = 20_000


@pytest.mark.parametrize(("pairs", "difference"), [(3, 0.0), (8, 0.0), (12, 0.4), (30, 0.9)])
def test_powers_are_those_of_simulated_pairs(pairs, difference):
    margin = 1.0
    draws = np.random.default_rng(pairs).normal(difference, 1.0, (DRAWS, pairs))
    error = draws.std(1, ddof=1) / math.sqrt(pairs)
    inside = np.abs(draws.mean(1)) + stats.t.isf(0.05, pairs - 1) * error < margin
    found = equivalence_power(pairs, margin, 1.0, 0.05, difference=difference)
    # Four standard errors: each of four cases fails by chance once in 16,000.
    assert abs(inside.mean() - found) < 4 * math.sqrt(max(found * (1 - found), 1e-4) / DRAWS)
    beyond = np.abs(draws.mean(1)) / error > stats.t.isf(0.025, pairs - 1)
    power = difference_power(pairs, difference, 1.0, 0.05)
    assert abs(beyond.mean() - power) < 4 * math.sqrt(power * (1 - power) / DRAWS) + 1e-12


@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.0])
def test_the_pairs_needed_are_the_fewest(deviation):
    needed = int(pairs_needed(deviation, 1.0, 0.05))

    def least(pairs):
        return min(difference_power(pairs, 1.0, deviation, 0.05), equivalence_power(pairs, 1.0, deviation, 0.05))

    assert least(needed) >= 0.8 > least(needed - 1)


def test_no_spread_needs_two_pairs_and_an_unknown_one_any_number():
    assert pairs_needed(0.0, 1.0, 0.05) == 2
    assert pairs_needed(math.nan, 1.0, 0.05) == math.inf
    assert pairs_needed(1e6, 1.0, 0.05) == math.inf


def _t(sample):
    return float(stats.ttest_1samp(sample, 0.0).pvalue)


@pytest.mark.parametrize(("mean", "error"), [(0.0, "sign"), (1.0, "equivalent")])
def test_looking_again_keeps_both_error_rates(mean, error):
    plan = Plan((4, 8, 12), 1.0)
    draws = np.random.default_rng(7).normal(mean, 1.0, (400, 12))
    wrong = sum(bool(getattr(plan.decide(sample.tolist(), _t), error)) for sample in draws)
    # P(Binomial(400, .05) > 34) is below .001.
    assert wrong <= 34


def test_a_plan_stops_at_the_first_look_that_tells():
    plan = Plan((4, 8), 1.0)
    assert (plan.decide([5.0, 5.1, 4.9, 5.0, -90.0], _t).pairs, plan.decide([5.0, 5.1, 4.9, 5.0], _t).sign) == (4, 1)
    near = plan.decide([0.1, -0.1, 0.05, -0.05], _t)
    assert (near.equivalent, near.sign, near.open) == (True, 0, False)
    # Between two looks nothing is looked at.
    assert plan.decide([5.0, 5.1, 4.9], _t).open
    sample = np.random.default_rng(0).normal(0, 3, 8).tolist()
    vague = plan.decide(sample, _t)
    assert (vague.open, vague.pairs, plan.needed(sample) > 8) == (True, 8, True)


def test_a_plan_decides_censored_pairs_by_the_test_alone():
    plan = Plan((6,), 1.0)
    assert plan.decide([math.inf] * 6, lambda _: 0.03).sign == 1
    assert plan.decide([math.inf, -math.inf] * 3, lambda _: 1.0).open


# ------------------------------------------------------------------ what follows


EQUAL = Evidence("e", 0, equivalent=True)
OPEN = Evidence("o", 0, needed=23.2)


@pytest.mark.parametrize(
    ("evidence", "expected", "words"),
    [
        ([EQUAL, EQUAL], Verdict.NO_DIFFERENCE, "margin: 1"),
        ([OPEN, OPEN], Verdict.TOO_FEW, "these runs do not tell them apart; about 23 pairs of runs would be enough"),
        ([EQUAL, OPEN], Verdict.TOO_FEW, "of 2 comparisons, no practical difference in 1 (e); not told apart in 1 (o)"),
        ([EQUAL, Evidence("w", -1)], Verdict.FAILS, "of 2 comparisons, the contrary in 1 (w); no practical"),
        ([EQUAL, Evidence("b", 1)], Verdict.CONDITIONALLY, "of 2 comparisons, so in 1 (b); no practical"),
        ([Evidence("o", 0, needed=math.inf)], Verdict.TOO_FEW, "these runs do not tell them apart; how many"),
    ],
)
def test_what_follows_from_equivalence(evidence, expected, words):
    verdict, condition = follows(evidence, margin="margin: 1")
    assert (verdict, condition.startswith(words)) == (expected, True)


def _row(label, scores, steps=(), verdict=Standing.UNDECIDED, tuning=(1.0,), rate=1.0):
    return Row(
        label, rate, False, tuple(range(len(scores))), tuple(scores), tuple(steps) or (1.0,) * len(scores), 0, 0, 0,
        float(np.mean(scores)), NONE, 0.0, min(scores), 0.0, 0, NONE, math.nan, NONE, verdict=verdict,
        tuning=dict.fromkeys(tuning, (0.0,)),
    )  # fmt: skip


def _claim(rows, *, higher_is_better=True, rank_by="score", baseline=0.1):
    group = Group("t", "tanh(size=8)", 1.0, {}, "accuracy", higher_is_better, baseline, 0.9, rank_by, tuple(rows))
    return claim_of(Statement("n", "T", "The other is worse.", "a", ("b",), Standing.WORSE), {"": group}, "m")


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (partial(_claim), Verdict.NO_DIFFERENCE),  # Within .05 of accuracy
        (partial(_claim, higher_is_better=False, baseline=1.0), Verdict.NO_DIFFERENCE),  # Within .1 of the error
        (partial(_claim, higher_is_better=False, baseline=0.01), Verdict.TOO_FEW),
        (partial(_claim, higher_is_better=False, baseline=math.nan), Verdict.TOO_FEW),  # No margin
        (partial(_claim, rank_by="steps"), Verdict.NO_DIFFERENCE),  # All took one step
    ],
)
def test_a_claim_of_what_is_alike_says_so_with_its_margin(judged, expected):
    noise = np.random.default_rng(3).normal(0, 0.01, (2, 8))
    claim = judged([_row("a", 0.5 + noise[0], verdict=Standing.REFERENCE), _row("b", 0.5 + noise[1])])
    assert claim.verdict is expected
    assert ("margin declared beforehand" in claim.condition) is (expected is Verdict.NO_DIFFERENCE)


def test_runs_that_never_get_there_are_not_alike():
    rows = [_row(label, [0.5] * 8, [math.inf] * 8) for label in "ab"]
    assert _claim(rows, rank_by="steps").verdict is Verdict.TOO_FEW


def test_a_rate_at_an_edge_is_marked():
    assert edge(_row("a", [0.5], tuning=(0.1, 1.0))) == " (edge)"
    assert edge(_row("a", [0.5], tuning=(0.1, 1.0, 10.0))) == ""
    assert edge(_row("a", [0.5])) == ""


# ------------------------------------------------------------------ contests that are looked at more than once


def _group(scores, others):
    """Return a group of a loss with baseline 1, the reference first."""
    rows = [
        SimpleNamespace(
            label=label,
            scores=tuple(values),
            seeds=tuple(range(len(values))),
            mean=float(np.nanmean(values)),
            interval=Interval(0.0, 1.0),
            worst=1.0,
            solved=0,
            diverged=0,
            median_steps=math.inf,
            learning_rate=0.1,
            tuning={},
            curve=SimpleNamespace(steps=[10.0]),
        )
        for label, values in (("reference", scores), ("other", others))
    ]
    return SimpleNamespace(rows=rows, baseline=1.0, higher_is_better=False, unit="loss", title="a task")


def _looks(difference, spread):
    """Return the claim on another that is worse by a difference, and the numbers of pairs that were asked for."""
    rng, asked = np.random.default_rng(1), []
    noise = rng.normal(size=10) * spread

    def train(pairs):
        asked.append(pairs)
        return {"a task": _group([0.5] * pairs, (0.5 + difference + noise[:pairs]).tolist())}

    said = Statement("s", "S", "The other is worse.", "reference", ("other",), Standing.WORSE)
    return claim_by_looks(said, train, ""), asked


@pytest.mark.parametrize(
    ("difference", "spread", "verdict", "asked"),
    [
        (0.3, 0.01, Verdict.HOLDS, [5]),
        (-0.3, 0.01, Verdict.FAILS, [5]),
        (0.0, 0.01, Verdict.NO_DIFFERENCE, [5]),
        (0.16, 0.2, Verdict.HOLDS, [5, 10]),
        (0.02, 0.2, Verdict.TOO_FEW, [5, 10]),
    ],
)
def test_pairs_are_added_only_while_a_comparison_is_open(difference, spread, verdict, asked):
    claim, found = _looks(difference, spread)
    assert (claim.verdict, found) == (verdict, asked)
    assert [row["contender"] for row in claim.table] == ["reference", "other"]


def test_a_run_behind_the_baseline_or_diverged_counts_as_the_baseline():
    said = Statement("s", "S", "The other is worse.", "reference", ("other",), Standing.WORSE)
    given = ([0.1, 0.11, 0.1, 0.12, 0.1], [math.nan, 50.0, 1.0, 1.0, 1.0])
    assert claim_by_looks(said, lambda _: {"": _group(*given)}, "").verdict is Verdict.HOLDS


def test_the_paired_t_test_is_scipys():
    sample = np.random.default_rng(1).normal(0.4, 1, size=7)
    assert difference_p(sample.tolist()) == pytest.approx(stats.ttest_1samp(sample, 0.0).pvalue, rel=1e3 * EPS)
    assert difference_p([0.2] * 5) == 0.0
    assert difference_p([0.0] * 5) == difference_p([1.0]) == difference_p([math.nan, 1.0]) == 1.0


def test_the_unitary_contest_stops_where_it_is_decided(monkeypatch, tmp_path):
    asked = []

    def trained(*_, pairs, **__):
        asked.append(pairs)
        rows = {unitary.UNITARY: 0.1, unitary.TANH: 0.17, unitary.LSTM: 0.17}
        group = _group([0.0] * pairs, [0.0] * pairs)
        rows = [
            SimpleNamespace(**vars(group.rows[0]) | {"label": label, "scores": [loss + 1e-4 * k for k in range(pairs)]})
            for label, loss in rows.items()
        ]
        return SimpleNamespace(**vars(group) | {"rows": rows, "baseline": 0.173})

    monkeypatch.setattr(unitary, "contenders", trained)
    (claim,) = unitary.claims(Context(tmp_path, full=True, seed=3))
    assert claim.verdict is Verdict.HOLDS
    assert asked == [5]
    assert not list(unitary.claims(Context(tmp_path)))
