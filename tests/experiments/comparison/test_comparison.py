"""Comparisons of records whose answer is known."""

import math
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import sacrebleu
from rich.console import Console
from tests.study_records import finder, noise, record, study

from unitcircle.experiments.comparison import Standing, compare, study_progress_view, study_sentences
from unitcircle.experiments.comparison._figures import chart_title, charts
from unitcircle.experiments.comparison._view import score_line
from unitcircle.experiments.studies import Experiment, Study
from unitcircle.experiments.training import Status
from unitcircle.report import to_json

INF = math.inf
EPS = np.finfo(float).eps
TWO = {"A": "orthogonal", "B": "xavier_normal"}


def compared(planned, make):
    records = finder(planned, make)
    return compare(planned, lambda run: records.get(run.key))


def rows_of(comparison):
    (group,) = comparison.groups
    return {row.label: row for row in group.rows}


def test_a_difference_known_exactly():
    def make(label, run):
        return record(run, 0.5 + 0.1 * (label == "B") + noise("A", replace(run, twin=0)))

    rows = rows_of(compared(study(), make))
    assert rows["B"].verdict is Standing.BETTER
    assert rows["B"].difference == pytest.approx(0.1, abs=20 * EPS)  # ten differences of two scores
    assert rows["B"].difference_interval.low == pytest.approx(0.1, abs=20 * EPS)  # ten differences of two scores
    assert rows["B"].p == 2 / 2**10
    assert rows["B"].p_holm == 4 / 2**10  # two hypotheses: the A/A row is none
    assert rows["C"].verdict is Standing.UNDECIDED
    assert (rows["C"].difference, rows["C"].p) == (0, 1)
    assert rows["A (again)"].verdict is Standing.NOISE
    assert math.isnan(rows["A (again)"].p_holm)


def test_better_worse_and_the_same_law_under_noise():
    shift = {"B": 0.15, "C": -0.15, "D": 0.0}
    labels = {"A": "torch_default", "B": "orthogonal", "C": "xavier_normal", "D": "identity"}

    def make(label, run):
        return record(run, 0.5 + shift.get(label, 0) + noise(label, run))

    comparison = compared(study(labels), make)
    rows = rows_of(comparison)
    assert [rows[label].verdict for label in "BCD"] == [Standing.BETTER, Standing.WORSE, Standing.UNDECIDED]
    assert rows["B"].difference_interval.low < 0.15 < rows["B"].difference_interval.high
    assert rows["B"].effect > 0.9
    assert rows["C"].effect < -0.9
    (group,) = comparison.groups
    assert group.rows[0].label == "B"
    assert group.rows[-1].label == "C"
    assert group.not_told_from_first == ()


def test_lower_is_better_where_the_task_says_so():
    planned = study(experiment={"task": "adding"})
    comparison = compared(
        planned, lambda label, run: record(run, 0.1 - 0.05 * (label == "B") + noise(label, run, 0.01))
    )
    rows = rows_of(comparison)
    assert rows["B"].verdict is Standing.BETTER
    assert rows["B"].difference < 0 < rows["B"].effect
    assert rows["B"].worst == max(rows["B"].scores)
    assert comparison.groups[0].rows[0].label == "B"


def test_a_diverged_run_counts_as_the_baseline_and_a_failed_one_not_at_all():
    def make(label, run):
        if label == "B" and run.seed == 2:
            return record(run, math.nan, status=Status.DIVERGED, steps=10)
        if label == "C" and run.seed == 3:
            return record(run, math.nan, status=Status.FAILED)
        return record(run, 0.95, steps=500)

    comparison = compared(study(), make)
    rows = rows_of(comparison)
    assert (rows["B"].diverged, rows["B"].scores[2], rows["B"].steps[2]) == (1, 0.1, INF)
    assert (rows["B"].worst, rows["B"].solved) == (0.1, 9)
    assert (rows["C"].failed, rows["C"].missing, len(rows["C"].seeds)) == (1, 0, 9)
    assert 3 not in rows["C"].seeds
    assert (comparison.planned, comparison.present, comparison.missing, comparison.failed) == (40, 39, 0, 1)


def test_a_diverged_run_is_no_better_than_one_that_ended_below_the_baseline():
    # Guessing a number has an error of 1/6; networks that never got there end a little above it.
    def make(label, run):
        if label == "B":
            return record(run, math.nan, status=Status.DIVERGED)
        return record(run, 0.17 + 0.001 * run.seed)

    rows = rows_of(compared(study(experiment={"task": "adding(length=10)"}), make))
    assert rows["B"].scores == (max(rows["A"].scores),) * 10
    assert rows["B"].verdict is Standing.WORSE


