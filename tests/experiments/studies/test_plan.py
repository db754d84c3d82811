"""What is done next: rates chosen from tuning runs alone, each run once, stacks that can be trained together."""

import math
import random
import sys

import pytest

pytest.importorskip("torch")

from tests.experiments.engines.crashing import score_of

from unitcircle.errors import ArgumentError
from unitcircle.experiments.comparison import compare
from unitcircle.experiments.studies import Experiment, Plan, Store, Study, chosen_rate, tuned_runs
from unitcircle.experiments.studies._choice import preference
from unitcircle.experiments.training import Record, Run, Status

RATES = (1e-3, 1e-2)


def a_study(**options):
    experiments = (
        Experiment("adding(length=10)", sizes=(4,), learning_rates=RATES, options={"steps": 10}),
        Experiment("adding(length=20)", sizes=(4, 8), learning_rates=RATES, options={"steps": 50}),
    )
    settings = {"seeds": 5, "tuning_seeds": 2, "experiments": experiments} | options
    return Study("test", initializers={"haar": "orthogonal", "xavier": "xavier_normal"}, **settings)


def ended(run, score=None, status=Status.FINISHED, steps=math.inf):
    summary = {"validation_score": score_of(run) if score is None else score, "steps_to_threshold": steps}
    return Record(run, status, summary=summary, seconds=1.0)


def finish(plan, store, stack, record=ended):
    records = [record(run) for run in stack]
    for one in records:
        store.write(one)
    plan.end(records)


def rows(study):
    return [(e, setting, label) for e in study.experiments for setting in e.settings() for label in study.labels]


def everything(study, find):
    """All runs of a complete study, counted the simple way."""
    runs = set()
    for experiment, setting, label in rows(study):
        runs |= set(study.tuning_runs(experiment, setting, label))
        rate = chosen_rate(study, experiment, setting, label, find)
        runs |= set(study.reported_runs(setting, label, rate))
    return runs


@pytest.mark.parametrize("seed", range(5))
def test_every_run_is_handed_out_once_whatever_the_order_of_ends(tmp_path, seed):
    rng, study, store = random.Random(seed), a_study(), Store(tmp_path)
    plan, flights, taken = Plan(study, store, limit=lambda _: 3), [], []
    while plan.left:
        while len(flights) < 3 and (stack := plan.take(3)):
            assert 1 <= len(stack) <= 3
            assert len({run.stack for run in stack}) == 1
            flights.append(stack)
            taken += stack
        finish(plan, store, flights.pop(rng.randrange(len(flights))))
    assert not flights
    assert len(taken) == len(set(taken))
    assert set(taken) == everything(study, store.get)
    # 3 settings with 3 rows of 2 rates x 2 tuning seeds + 5 reported runs.
    assert len(taken) == plan.ended == 3 * 3 * (2 * 2 + 5)


def test_the_order_of_ends_does_not_change_what_is_chosen(tmp_path):
    chosen = []
    for seed in range(3):
        rng, study, store = random.Random(seed), a_study(), Store(tmp_path / str(seed))
        runs = [run for row in rows(study) for run in study.tuning_runs(*row)]
        rng.shuffle(runs)
        for run in runs:
            store.write(ended(run))
        chosen.append([chosen_rate(study, *row, store.get) for row in rows(study)])
    assert chosen[0] == chosen[1] == chosen[2]
    assert set(chosen[0]) == set(RATES)


def test_reported_runs_wait_for_their_own_tuning_only(tmp_path):
    study = a_study()
    row = rows(study)[0]
    store = Store(tmp_path)
    tuning = study.tuning_runs(*row)
    for run in tuning:
        store.write(ended(run))
    plan = Plan(study, store)
    assert plan.ended == len(tuning)
    taken = []
    while stack := plan.take(2):
        taken += stack
    rate = chosen_rate(study, *row, store.get)
    reported = set(study.reported_runs(row[1], row[2], rate))
    assert {run for run in taken if run.seed < 1000} == reported
    # All tuning runs come first: others wait for them.
    seeds = [run.seed >= 1000 for run in taken]
    assert seeds == sorted(seeds, reverse=True)
    assert chosen_rate(study, *rows(study)[1], store.get) is None


def test_what_has_ended_is_not_done_again_and_failed_only_when_asked(tmp_path):
    study, store = a_study(), Store(tmp_path)
    plan = Plan(study, store)
    while stack := plan.take(1):
        finish(plan, store, stack)
    failed = study.reported_runs(rows(study)[0][1], "haar", chosen_rate(study, *rows(study)[0], store.get))[2]
    store.write(ended(failed, status=Status.FAILED))
    plan = Plan(study, Store(tmp_path))
    assert (plan.left, plan.failed, plan.take(1)) == (0, 1, ())
    plan = Plan(study, Store(tmp_path), retry_failed=True)
    assert (plan.left, plan.failed, plan.take(1)) == (1, 0, (failed,))


