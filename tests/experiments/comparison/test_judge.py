"""Rows held against a reference: one judge for a study, and for a claim that is made of several groups."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from unitcircle.errors import UnknownNameError
from unitcircle.experiments import comparison
from unitcircle.experiments.comparison import Group, Interval, Judge, Row, Standing, _statistics, holm, judge

INF = math.inf
EPS = np.finfo(float).eps
UNKNOWN = Interval(math.nan, math.nan)


def row(label, scores, steps=None):
    steps = [INF] * len(scores) if steps is None else steps
    counts = {"missing": 0, "failed": 0, "diverged": 0, "solved": 0}
    numbers = dict.fromkeys(("mean", "median", "worst", "deviation", "median_steps"), 0.0)
    intervals = dict.fromkeys(("interval", "success", "steps_interval"), UNKNOWN)
    seeds = tuple(range(len(scores)))
    return Row(label, 0.001, False, seeds, tuple(scores), tuple(steps), **counts, **numbers, **intervals)


def group(*rows, rank_by="score", higher_is_better=True):
    return Group("task", "tanh", 1.0, {}, "accuracy", higher_is_better, 0.1, 0.9, rank_by, rows)


def shifted(by, count=8):
    """Scores that differ from those of ``shifted(0)`` by some amount: for every seed by another one of its sign."""
    base = np.linspace(0.3, 0.5, count)
    return (base + by * (1 + 0.1 * base)).tolist()


@pytest.mark.parametrize("by_steps", [False, True])
def test_equals_are_rarely_called_different(by_steps, monkeypatch):
    """The share of groups with any verdict among equals stays below 5 %, up to chance."""
    # Enough for the exact test of ten pairs; the bootstrap's ends err a little more.
    monkeypatch.setattr(_statistics, "RESAMPLES", 1999)
    rng = np.random.default_rng(11)
    count, wrong = 150, 0
    for _ in range(count):
        scores = rng.standard_normal((3, 10)) + rng.standard_normal(10)
        steps = np.where(scores < 0.8, np.exp(scores), INF)
        rows = [row(label, s, t) for label, s, t in zip("ABC", scores, steps, strict=True)]
        (judged,) = judge(group(*rows, rank_by="steps" if by_steps else "score"), reference="A")
        wrong += any(r.verdict in {Standing.BETTER, Standing.WORSE} for r in judged.rows)
    assert wrong <= stats.binom.ppf(0.999, count, 0.05)


def test_the_groups_of_a_claim_are_one_family_of_tests():
    first = group(row("A", shifted(0)), row("B", shifted(0.1)))
    second = group(row("A", shifted(0)), row("B", shifted(-0.1)), row("C", shifted(0)))
    alone = judge(first, reference="A")[0].rows[1]
    assert alone.p_holm == alone.p == 2 / 2**8  # every sign alike: two of 2⁸ flips are as extreme
    together = judge(first, second, reference="A")
    rows = [r for judged in together for r in judged.rows[1:]]
    assert [r.verdict for r in rows] == [Standing.BETTER, Standing.WORSE, Standing.UNDECIDED]
    assert [r.p_holm for r in rows] == holm([r.p for r in rows]) == [3 * 2 / 2**8] * 2 + [1]


def test_a_family_too_large_for_its_seeds_decides_nothing():
    # Each alone has p = 2/2⁸; Holm's first factor is 7 here, and 7 · 2/2⁸ > 0.05.
    groups = [group(row("A", shifted(0)), row("B", shifted(0.1))) for _ in range(7)]
    assert {judged.rows[1].verdict for judged in judge(*groups[:6], reference="A")} == {Standing.BETTER}
    assert {judged.rows[1].verdict for judged in judge(*groups, reference="A")} == {Standing.UNDECIDED}


def test_the_side_that_is_better_is_the_groups():
    rows = row("A", shifted(0), [100] * 8), row("B", shifted(0.1), [50 + k for k in range(8)])
    cases = [
        (group(*rows), Standing.BETTER),
        (group(*rows, higher_is_better=False), Standing.WORSE),
        # Fewer steps are better, whatever the score is.
        (group(*rows, rank_by="steps"), Standing.BETTER),
        (group(*rows, rank_by="steps", higher_is_better=False), Standing.BETTER),
    ]
    for judged, (_, expected) in zip(judge(*(case for case, _ in cases), reference="A"), cases, strict=True):
        assert judged.rows[1].verdict is expected
        assert judged.rows[1].effect == (1 if expected is Standing.BETTER else -1) * abs(judged.rows[1].effect) != 0


def test_confidence_is_the_level_of_test_and_intervals():
    rows = group(row("A", shifted(0, 5)), row("B", shifted(0.1, 5)))
    (strict,), (loose,) = judge(rows, reference="A"), judge(rows, reference="A", confidence=0.9)
    # The smallest p of five pairs is 2/2⁵ = 0.0625.
    assert (strict.rows[1].verdict, loose.rows[1].verdict) == (Standing.UNDECIDED, Standing.BETTER)
    wide, narrow = strict.rows[1].difference_interval, loose.rows[1].difference_interval
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_twin_is_no_hypothesis_and_marks_what_is_no_larger():
    rows = row("A", shifted(0)), row("B", shifted(0.02)), row("C", shifted(0.04)), row("twin", shifted(-0.03))
    (judged,) = judge(group(*rows), reference="A", twin="twin")
    assert [r.verdict for r in judged.rows] == [
        Standing.REFERENCE,
        Standing.BETTER,
        Standing.BETTER,
        Standing.NOISE,
    ]
    assert [r.within_noise for r in judged.rows] == [False, True, False, False]
    assert [r.p_holm for r in judged.rows[1:3]] == [2 * 2 / 2**8] * 2
    assert math.isnan(judged.rows[3].p_holm)
    # Without its label it is a row as any other.
    (judged,) = judge(group(*rows), reference="A")
    assert judged.rows[3].verdict is Standing.WORSE
    assert judged.rows[3].p_holm == 3 * 2 / 2**8


@pytest.mark.parametrize("rank_by", ["score", "steps"])
def test_a_twin_without_runs_marks_nothing(rank_by):
    rows = row("A", shifted(0), [100] * 8), row("B", shifted(0.1), [50] * 8), row("twin", [])
    (judged,) = judge(group(*rows, rank_by=rank_by), reference="A", twin="twin")
    assert [r.verdict for r in judged.rows] == [Standing.REFERENCE, Standing.BETTER, Standing.NOISE]
    assert not any(r.within_noise for r in judged.rows)


def test_rows_are_judged_afresh():
    """Of rows that another reference judged before nothing is left, of the new reference's own neither."""
    rows = group(row("A", shifted(0)), row("B", shifted(0.1)), row("C", []))
    (before,) = judge(rows, reference="A", twin="B")
    (again,) = judge(before, reference="B")
    (fresh,) = judge(rows, reference="B")
    # As text, for NaN is not equal to itself.
    assert repr(again) == repr(fresh)
    assert math.isnan(again.rows[1].difference)
    assert again.rows[0].verdict is Standing.WORSE
    assert again.rows[2].verdict is Standing.UNDECIDED