def test_without_a_baseline_a_diverged_run_counts_as_the_worst_of_its_group(monkeypatch):
    from unitcircle.experiments.tasks import DelayedDigits

    monkeypatch.setattr(DelayedDigits, "baseline", math.nan)

    def make(label, run):
        lost = label == "B" and run.seed == 2
        return record(run, math.nan if lost else 0.3 + run.seed / 100, status=Status(("finished", "diverged")[lost]))

    assert rows_of(compared(study(), make))["B"].scores[2] == 0.3


def test_steps_to_the_threshold_with_runs_that_never_reach_it():
    steps = {"A": INF, "B": 100.0, "C": INF, "D": 300.0}
    labels = {"A": "torch_default", "B": "orthogonal", "C": "xavier_normal", "D": "identity"}
    planned = study(labels, experiment={"rank_by": "steps"}, reference="D")
    rows = rows_of(compared(planned, lambda label, run: record(run, 0.5, steps=steps[label[0]] + run.seed)))
    assert next(iter(rows)) == "B"
    assert rows["B"].verdict is Standing.BETTER
    # Between the two ratios in the middle, the median is taken of logarithms.
    expected = math.exp(np.median([math.log((100 + k) / (300 + k)) for k in range(10)]))
    assert rows["B"].difference == pytest.approx(expected, rel=8 * np.finfo(float).eps)
    assert rows["A"].verdict is Standing.WORSE
    assert (rows["A"].difference, rows["A"].median_steps, rows["A"].solved) == (INF, INF, 0)


def test_nothing_is_told_between_two_that_never_get_there():
    planned = study(experiment={"rank_by": "steps"})
    rows = rows_of(compared(planned, lambda label, run: record(run, 0.5)))
    assert (rows["B"].verdict, rows["B"].difference, rows["B"].p, rows["B"].effect) == (Standing.UNDECIDED, 1, 1, 0)


def test_half_of_the_pairs_censored_one_way_and_half_the_other_is_a_tie():
    def make(label, run):
        return record(run, 0.5, steps=INF if (run.seed % 2 == 0) == (label == "B") else 100)

    rows = rows_of(compared(study(experiment={"rank_by": "steps"}, twin=False), make))
    assert (rows["B"].difference, rows["B"].verdict) == (1, Standing.UNDECIDED)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_few_seeds_decide_nothing(seeds):
    rows = rows_of(compared(study(seeds=seeds), lambda label, run: record(run, 0.2 + 0.5 * (label == "B"))))
    assert rows["B"].verdict is Standing.UNDECIDED
    assert rows["B"].difference == pytest.approx(0.5, abs=4 * EPS)
    assert rows["B"].p == pytest.approx(min(1, 2.0 ** (1 - seeds)), abs=4 * EPS)


def test_the_confidence_of_a_study_is_that_of_its_verdicts_and_intervals():
    # Five pairs of one sign have p = 2/2⁵ = 0.0625.
    by_confidence = {}
    for confidence, verdict, equals in ((0.95, Standing.UNDECIDED, ("A",)), (0.9, Standing.BETTER, ())):
        planned = study({"A": "torch_default", "B": "orthogonal"}, seeds=5, twin=False, confidence=confidence)
        comparison = compared(planned, lambda label, run: record(run, 0.5 + 0.2 * (label == "B") + run.seed / 50))
        (group,) = comparison.groups
        rows = by_confidence[confidence] = rows_of(comparison)
        assert rows["B"].verdict is verdict
        assert group.not_told_from_first == equals
        assert comparison.confidence == confidence
    (wide, narrow) = (by_confidence[confidence]["A"] for confidence in (0.95, 0.9))
    for name in ("interval", "success"):
        outer, inner = getattr(wide, name), getattr(narrow, name)
        assert outer.low <= inner.low < inner.high <= outer.high
        assert outer != inner
    assert wide.curve.low[-1] < narrow.curve.low[-1] < narrow.curve.high[-1] < wide.curve.high[-1]


def test_a_partial_study_is_compared_as_far_as_it_is_there():
    planned = study(experiment={"learning_rates": (3e-4, 1e-3, 3e-3)})

    def make(label, run):
        if label == "C" and run.seed == 1001:
            return None  # its rate cannot be chosen
        if label == "B" and 6 < run.seed < 1000:
            return None
        return record(run, 0.5 + 0.1 * (run.learning_rate == 1e-3) + 0.1 * (label == "B") + noise("A", run, 0.01))

    comparison = compared(planned, make)
    rows = rows_of(comparison)
    assert (rows["B"].missing, rows["B"].seeds, rows["B"].learning_rate) == (3, (0, 1, 2, 3, 4, 5, 6), 1e-3)
    assert math.isnan(rows["C"].learning_rate)
    assert rows["C"].missing == 10
    assert comparison.groups[0].rows[-1].label == "C"
    assert comparison.planned == 4 * (9 + 10)
    assert comparison.missing == comparison.planned - comparison.present == 3 + 3 + 10