def test_a_run_in_two_rows_is_done_once(tmp_path):
    study = Study(
        "twice",
        initializers={"a": "orthogonal", "b": "orthogonal"},
        experiments=(Experiment("adding(length=10)", sizes=(4,), learning_rates=RATES),),
        seeds=3,
        tuning_seeds=1,
        twin=False,
    )
    store = Store(tmp_path)
    plan = Plan(study, store)
    count = 0
    while stack := plan.take(1):
        count += len(stack)
        finish(plan, store, stack)
    assert (count, plan.left) == (2 + 3, 0)


def test_one_rate_needs_no_tuning(tmp_path):
    experiment = Experiment("adding(length=10)", sizes=(4,), learning_rates=(0.5,))
    plan = Plan(a_study(experiments=(experiment,)), Store(tmp_path))
    taken = []
    while stack := plan.take(1):
        taken += stack
    assert {run.learning_rate for run in taken} == {0.5}
    assert len(taken) == 3 * 5


def test_long_stacks_come_first_and_the_last_are_shared_out(tmp_path):
    experiments = tuple(
        Experiment("adding(length=10)", sizes=(4,), learning_rates=(0.1,), options={"steps": steps})
        for steps in (10, 1000, 100)
    )
    study = a_study(experiments=experiments, seeds=8, twin=False)
    plan = Plan(study, Store(tmp_path))
    taken = []
    while stack := plan.take(4):
        taken.append((stack[0].steps, len(stack)))
    # 16 runs of each length; at most 8 together, and 48 runs in 4 slots are 12 for each.
    assert taken == [(1000, 8), (1000, 8), (100, 8), (100, 8), (10, 8), (10, 8)]
    plan = Plan(study, Store(tmp_path))
    assert [len(plan.take(16)) for _ in range(3)] == [3, 3, 3]


def test_lost_runs_are_tried_once_more_alone(tmp_path):
    study, store = a_study(), Store(tmp_path)
    plan = Plan(study, store)
    stack = plan.take(1)
    assert len(stack) > 1
    left = plan.left
    assert plan.lose(stack) == []
    again = [plan.take(1) for _ in stack]
    assert {run for (run,) in again} == set(stack)
    assert plan.lose(again[0]) == list(again[0])
    assert plan.left == left


def test_the_remaining_time_follows_from_measured_seconds(tmp_path):
    study, store = a_study(), Store(tmp_path)
    plan = Plan(study, store)
    assert math.isnan(plan.remaining_seconds(2))
    finish(
        plan, store, plan.take(1), lambda run: Record(run, Status.FINISHED, ended(run).summary, seconds=0.1 * run.steps)
    )
    # Three settings of 27 runs: one with 10 steps, two with 50; a second for every ten steps.
    whole = 27 * 1.0 + 2 * 27 * 5.0
    done = plan.ended * 5.0
    # A sum over 81 runs.
    rounding = 81 * sys.float_info.epsilon
    assert plan.remaining_seconds(1) == pytest.approx(whole - done, rel=rounding)
    assert plan.remaining_seconds(2) == pytest.approx((whole - done) / 2, rel=rounding)


def run(rate, seed=0):
    return Run("adding(length=10)", "tanh(size=4)", "orthogonal", learning_rate=rate, seed=seed)


def best(of, rank_by="score", higher=True):
    """Which of several rates is preferred; each is a list of (status, score, steps)."""
    status = {"ok": Status.FINISHED, "diverged": Status.DIVERGED, "failed": Status.FAILED}
    keys = {
        name: preference(
            [ended(run(0.1, k), s, status[kind], t) for k, (kind, s, t) in enumerate(runs)], rank_by, higher
        )
        for name, runs in of.items()
    }
    assert not any(math.isnan(number) for key in keys.values() for number in key)
    return min(keys, key=keys.get)


def test_the_better_mean_score_wins():
    rates = {"a": [("ok", 0.9, 5), ("ok", 0.5, 5)], "b": [("ok", 0.8, 9), ("ok", 0.7, 9)]}
    assert best(rates) == "b"
    assert best(rates, higher=False) == "a"
    assert best(rates, rank_by="steps") == "a"