def test_only_common_seeds_are_paired():
    reference, other = row("A", shifted(0)), row("B", shifted(0.1))
    part = replace(other, seeds=other.seeds[3:], scores=other.scores[3:], steps=other.steps[3:])
    (judged,) = judge(group(reference, part), reference="A")
    expected = np.mean(np.subtract(other.scores[3:], reference.scores[3:]))
    # A mean of five differences of numbers below 1.
    assert judged.rows[1].difference == pytest.approx(expected, abs=5 * EPS)


def test_a_reference_that_is_no_row_is_refused():
    with pytest.raises(UnknownNameError, match="'Z'"):
        judge(group(row("A", shifted(0))), reference="Z")


def test_the_best_row_is_sorted_first_and_the_empty_one_last():
    rows = [replace(row(label, [0.5]), mean=mean) for label, mean in (("B", 0.2), ("empty", math.nan), ("A", 0.7))]
    assert [r.label for r in sorted(rows, key=Judge(False, True, 0.95).order)] == ["A", "B", "empty"]
    assert [r.label for r in sorted(rows, key=Judge(False, False, 0.95).order)] == ["B", "A", "empty"]


@pytest.mark.parametrize(("old", "new"), [("Contest", Judge), ("Verdict", Standing)])
def test_old_names_work_with_a_warning(old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is now unitcircle.experiments.comparison.{new.__name__}"):
        assert getattr(comparison, old) is new