def test_nothing_at_all_is_a_comparison_too():
    comparison = compared(study(), lambda label, run: None)
    assert (comparison.present, comparison.missing) == (0, 40)
    assert all(r.verdict in {Standing.UNDECIDED, Standing.REFERENCE, Standing.NOISE} for r in comparison.groups[0].rows)
    to_json(comparison.to_dict())


def test_the_same_records_in_another_order_give_the_identical_comparison():
    planned = study(experiment={"learning_rates": (3e-4, 1e-3)})
    records = finder(planned, lambda label, run: record(run, 0.5 + noise(label, run)))
    shuffled = dict(reversed(records.items()))
    first, second = (compare(planned, lambda run, found=found: found.get(run.key)) for found in (records, shuffled))
    assert to_json(first.to_dict()) == to_json(second.to_dict())


def test_the_learning_rate_is_chosen_on_other_seeds_and_its_share_is_named():
    planned = study(experiment={"learning_rates": (3e-4, 1e-3, 3e-3)})
    gain = {3e-4: 0.0, 1e-3: 0.1, 3e-3: 0.3}

    def make(label, run):
        # Reported seeds would choose another rate: that must not matter.
        return record(run, 0.4 + (gain[run.learning_rate] if run.seed >= 1000 else -gain[run.learning_rate]))

    comparison = compared(planned, make)
    rows = rows_of(comparison)
    assert {r.learning_rate for r in rows.values()} == {3e-3}
    assert all(r.at_edge for r in rows.values())
    assert rows["B"].tuning == {rate: (0.4 + g,) * 3 for rate, g in gain.items()}
    assert comparison.groups[0].shares["learning rate"] == pytest.approx(1, abs=36 * EPS)


def test_a_difference_no_larger_than_that_of_equals_is_marked():
    shift = {"A (again)": 0.03, "B": 0.02, "C": 0.04}
    rows = rows_of(compared(study(), lambda label, run: record(run, 0.5 + run.seed / 100 + shift.get(label, 0))))
    assert rows["B"].verdict is Standing.BETTER
    assert rows["B"].within_noise
    assert not rows["C"].within_noise


def test_the_first_is_held_against_every_other():
    shift = {"B": 0.2, "C": 0.19}
    comparison = compared(study(), lambda label, run: record(run, 0.5 + shift.get(label, 0) + noise(label, run)))
    (group,) = comparison.groups
    assert {group.rows[0].label, *group.not_told_from_first} == {"B", "C"}


def test_curves_hold_what_ended_early_and_drop_what_diverged():
    def make(label, run):
        lost = label == "B" and run.seed == 0
        made = record(run, 0.8, status=Status(("finished", "diverged")[lost]))
        if label == "C":
            return replace(made, curves={"step": [0.0, 250.0], "validation_score": [0.0, 0.4]})
        return made

    rows = rows_of(compared(study(seeds=2), make))
    assert rows["A"].curve.mean == pytest.approx((0, 0.2, 0.4, 0.6, 0.8), abs=4 * EPS)
    expected = (0, 0.2, (0.1 + 0.4) / 2, (0.1 + 0.6) / 2, (0.1 + 0.8) / 2)
    assert rows["B"].curve.mean == pytest.approx(expected, abs=4 * EPS)
    assert rows["C"].curve.mean[-1] == pytest.approx(0.4, abs=4 * EPS)


def test_each_input_scale_and_size_is_a_group_of_its_own():
    planned = study(experiment={"sizes": (8, 16), "input_scales": (0.3, 1.0)}, seeds=2)
    comparison = compared(planned, lambda label, run: record(run, run.input_scale / 10))
    assert [(g.factors["size"], g.input_scale) for g in comparison.groups] == [(8, 0.3), (8, 1), (16, 0.3), (16, 1)]
    assert [g.rows[0].mean for g in comparison.groups] == pytest.approx([0.03, 0.1, 0.03, 0.1], abs=4 * EPS)


def titles(*experiments):
    planned = Study("s", initializers=TWO, experiments=experiments, seeds=2, twin=False)
    groups = compare(planned, lambda run: None).groups
    for group in groups:
        assert all(group.factors[name] == value for name, value in group.options.items())
    return [group.title for group in groups]


