"""Whether a diagnosis predicts training: correlations against scipy, points from records, verdicts from intervals."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from unitcircle.experiments.studies import Store, Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status
from unitcircle.initializers import Initializer
from unitcircle_reproduction import Context, Verdict
from unitcircle_reproduction._correlation import (
    interval,
    multiplicities,
    rank_correlation,
    screening,
    simultaneous,
    weighted_spearman,
)
from unitcircle_reproduction.prediction import _second_look as second
from unitcircle_reproduction.prediction import _text as chapter
from unitcircle_reproduction.prediction._chance import above, chance, orders
from unitcircle_reproduction.prediction._criteria import rows as finding_rows
from unitcircle_reproduction.prediction._newcomers import RIDGE, newcomers
from unitcircle_reproduction.prediction._ranking import Ranking, rankings
from unitcircle_reproduction.prediction._ruling import ruling
from unitcircle_reproduction.prediction._runs import COLUMNS, DIAGNOSTICS, records, table
from unitcircle_reproduction.prediction._screen import screen
from unitcircle_reproduction.prediction._within import within

ROUNDING = 64 * np.finfo(float).eps
"""Correlations of some ten ranks: sums of a few dozen products of numbers of order 1."""
FAMILIES = ("eigen", "orthogonal", "independent entries", "identity", "chain", "sparse", "low_rank", "antisymmetric")

# ------------------------------------------------------------------ correlation


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_correlation_is_scipys(seed):
    rng = np.random.default_rng(seed)
    # Rounded, so that there are ties.
    x, y = rng.normal(size=(2, 15)).round(0)
    found = rank_correlation(x, y, [str(k) for k in range(15)])
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=ROUNDING)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("seed", range(5))
def test_weights_repeat_points(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 9)).round(1)
    weights = rng.integers(0, 4, size=(6, 9)).astype(float)
    found = weighted_spearman(x, y, weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        repeated = stats.spearmanr(np.repeat(x, row), np.repeat(y, row)).statistic
        assert value == pytest.approx(repeated, abs=ROUNDING)


def test_infinities_are_ranked_and_equal_values_have_no_correlation():
    x = np.array([-math.inf, 0.0, 1.0, math.inf])
    assert weighted_spearman(x, np.arange(4.0), np.ones(4)) == pytest.approx(1.0)
    assert np.isnan(weighted_spearman(np.full(4, 0.1), np.arange(4.0), np.ones(4)))
    assert np.isnan(weighted_spearman(np.full(4, -math.inf), np.arange(4.0), np.ones(4)))


def test_a_point_with_a_nan_is_left_out():
    found = rank_correlation([1, 2, math.nan, 3], [1, 3, 0, 2], list("abcd"))
    assert found.points == 3
    assert found.value == pytest.approx(0.5)
    assert math.isnan(rank_correlation([1, 2], [1, 2], ["a", "b"]).value)


def test_the_interval_is_that_of_families_not_of_points():
    # Forty points in five families: what differs is between families only, so forty points are worth five.
    rng = np.random.default_rng(0)
    families = np.repeat(np.arange(5), 8)
    x = families + 0.01 * rng.normal(size=40)
    y = np.array([0.0, 2.0, 1.0, 4.0, 3.0])[families] + 0.01 * rng.normal(size=40)
    clustered = rank_correlation(x, y, families.astype(str).tolist())
    alone = rank_correlation(x, y, [str(k) for k in range(40)])
    assert clustered.value == alone.value
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)
    few = rank_correlation(x, y, (families % 4).astype(str).tolist())
    assert math.isnan(few.low)


@pytest.mark.parametrize("families", [10, 40])
def test_the_interval_covers(families):
    # True Spearman of a bivariate normal with r = 0.5: 6/π asin(r/2) = 0.483; also for a dozen families.
    truth, rng, inside = 6 / math.pi * math.asin(0.25), np.random.default_rng(1), 0
    for k in range(100):
        x = rng.normal(size=families)
        y = 0.5 * x + math.sqrt(0.75) * rng.normal(size=families)
        found = rank_correlation(x, y, [str(j) for j in range(families)], seed=k)
        inside += found.low <= truth <= found.high
    # Binomial(100, 0.95): below 88 with probability 0.2 %.
    assert inside >= 88


def test_intervals_that_hold_together_are_wider_and_those_of_equal_numbers_are_not():
    rng = np.random.default_rng(0)
    draws = np.tanh(rng.normal(0.2, 0.2, size=(2000, 12)))
    values = np.full(12, np.tanh(0.2))
    one, together = interval(values[0], draws[:, 0], 12), simultaneous(values, draws, 12)[0]
    assert together[0] < one[0] < one[1] < together[1]
    # Student's t with 11 degrees of freedom, and 12/11 of the variance.
    margin = stats.t.ppf(0.975, 11) * np.arctanh(draws[:, 0]).std() * math.sqrt(12 / 11)
    assert one == pytest.approx((np.tanh(0.2 - margin), np.tanh(0.2 + margin)))
    same = simultaneous(values, np.repeat(draws[:, :1], 12, 1), 12)
    assert same[5] == pytest.approx(one, abs=0.02)


def test_there_is_no_interval_of_few_families_or_where_resamples_say_nothing():
    draws = np.random.default_rng(0).normal(0, 0.1, size=2000)
    assert math.isnan(interval(0.0, draws, 4)[0])
    assert math.isnan(interval(0.0, np.where(np.arange(2000) < 1200, np.nan, draws), 9)[0])
    assert interval(0.3, 0.3 + draws, 9, bounded=False)[1] == pytest.approx(
        0.3 + stats.t.ppf(0.975, 8) * draws.std() * math.sqrt(9 / 8)
    )


def test_families_are_drawn_as_often_as_there_are_families():
    drawn = multiplicities(["a", "b", "a", "c"], 0, resamples=50)
    assert set(drawn) == {"a", "b", "c"}
    assert (sum(drawn.values()) == 3).all()


# ------------------------------------------------------------------ chance


def test_families_of_one_size_exchange_their_results_whole():
    group = {f"{family}{k}": family for family in "abcd" for k in range(3)}
    (order,) = orders([group], 0, shuffles=500)
    assert (np.sort(order, -1) == np.arange(12)).all()
    # Each family gets the results of one family, in any order.
    assert (np.ptp(order.reshape(500, 4, 3) // 3, axis=-1) == 0).all()
    assert len({tuple(row) for row in order.tolist()}) > 490


def test_all_groups_are_shuffled_alike_in_whatever_order_their_points_come():
    group = {f"{family}{k}": family for family in "abc" for k in range(2)}
    backward = dict(reversed(group.items()))
    fewer = {name: family for name, family in group.items() if name != "b0"}
    first, second, third = orders([group, backward, fewer], 3, shuffles=200)
    names, turned = np.array(list(group)), np.array(list(backward))
    assert (names[first] == turned[second][:, ::-1]).all()
    assert (np.sort(third, -1) == np.arange(5)).all()


def test_chance_is_that_of_the_largest():
    rng = np.random.default_rng(0)
    shuffled = rng.normal(size=(4000, 10)) * np.array([1, 5] * 5)
    values = np.array([3.0, 3.0, np.nan, *[0.0] * 7])
    p = chance(values, shuffled)
    # Of ten independent standard normals the largest is beyond 3 with this probability; 3 of a spread of 5 is nothing.
    # (The diagnostic without a value is not looked at: nine are.)
    assert p[0] == pytest.approx(1 - (1 - 2 * stats.norm.sf(3)) ** 9, abs=0.01)
    assert p[1] > 0.9
    assert math.isnan(p[2])
    assert above(0.0, rng.normal(size=999)) == pytest.approx(0.5, abs=0.06)
    assert above(9.0, rng.normal(size=999)) == 1 / 1000


@pytest.mark.parametrize(
    ("p", "ends", "verdict"),
    [
        (0.01, [(0.75, 0.99), (-0.3, 0.3)], Verdict.HOLDS),
        (0.01, [(-0.99, -0.75)], Verdict.HOLDS),
        (0.05, [(0.1, 0.8)], Verdict.CONDITIONALLY),
        (0.06, [(-0.2, 0.4)], Verdict.FAILS),
        (0.06, [(-0.2, 0.4), (-0.2, 0.8)], Verdict.TOO_FEW),
        (0.3, [(math.nan, math.nan)], Verdict.TOO_FEW),
        (math.nan, [(-0.2, 0.4)], Verdict.TOO_FEW),
    ],
)
def test_screening_is_not_prediction(p, ends, verdict):
    assert ruling(p, ends) is verdict


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((0.9, 0.75, 0.99), Verdict.HOLDS),
        ((-0.9, -0.99, -0.75), Verdict.HOLDS),
        ((0.5, 0.1, 0.8), Verdict.CONDITIONALLY),
        ((0.1, -0.2, 0.4), Verdict.FAILS),
        ((0.4, -0.2, 0.9), Verdict.TOO_FEW),
        ((0.9, math.nan, math.nan), Verdict.TOO_FEW),
    ],
)
def test_one_correlation_is_judged_by_its_interval(numbers, verdict):
    assert screening(*numbers) is verdict


# ------------------------------------------------------------------ the whole procedure on data with a known answer

TASKS = ("delayed_digits(blank=5)", "tomita(grammar=4)", "copying(delay=5)", "adding(length=30)")


def _run(task, family, initializer, seed, score, diagnosis, steps=math.inf):
    """Return a row of the table of runs."""
    cell = "tanh(size=8)"
    head = {"task": task, "cell": cell, "setting": f"{task}, {cell} #0", "initializer": initializer, "family": family}
    return head | {"seed": seed, "score": score, "steps": steps} | diagnosis


def _rank(runs):
    return rankings(pd.DataFrame(runs).reindex(columns=list(COLUMNS)))


def _world(seed, *, effect=0.0, members=3):
    """Return rankings in which families share what no diagnostic explains, and ``median`` explains what is planted."""
    rng = np.random.default_rng([seed, 17])
    names, runs = list(DIAGNOSTICS), []
    planted = names.index("median")
    families = [(f, rng.normal(size=len(names)), rng.normal()) for f in FAMILIES]
    initializers = [
        (f, f"{f}{k}", x + rng.normal(size=len(names)), y + rng.normal())
        for f, x, y in families
        # One family is a single initializer, as some are.
        for k in range(members if f != "sparse" else 1)
    ]
    for task in TASKS:
        for family, name, x, y in initializers:
            here = x + 0.5 * rng.normal(size=len(names))
            result = y + 0.5 * rng.normal() + effect * here[planted]
            for number in range(2):
                diagnosis = dict(zip(names, (here + 0.2 * rng.normal(size=len(names))).tolist(), strict=True))
                score = _between(task, 0.5 + 0.05 * (result + 0.5 * rng.normal()))
                diagnosis |= {"log_ratio": 5 * diagnosis["kept"]}
                runs.append(_run(task, family, name, number, score, diagnosis))
    return _rank(runs)


def _between(task, share):
    """Return a score, higher is better, that share of the way from the baseline to the threshold."""
    parsed = Task.parse(task)
    return (1 if parsed.higher_is_better else -1) * (parsed.baseline + share * (parsed.threshold - parsed.baseline))


def test_chance_is_not_found_more_often_than_it_is_allowed_to(monkeypatch):
    for function, name in ((orders, "shuffles"), (multiplicities, "resamples")):
        monkeypatch.setitem(function.__kwdefaults__, name, 99)
    found = []
    for seed in range(24):
        world = _world(seed)
        screened = screen(world, "score", seed=seed)
        _, _, p = screened.means()
        found.append(
            (
                np.nanmin(p),
                screened.chosen()[3],
                newcomers(screened).p,
                np.nanmin([row["p"] for row in finding_rows(world, seed=seed)]),
            )
        )
    # Binomial(24, 0.05) is above 5 with probability 0.2 %.
    assert ((np.array(found) <= 0.05).sum(0) <= 5).all()


def test_what_is_planted_is_found():
    world = _world(1, effect=3.0)
    screened = screen(world, "score")
    means, bounds, p = screened.means()
    k = list(DIAGNOSTICS).index("median")
    assert p.argmin() == k
    assert p[k] < 0.01
    assert bounds[k, 0] > 0
    assert means[k] == pytest.approx(
        np.mean([stats.spearmanr(ranking.points["median"], ranking.points["score"]).statistic for ranking in world])
    )
    names, worth, ends, chosen_p, luck = screened.chosen()
    assert names == ["median"] * 4
    assert chosen_p < 0.01
    # The same initializers in every task: what is best by chance is so again.
    assert 0 < luck < worth.mean()
    assert ends[0] < worth.mean() < ends[1]
    assert ruling(chosen_p, [ends]) in {Verdict.HOLDS, Verdict.CONDITIONALLY}
    new = newcomers(screened)
    assert new.p < 0.01
    assert (new.values > 0.4).all()
    # The results go together across tasks, so that experience tells something, too.
    assert (new.memory > 0.6).all()


def test_a_diagnostic_that_turns_round_is_worth_less_than_nothing_out_of_sample():
    runs = [
        run
        for task, sign in zip(TASKS, (1, 1, 1, -1), strict=True)
        for k, f in enumerate(FAMILIES)
        for run in _runs(task, f, float(k), _between(task, 0.5 + 0.05 * sign * k))
    ]
    screened = screen(_rank(runs), "score")
    values, _ = screened.transferred()
    assert values[:, list(DIAGNOSTICS).index("dimension")] == pytest.approx([1.0, 1.0, 1.0, -1.0])
    assert newcomers(screened).values[3] == pytest.approx(-1.0)


def test_newcomers_are_predicted_as_by_a_fit_without_them():
    world = _world(5, effect=1.0)
    (first, *others) = world
    predicted = np.empty(len(first.points))

    def standard(ranking, columns):
        ranks = stats.rankdata(ranking.points[columns].to_numpy(), axis=0)
        return (ranks - ranks.mean(0)) / ranks.std(0)

    def diagnoses(ranking):
        return standard(ranking, list(DIAGNOSTICS))

    for i, family in enumerate(first.families):
        members = [np.array([f != family for f in s.families]) for s in others]
        x = np.concatenate([diagnoses(s)[k] for s, k in zip(others, members, strict=True)])
        y = np.concatenate([standard(s, ["score"])[k, 0] for s, k in zip(others, members, strict=True)])
        penalty = math.sqrt(RIDGE * x.shape[1]) * np.eye(x.shape[1])
        weights, *_ = np.linalg.lstsq(np.concatenate([x, penalty]), np.concatenate([y, np.zeros(len(penalty))]))
        predicted[i] = diagnoses(first)[i] @ weights
    expected = stats.spearmanr(predicted, first.points["score"]).statistic
    assert newcomers(screen(world, "score")).values[0] == pytest.approx(expected, abs=ROUNDING)


def test_seeds_are_told_apart_where_the_diagnosis_does_and_only_there():
    rng = np.random.default_rng(0)

    def pooled(effect):
        runs = []
        for task in TASKS:
            for f in FAMILIES:
                for number in range(5):
                    value = rng.normal()
                    diagnosis = {name: rng.normal() for name in DIAGNOSTICS} | {"leading": value}
                    runs.append(_run(task, f, f, number, effect * value + rng.normal(), diagnosis))
        return within(_rank(runs))

    k = list(DIAGNOSTICS).index("leading")
    related, nothing = pooled(2.0), pooled(0.0)
    assert related.runs == 4 * len(FAMILIES) * 5
    assert related.p[k] < 0.01
    assert related.values[k] > 0.6
    assert (nothing.p > 0.01).all()
    assert np.abs(nothing.values).max() < 0.35


# ------------------------------------------------------------------ rankings


def _runs(task, family, value, score, steps=100.0, *, seeds=2, **more):
    """Return equal runs of a family of one initializer."""
    diagnosis = dict.fromkeys(DIAGNOSTICS, 0.0) | {"dimension": value, "log_ratio": 0.0} | more
    return [_run(task, family, family, number, score, diagnosis, steps) for number in range(seeds)]


def _digits(score, families=FAMILIES, **options):
    """Return the runs of families on digits, ``score`` and other functions of their number."""
    return [
        run
        for k, f in enumerate(families)
        for run in _runs("digits", f, float(k), score(k), **{name: value(k) for name, value in options.items()})
    ]


def test_what_everyone_solves_or_nobody_begins_is_left_out_of_the_score_only():
    solved = _rank(_digits(lambda k: 0.95 + 0.001 * k, steps=float))
    begun = _rank(_digits(lambda k: 0.1 + 0.02 * k, steps=float))
    lost = _rank(_digits(lambda k: 0.1 + 0.009 * k, steps=float))
    assert [len(screen(ranked, "score").rankings) for ranked in (solved, begun, lost)] == [0, 1, 0]
    assert [len(screen(ranked, "speed").rankings) for ranked in (solved, begun, lost)] == [1, 1, 1]
    assert not _rank(_digits(lambda k: 0.1 * k, FAMILIES[:7]))


def test_a_kind_of_task_is_left_out_with_all_its_parameters():
    tasks = ("digits", *TASKS, "tomita(grammar=3)")
    ranked = _rank([run for task in tasks for f in FAMILIES for run in _runs(task, f, 0.0, 0.0)])
    assert [ranking.kind for ranking in ranked] == ["digits", "digits", "tomita", "copying", "adding", "tomita"]


def test_seeds_that_agree_leave_no_room_for_luck():
    (ranking,) = _rank(_digits(lambda k: 0.1 * k))
    assert ranking.agreement() == (pytest.approx(1.0), 2)
    (ranking,) = _rank(_digits(lambda k: 0.1 * k, seeds=lambda _: 1))
    assert math.isnan(ranking.agreement()[0])


def test_a_diagnostic_that_some_initializers_lack_is_ranked_among_the_others():
    runs = _digits(lambda k: 0.5 + 0.01 * k, dimension=lambda k: math.nan if k == 2 else float(k))
    screened = screen(_rank(runs), "score")
    k = list(DIAGNOSTICS).index("dimension")
    assert screened.values[0, k] == pytest.approx(1.0)
    assert not np.isnan(screened.shuffled[:, 0, k]).any()


def test_a_point_has_the_diagnosis_that_all_of_its_runs_have():
    runs = _digits(lambda k: 0.1 * k)
    runs[0]["dimension"] = math.nan
    runs[3]["dimension"] = 2.0
    (ranking,) = _rank(runs)
    dimension = ranking.points["dimension"]
    assert math.isnan(dimension.iloc[0])
    assert dimension.iloc[1:3].tolist() == [1.5, 2.0]


def test_findings_compare_the_places_of_runs():
    half = len(FAMILIES) // 2
    runs = _digits(
        lambda k: 0.1 + 0.05 * k,
        dimension=lambda k: 1.0 if k < half else 5.0,
        log_ratio=lambda k: -20.0 if k < half else 0.0,
    )
    rows = {row["finding"]: row for row in finding_rows(_rank(runs))}
    for code in ("UC201", "UC205"):
        assert rows[code]["alarmed"] == 8
        # Places of eight pairs of equal runs: 1/16, 3/16, ... 15/16.
        assert rows[code]["place if alarmed"] == pytest.approx(4 / 16)
        assert rows[code]["place if not"] == pytest.approx(12 / 16)
        # Accuracies 0.10 and 0.15 of 0.10, ..., 0.45 are less than a tenth of the way from 0.1 to 0.9.
        assert (rows[code]["stuck if alarmed"], rows[code]["stuck if not"]) == (0.5, 0.0)
        assert rows[code]["high"] < 0
        # One of the 70 ways to choose four of eight is as low, another as high.
        assert rows[code]["p"] == pytest.approx(2 / 70, abs=0.015)
    assert rows["UC202"]["alarmed"] == 0
    assert math.isnan(rows["UC202"]["difference"])


def test_findings_are_compared_within_settings():
    # Where all but one have the finding, and in a task that nobody learns, it is not the finding that tells.
    runs = [run for k, f in enumerate(FAMILIES) for run in _runs("digits", f, 1.0 if k else 5.0, 0.1 + 0.001 * k)]
    runs += [run for k, f in enumerate(FAMILIES) for run in _runs("tomita", f, 5.0 if k else 1.0, 0.6 + 0.01 * k)]
    (row,) = [row for row in finding_rows(_rank(runs)) if row["finding"] == "UC205"]
    assert row["alarmed"] == 16
    # Weights are equal. In one setting the alarmed have places 3/16, ..., 15/16 against 1/16, in the other reversed.
    assert row["place if alarmed"] == pytest.approx((9 / 16 + 1 / 16) / 2)
    assert row["difference"] == pytest.approx(0.0)
    # In digits all are stuck, in tomita none.
    assert (row["stuck if alarmed"], row["stuck if not"]) == (0.5, 0.5)


# ------------------------------------------------------------------ records


def _record(task="digits", init="orthogonal", *, seed=0, score=0.5, status=Status.FINISHED, **changes):
    run = Run(task, "tanh(size=8)", init, seed=seed, steps=10, **changes)
    measured = {"step": 0, "hidden.effective_dimension": 2.0 + seed, "departure[h]": 0.25, "gradient.log_ratio": 3.0}
    summary = {"test_score": score, "steps_to_threshold": math.inf}
    curves = {"step": [0.0], "radius[h]": [0.9], "norm[h]": [1.1]}
    return Record(run, status, summary=summary, curves=curves, diagnostics=(measured,))


def _points(records):
    """Return the points of all settings, however few they have, by setting and initializer."""
    settings = table(records).groupby("setting")
    return {(name, index): row for name, runs in settings for index, row in Ranking("", runs).points.iterrows()}


def test_points_gather_the_seeds_of_one_initializer():
    given = [_record(seed=s, score=0.2 + 0.1 * s) for s in range(3)] + [_record(seed=0, score=0.9, init="identity")]
    given += [_record(seed=1000), _record(seed=1, init="identity", status=Status.FAILED)]
    assert table(given)["initializer"].value_counts().to_dict() == {
        "orthogonal(gain=1.0)": 3,
        "identity(scale=1.0)": 1,
    }
    (point,) = [point for (_, name), point in _points(given).items() if name == "orthogonal(gain=1.0)"]
    assert (point["score"], point["speed"]) == (pytest.approx(0.3), -math.inf)
    assert point["dimension"] == pytest.approx(3.0)
    assert tuple(point[["radius", "norm", "departure", "kept"]]) == (0.9, 1.1, 0.25, -3.0)
    assert math.isnan(point["median"])
    assert point["family"] == "orthogonal"


def test_the_best_learning_rate_stands_for_an_initializer():
    given = [_record(score=0.2, learning_rate=1e-3), _record(score=0.7, learning_rate=3e-3)]
    (point,) = _points(given).values()
    assert point["score"] == 0.7


def test_a_bias_is_a_part_of_the_initializer_and_the_input_scale_of_the_setting():
    given = [_record(), _record(bias="constant(value=1.0)"), _record(input_scale=3.0)]
    points = _points(given)
    families = sorted(point["family"] for point in points.values())
    assert families == ["orthogonal", "orthogonal", "orthogonal + constant"]
    assert len({setting for setting, _ in points}) == 2


def test_a_lower_score_is_better_where_the_task_says_so_and_divergence_is_worth_the_baseline():
    given = [_record("adding(length=5)", score=0.02), _record("adding(length=5)", seed=1, status=Status.DIVERGED)]
    assert sorted(table(given)["score"]) == pytest.approx([-1 / 6, -0.02])


def test_a_score_behind_the_baseline_is_the_baseline():
    runs = table([_record("adding(length=5)", score=5.0), _record("adding(length=5)", seed=1, score=0.1)])
    assert runs["score"].tolist() == pytest.approx([-1 / 6, -0.1])
    assert runs["seed"].tolist() == [0, 1]


def test_initializers_of_one_law_are_one_family():
    inits = ("xavier_normal(gain=0.5)", "kaiming_uniform", "gaussian(std=0.1)", "torch_default", "zeros", "constant")
    runs = table(_record(init=init) for init in inits)
    families = dict(zip(runs["initializer"].str.partition("(")[0], runs["family"], strict=True))
    assert set(families.values()) == {"independent entries", "constant"}
    assert families["zeros"] == "constant"


def test_every_study_below_the_folders_is_read_once(tmp_path):
    store = Store(tmp_path / "studies" / "one")
    store.write(_record())
    Store(tmp_path / "elsewhere").write(_record())
    Store(tmp_path / "elsewhere").write(_record(seed=1))
    assert len(list(records([tmp_path]))) == 2
    assert len(list(records([tmp_path / "studies", tmp_path / "elsewhere"]))) == 2


INITS = (
    "orthogonal",
    "identity",
    "xavier_normal",
    "eigen",
    "chain",
    "block_rotation",
    "low_rank",
    "antisymmetric",
    "sparse(density=0.2)",
    "eigen(modulus=1.1)",
)


def _claims(folder, **changes):
    return {c.name: c for c in chapter.claims(Context(folder, records=(folder,), **changes))}


def _store(folder, explained):
    rng = np.random.default_rng(0)
    store = Store(folder / "studies" / "all")
    for task in ("adding", "delayed_digits", "tomita"):
        sign = -0.1 if task == "adding" else 1
        for k, init in enumerate(INITS):
            for seed in range(3):
                score = sign * (0.5 + 0.02 * k + 0.004 * rng.random()) + (sign < 0) * 0.16
                record = _record(task, init, seed=seed, score=score)
                value = k + 0.1 * rng.random() if explained else rng.random()
                store.write(
                    replace(record, diagnostics=(dict(record.diagnostics[0]) | {"hidden.effective_dimension": value},))
                )


def test_the_chapter_reads_its_records_and_draws(tmp_path):
    _store(tmp_path, explained=True)
    found = _claims(tmp_path)
    assert list(found) == ["score", "steps", "transfer", "families", "seeds", "findings"]
    # The diagnostic was made to rank the results; no seed ever reached the threshold.
    assert found["score"].verdict is Verdict.HOLDS
    assert found["transfer"].verdict is Verdict.HOLDS
    assert found["families"].verdict in {Verdict.HOLDS, Verdict.CONDITIONALLY}
    assert found["steps"].verdict is Verdict.TOO_FEW
    assert found["seeds"].verdict in {Verdict.FAILS, Verdict.TOO_FEW}
    for claim in found.values():
        assert bool(claim.condition) >= (claim.verdict in {Verdict.CONDITIONALLY, Verdict.TOO_FEW})
        for draw in claim.figures.values():
            assert draw().axes


def test_a_diagnosis_that_says_nothing_is_not_said_to(tmp_path):
    _store(tmp_path, explained=False)
    found = _claims(tmp_path)
    for name in ("score", "transfer", "families", "seeds"):
        assert found[name].verdict in {Verdict.FAILS, Verdict.TOO_FEW}


@pytest.mark.parametrize("full", [False, True])
def test_without_records_the_shipped_study_is_run(tmp_path, monkeypatch, full):
    asked = []
    monkeypatch.setattr(Context, "study", lambda _, study: asked.append(study))
    found = list(chapter.claims(Context(tmp_path, full=full, seed=2)))
    (study,) = asked
    shipped = Study.load("prediction")
    assert study.first_seed == 20
    assert study.initializers == shipped.initializers
    if full:
        assert (study.experiments, study.seeds) == (shipped.experiments, shipped.seeds)
    else:
        assert len({e.task.partition("(")[0] for e in study.experiments}) == 4
        assert study.seeds == 1
    assert {claim.verdict for claim in found} == {Verdict.TOO_FEW}


def test_the_shipped_study_compares_enough_of_enough_kinds():
    study = Study.load("prediction")
    (ranking,) = rankings(table(_record(init=init) for init in study.initializers.values()))
    assert len(ranking.points) == len(study.initializers) == 32
    assert len(set(ranking.families)) == 11
    assert len({Task.parse(e.task).name for e in study.experiments}) == 5
    # Those of a reproduction begin with 0.
    assert study.first_seed > 0


# ------------------------------------------------------------------ the second look

PILOT = {
    "eigen": {0.8, 0.95, 1.0, 1.1, 1.2},
    "orthogonal": {0.8, 0.95, 1.0, 1.1, 1.2},
    "identity": {0.8, 0.95, 1.0, 1.1},
}
"""Moduli and gains of the pilot, whose angles were uniform, .1, π/4 and π/2."""


def test_the_second_look_has_laws_that_none_had_seen_two_of_a_family():
    study = second.study()
    seen = {str(Initializer.parse(law)) for law in Study.load("prediction").initializers.values()}
    assert not seen & {str(Initializer.parse(law)) for law in study.initializers.values()}
    for law in study.initializers.values():
        found = re.fullmatch(r"(\w+)\((?:modulus|gain|scale)=([\d.-]+)(.*)\)", law)
        if found and found[1] in PILOT and "haar" not in found[3]:
            assert float(found[2]) not in PILOT[found[1]]
    ranked = table(_record(init=law) for law in study.initializers.values())
    assert set(ranked["family"].value_counts()) == {2}
    assert ranked["family"].nunique() == 10
    assert {e.cells for e in study.experiments} == {("tanh",)}
    assert len({Task.parse(e.task).name for e in study.experiments}) == 5


def test_a_named_diagnostic_is_judged_with_its_sign():
    def verdict(sign):
        runs = [
            run
            for task in TASKS
            for k, f in enumerate(FAMILIES)
            for run in _runs(task, f, float(sign * k), _between(task, 0.5 + 0.05 * k))
        ]
        return second.named(screen(_rank(runs), "score")).verdict

    assert verdict(1) is Verdict.HOLDS
    assert verdict(-1) is Verdict.FAILS


def test_cells_are_judged_by_themselves_where_there_are_several():
    runs = [
        _run(
            task,
            f,
            f,
            number,
            _between(task, 0.5 + 0.05 * sign * k),
            dict.fromkeys(DIAGNOSTICS, 0.0) | {"dimension": k},
        )
        | {"cell": f"{cell}(size=8)", "setting": f"{task}, {cell} #0"}
        for cell, signs in (("tanh", (1, 1, 1, 1)), ("gru", (1, -1, 1, -1)))
        for task, sign in zip(TASKS, signs, strict=True)
        for k, f in enumerate(FAMILIES)
        for number in range(2)
    ]
    ranked = _rank(runs)
    found = {claim.name: claim.verdict for claim in chapter.split(ranked, 0)}
    assert found["transfer-tanh"] is Verdict.HOLDS
    assert found["transfer-gru"] is not Verdict.HOLDS
    assert not list(chapter.split(ranked[:4], 0))