@pytest.mark.parametrize("bad", [("diverged", 1.0, 1), ("failed", 1.0, 1), ("ok", math.nan, 1)])
@pytest.mark.parametrize("rank_by", ["score", "steps"])
def test_a_lost_run_outweighs_any_score(bad, rank_by):
    rates = {"a": [("ok", 1.0, 1), bad], "b": [("ok", 0.1, math.inf), ("ok", 0.1, math.inf)]}
    assert best(rates, rank_by) == "b"
    # Where every rate has lost one, the others decide.
    rates["b"][0] = bad
    assert best(rates, rank_by) == "a"
    assert best({"a": [bad, bad], "b": [bad, ("ok", 0.0, math.inf)]}, rank_by) == "b"


def test_between_equal_scores_the_faster_then_the_smaller_rate(tmp_path):
    assert best({"a": [("ok", 1.0, 50)], "b": [("ok", 1.0, 40)]}) == "b"
    assert best({"a": [("ok", 1.0, 50), ("ok", 1.0, math.inf)], "b": [("ok", 1.0, 90), ("ok", 1.0, 90)]}) == "b"
    assert best({"a": [("ok", 0.5, 50)], "b": [("ok", 0.9, 50)]}, rank_by="steps") == "b"
    study = a_study()
    row = rows(study)[0]
    records = {run: ended(run, 0.5) for run in study.tuning_runs(*row)}
    assert chosen_rate(study, *row, records.get) == min(RATES)


def test_the_direction_is_the_task_s(tmp_path):
    """Adding is scored by its mean squared error, digits by accuracy."""
    for task, best_rate in (("adding(length=10)", 1e-3), ("delayed_digits", 1e-2)):
        study = a_study(experiments=(Experiment(task, sizes=(4,), learning_rates=RATES),))
        row = rows(study)[0]
        records = {run: ended(run, run.learning_rate) for run in study.tuning_runs(*row)}
        assert chosen_rate(study, *row, records.get) == best_rate


def extended(seed=0):
    """A study whose best rate is .1 for one initializer, .001 for the other, and its plan worked off."""
    wanted = {"zeros()": 0.1, "orthogonal(gain=1.0)": 0.001}
    experiment = Experiment("adding(length=10)", sizes=(4,), learning_rates=RATES, further_rates=2)
    laws = {"haar": "orthogonal", "zeros": "zeros"}
    study = Study("test", initializers=laws, experiments=(experiment,), seeds=5, tuning_seeds=2, twin=False)

    def record(run):
        return ended(run, abs(math.log(run.learning_rate / wanted[run.recurrent])))

    return study, record, random.Random(seed)


@pytest.mark.parametrize("seed", range(3))
def test_rates_are_added_while_the_best_is_at_an_edge_for_that_row_alone(tmp_path, seed):
    study, record, rng = extended(seed=seed)
    store, taken, flights = Store(tmp_path), [], []
    plan = Plan(study, store)
    while plan.left:
        while len(flights) < 3 and (stack := plan.take(3)):
            flights.append(stack)
            taken += stack
        finish(plan, store, flights.pop(rng.randrange(len(flights))), record)
    haar, zeros = rows(study)
    # From .001 and .01: .000303 is worse, and .033 and .109 are better; farther than two is not looked.
    assert {r.learning_rate for r in tuned_runs(study, *haar, store.get)} == {0.000303, 0.001, 0.01}
    assert {r.learning_rate for r in tuned_runs(study, *zeros, store.get)} == {0.001, 0.01, 0.033, 0.109}
    assert [chosen_rate(study, *row, store.get) for row in (haar, zeros)] == [0.001, 0.109]
    assert len(taken) == len(set(taken)) == 2 * (3 + 4) + 2 * 5
    comparison = compare(study, store.get)
    assert (comparison.planned, comparison.missing) == (len(taken), 0)
    assert {row.label: row.at_edge for row in comparison.groups[0].rows} == {"haar": False, "zeros": True}
    # A second call finds everything.
    assert (Plan(study, store).left, Plan(study, store).ended) == (0, len(taken))


def test_a_failed_run_is_tried_again_before_a_rate_is_added(tmp_path):
    study, record, _ = extended()
    store = Store(tmp_path)
    row = rows(study)[0]
    for run in study.tuning_runs(*row):
        store.write(ended(run, status=Status.FAILED) if run.seed == 1001 else record(run))

    def planned(**options):
        plan = Plan(study, store, limit=lambda _: 1, **options)
        taken = [run for _ in range(plan.left) for run in plan.take(1)]
        return {run.learning_rate for run in taken if run.recurrent.startswith("orthogonal")}

    assert planned() == {0.000303}
    assert planned(retry_failed=True) == set(RATES)


def test_further_rates_need_two_rates():
    for further, rates in ((-1, RATES), (1, RATES[:1])):
        with pytest.raises(ArgumentError, match="further_rates"):
            Experiment("adding(length=10)", learning_rates=rates, further_rates=further)