def test_groups_that_differ_in_an_option_are_told_apart_by_it():
    plain = Experiment("delayed_digits", learning_rates=(1e-3,))

    def other(**options):
        return replace(plain, options=options)

    name = "delayed_digits(blank=100), tanh(size=64)"
    # Alone, or beside another task, cell or size, a group needs no option to be told apart.
    beside = replace(plain, task="adding", options={"steps": 7})
    assert titles(plain, beside)[0] == name
    assert titles(other(), replace(other(batch_size=16), sizes=(8,)))[0] == name
    assert titles(other(), other(batch_size=16, clip=math.inf)) == [
        f"{name}, batch size 32, clip 1",
        f"{name}, batch size 16, clip inf",
    ]
    assert titles(other(omega=0.5), beside, other(omega=2.0)) == [
        f"{name}, omega 0.5",
        titles(beside)[0],
        f"{name}, omega 2",
    ]
    # What one of three says alone is said by all three.
    assert [title.removeprefix(name) for title in titles(other(), other(clip=None), other(optimizer="sgd"))] == [
        ", optimizer adam, clip 1",
        ", optimizer adam, clip none",
        ", optimizer sgd, clip 1",
    ]


def test_groups_that_differ_in_rates_or_ranking_are_told_apart_by_them():
    plain = Experiment("delayed_digits", learning_rates=(1e-3,))
    found = titles(plain, replace(plain, learning_rates=(1e-3, 1e-2), rank_by="steps"))
    assert [title.partition("64), ")[2] for title in found] == [
        "learning rates 0.001, ranked by score",
        "learning rates 0.001 / 0.01, ranked by steps",
    ]


def test_an_option_that_is_varied_is_a_sweep():
    sizes = [Experiment("delayed_digits", learning_rates=(1e-3,), options={"batch_size": b}) for b in (8, 16, 32)]
    planned = Study("s", initializers=TWO, experiments=tuple(sizes), seeds=2, twin=False)
    records = finder(planned, lambda label, run: record(run, run.batch_size / 100))
    ((factor, groups),) = charts(compare(planned, lambda run: records.get(run.key)))
    assert factor == "batch size"
    assert [group.factors[factor] for group in groups] == [8, 16, 32]
    assert "batch size" not in chart_title((factor, groups))


def test_a_bleu_is_printed_with_its_signature():
    planned = Study(
        "bleu",
        initializers={"Haar": "orthogonal"},
        experiments=(Experiment("multi30k", ("lstm",)),),
        twin=False,
    )
    (group,) = compare(planned, lambda _: None).groups
    version = f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert score_line(group) == f"score: BLEU ({version}), higher is better"


def test_a_row_without_runs_is_neither_told_apart_nor_counted():
    labels = {"A": "torch_default", "B": "orthogonal", "C": "xavier_normal", "D": "identity"}
    shift = {"B": 0.15}

    def make(label, run):
        return None if label in {"C", "D"} else record(run, 0.5 + shift.get(label, 0) + noise(label, run))

    comparison = compared(study(labels), make)
    (group,) = comparison.groups
    rows = rows_of(comparison)
    assert group.rows[0].label == "B"
    assert group.not_told_from_first == ()
    # One hypothesis has data: nothing to correct.
    assert rows["B"].p_holm == rows["B"].p
    assert math.isnan(rows["C"].p_holm)
    said = " ".join(study_sentences(group, comparison))
    assert "significantly different" not in said
    assert "Every other one that has runs is worse by the same test." in said


def test_nothing_is_first_where_no_run_is_there():
    (group,) = compared(study(), lambda label, run: None).groups
    assert group.not_told_from_first == ()


@pytest.mark.parametrize(("better", "said"), [((), True), (("B",), False)])
def test_a_group_in_which_nothing_was_learned_says_so(better, said):
    planned = study()

    def make(label, run):
        made = record(run, 0.5)
        scores = [0.5, 0.4, math.nan, 0.3, 0.6 if label in better and run.seed == 0 else 0.5]
        return replace(made, curves=dict(made.curves) | {"validation_score": scores})

    comparison = compared(planned, make)
    (group,) = comparison.groups
    assert sum(row.untrained for row in group.rows) == sum(len(row.seeds) for row in group.rows) - len(better)
    assert any("beat its untrained self" in line for line in study_sentences(group, comparison)) is said


def test_without_tests_the_counts_and_means_are_the_same_and_no_interval_is_known():
    records = finder(study(), lambda label, run: record(run, 0.5 + noise(label, run)))
    judged = compare(study(), lambda run: records.get(run.key))
    counted = compare(study(), lambda run: records.get(run.key), judged=False)
    for row, other in zip(sorted(judged.groups[0].rows, key=str), sorted(counted.groups[0].rows, key=str), strict=True):
        for name in ("label", "learning_rate", "seeds", "scores", "mean", "missing", "failed", "diverged", "tuning"):
            assert getattr(row, name) == getattr(other, name)
        assert row.interval.known
        assert not other.interval.known
    texts = []
    for comparison in (judged, counted):
        screen = Console(width=100, record=True, file=StringIO())
        screen.print(study_progress_view(comparison))
        texts.append(screen.export_text())
    assert texts[0] == texts[1]
    assert "10/10" in texts[0]
