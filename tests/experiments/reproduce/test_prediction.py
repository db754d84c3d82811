"""Whether a diagnosis predicts training: correlations against scipy, points from records, verdicts from intervals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from unitcircle.experiments.reproduce import Context, Verdict
from unitcircle.experiments.reproduce.prediction import _source as chapter
from unitcircle.experiments.reproduce.prediction._alarms import rows as alarm_rows
from unitcircle.experiments.reproduce.prediction._correlation import (
    interval,
    multiplicities,
    rank_correlation,
    screening,
    weighted_spearman,
)
from unitcircle.experiments.reproduce.prediction._points import DIAGNOSTICS, Point, Seed, points, records
from unitcircle.experiments.reproduce.prediction._screen import screen, settings
from unitcircle.experiments.studies import Store
from unitcircle.experiments.training import Record, Run, Status

FAMILIES = ("eigen", "orthogonal", "xavier_normal", "identity", "chain", "sparse")

# ------------------------------------------------------------------ correlation


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_correlation_is_scipys(seed):
    rng = np.random.default_rng(seed)
    # Rounded, so that there are ties.
    x, y = rng.normal(size=(2, 15)).round(0)
    found = rank_correlation(x, y, [str(k) for k in range(15)])
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("seed", range(5))
def test_weights_repeat_points(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 9)).round(1)
    weights = rng.integers(0, 4, size=(6, 9)).astype(float)
    found = weighted_spearman(x, y, weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        repeated = stats.spearmanr(np.repeat(x, row), np.repeat(y, row)).statistic
        assert value == pytest.approx(repeated, abs=1e-12)


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


def test_the_bootstrap_interval_covers():
    # 40 families, true Spearman of a bivariate normal with r = 0.5: 6/π asin(r/2) = 0.483.
    truth, rng, inside = 6 / math.pi * math.asin(0.25), np.random.default_rng(1), 0
    for k in range(60):
        x = rng.normal(size=40)
        y = 0.5 * x + math.sqrt(0.75) * rng.normal(size=40)
        found = rank_correlation(x, y, [str(j) for j in range(40)], seed=k)
        inside += found.low <= truth <= found.high
    # Binomial(60, 0.93): below 49 with probability below 0.1 %.
    assert inside >= 49


def test_intervals_widen_with_the_number_looked_at():
    draws = np.random.default_rng(0).normal(size=2000)
    one, twelve = interval(draws), interval(draws, among=12)
    assert twelve[0] < one[0] < one[1] < twelve[1]
    assert math.isnan(interval(np.where(np.arange(2000) < 1200, np.nan, draws))[0])


def test_families_are_drawn_as_often_as_there_are_families():
    drawn = multiplicities(["a", "b", "a", "c"], 0, resamples=50)
    assert set(drawn) == {"a", "b", "c"}
    assert (sum(drawn.values()) == 3).all()


# ------------------------------------------------------------------ screening


def _point(task, family, value, score, steps=100.0, **more):
    diagnosis = dict.fromkeys(DIAGNOSTICS, 0.0) | {"dimension": value, "log_ratio": 0.0} | more
    seeds = [Seed(diagnosis, score, steps), Seed(diagnosis, score, steps)]
    return Point(task, "tanh(size=8)", f"{task} #0", family, family, seeds)


def _tasks(sign=(1, 1, 1), names=("digits", "delayed_digits(blank=1)", "delayed_digits(blank=5)")):
    rng = np.random.default_rng(0)
    made = []
    for s, task in zip(sign, names, strict=True):
        for k, family in enumerate(FAMILIES):
            made.append(_point(task, family, float(k), 0.1 * s * k + 0.2, noise=rng.normal()))
    return settings(made)


def test_a_perfect_diagnostic_is_found_in_and_out_of_sample():
    found = screen(_tasks(), "score")
    mean, bounds = found.mean()
    k = list(DIAGNOSTICS).index("dimension")
    assert mean[k] == pytest.approx(1.0)
    assert bounds[k] == pytest.approx([1.0, 1.0])
    assert np.isnan(np.delete(mean, k)).all()
    names, worth, ends = found.chosen()
    assert names == ["dimension"] * 3
    assert worth == pytest.approx([1.0] * 3)
    assert ends == pytest.approx((1.0, 1.0))
    assert found.combined() == pytest.approx([1.0] * 3)


def test_a_diagnostic_that_turns_round_is_worth_less_than_nothing_out_of_sample():
    found = screen(_tasks((1, 1, -1)), "score")
    k = list(DIAGNOSTICS).index("dimension")
    values, _ = found.transferred()
    # The signs of the other tasks: (0, 0, +1); a draw has no sign.
    assert values[:, k] == pytest.approx([0.0, 0.0, -1.0])
    assert found.combined()[2] == pytest.approx(-1.0)


def test_the_family_to_be_predicted_is_not_fitted_on():
    def predicted(score):
        rising = [
            _point(task, f, float(k), float(k))
            for task in ("digits", "delayed_digits(blank=5)")
            for k, f in enumerate(FAMILIES)
        ]
        outlier = [
            _point("digits", "low_rank", 100.0, 100.0),
            _point("delayed_digits(blank=5)", "low_rank", 100.0, score),
        ]
        return screen(settings([*rising, *outlier]), "score").predictions()[0]

    in_line, out_of_line = predicted(100.0), predicted(-100.0)
    # What the other families are told by changes; what the family itself is told by does not, but for its place there.
    assert in_line[-1] > 0
    assert out_of_line[-1] > 0
    assert (np.abs(out_of_line[:3]) < np.abs(in_line[:3]) / 2).all()


def test_settings_that_everyone_solves_are_left_out_of_the_score_only():
    made = [_point("digits", f, float(k), 0.95 + 0.001 * k, steps=float(k)) for k, f in enumerate(FAMILIES)]
    assert not screen(settings(made), "score").settings
    assert len(screen(settings(made), "speed").settings) == 1
    assert not settings(made[:3])


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((0.9, 0.75, 0.99), Verdict.HOLDS),
        ((-0.9, -0.99, -0.75), Verdict.HOLDS),
        ((0.5, 0.1, 0.8), Verdict.CONDITIONALLY),
        ((0.1, -0.2, 0.4), Verdict.FAILS),
        ((0.4, -0.2, 0.9), Verdict.UNDECIDED),
        ((0.9, math.nan, math.nan), Verdict.UNDECIDED),
    ],
)
def test_screening_is_not_prediction(numbers, verdict):
    assert screening(*numbers) is verdict


def test_alarms_compare_the_places_of_runs():
    made = [
        _point("digits", f, 1.0 if k < 3 else 5.0, 0.1 * k, log_ratio=-20.0 if k < 3 else 0.0)
        for k, f in enumerate(FAMILIES)
    ]
    rows = {row["finding"]: row for row in alarm_rows(settings(made))}
    for code in ("UC201", "UC205"):
        assert rows[code]["alarmed"] == 6
        # Places of six pairs of equal runs: 1/12, 3/12, ... 11/12.
        assert rows[code]["place if alarmed"] == pytest.approx(3 / 12)
        assert rows[code]["place if not"] == pytest.approx(9 / 12)
        assert rows[code]["high"] < 0
    assert rows["UC202"]["alarmed"] == 0
    assert math.isnan(rows["UC202"]["difference"])


# ------------------------------------------------------------------ records


def _record(task="digits", init="orthogonal", *, seed=0, score=0.5, status=Status.FINISHED, **changes):
    run = Run(task, "tanh(size=8)", init, seed=seed, steps=10, **changes)
    measured = {"step": 0, "hidden.effective_dimension": 2.0 + seed, "departure[h]": 0.25, "gradient.log_ratio": 3.0}
    summary = {"test_score": score, "steps_to_threshold": math.inf}
    curves = {"step": [0.0], "radius[h]": [0.9], "norm[h]": [1.1]}
    return Record(run, status, summary=summary, curves=curves, diagnostics=(measured,))


def test_points_gather_the_seeds_of_one_initializer():
    given = [_record(seed=s, score=0.1 * s) for s in range(3)] + [_record(seed=0, score=0.9, init="identity")]
    given += [_record(seed=1000), _record(seed=1, init="identity", status=Status.FAILED)]
    found = {point.initializer: point for point in points(given)}
    assert {name: len(point.seeds) for name, point in found.items()} == {
        "orthogonal(gain=1.0)": 3,
        "identity(scale=1.0)": 1,
    }
    own = found["orthogonal(gain=1.0)"]
    assert (own.score, own.speed) == (pytest.approx(0.1), -math.inf)
    assert own.diagnosis("dimension") == pytest.approx(3.0)
    assert (own.diagnosis("radius"), own.diagnosis("norm"), own.diagnosis("departure")) == (0.9, 1.1, 0.25)
    assert own.diagnosis("kept") == -3.0
    assert math.isnan(own.diagnosis("median"))
    assert own.family == "orthogonal"


def test_the_best_learning_rate_stands_for_an_initializer():
    given = [_record(score=0.2, learning_rate=1e-3), _record(score=0.7, learning_rate=3e-3)]
    (point,) = points(given)
    assert point.score == 0.7


def test_a_bias_is_a_part_of_the_initializer_and_the_input_scale_of_the_setting():
    given = [_record(), _record(bias="constant(value=1.0)"), _record(input_scale=3.0)]
    found = points(given)
    assert sorted(point.family for point in found) == ["orthogonal", "orthogonal", "orthogonal + constant"]
    assert len({point.setting for point in found}) == 2


def test_a_lower_score_is_better_where_the_task_says_so_and_divergence_is_worth_the_baseline():
    given = [_record("adding(length=5)", score=0.02), _record("adding(length=5)", seed=1, status=Status.DIVERGED)]
    (point,) = points(given)
    assert sorted(seed.score for seed in point.seeds) == pytest.approx([-1 / 6, -0.02])


def test_every_study_below_the_folder_is_read_once(tmp_path):
    store = Store(tmp_path / "studies" / "one")
    store.write(_record())
    Store(tmp_path / "elsewhere").write(_record())
    Store(tmp_path / "elsewhere").write(_record(seed=1))
    assert len(list(records(tmp_path))) == 2


def test_the_chapter_reads_its_records_and_draws(tmp_path):
    rng = np.random.default_rng(0)
    store = Store(tmp_path / "studies" / "all")
    inits = ("orthogonal", "identity", "xavier_normal", "eigen", "chain", "block_rotation", "eigen(modulus=1.1)")
    for task in ("digits", "delayed_digits", "delayed_digits(blank=5)"):
        for k, init in enumerate(inits):
            for seed in range(4):
                record = _record(task, init, seed=seed, score=0.1 * k + 0.02 * rng.random())
                first = dict(record.diagnostics[0]) | {"hidden.effective_dimension": k + 0.1 * rng.random()}
                store.write(replace(record, diagnostics=(first,)))
    found = {claim.name: claim for claim in chapter.claims(Context(tmp_path))}
    assert list(found) == ["score", "steps", "transfer", "seeds", "findings"]
    # The diagnostic was made to rank the results; no seed ever reached the threshold.
    assert found["score"].verdict is Verdict.HOLDS
    assert found["transfer"].verdict is Verdict.HOLDS
    assert found["steps"].verdict is Verdict.UNDECIDED
    assert found["seeds"].verdict in {Verdict.FAILS, Verdict.UNDECIDED}
    for claim in found.values():
        assert bool(claim.condition) >= (claim.verdict in {Verdict.CONDITIONALLY, Verdict.UNDECIDED})
        for draw in claim.figures.values():
            assert draw().axes


def test_without_records_the_eigen_studies_are_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Context, "study", lambda _, study: asked.append(study.name))
    found = list(chapter.claims(Context(tmp_path)))
    assert len(asked) == 5
    assert {claim.verdict for claim in found} == {Verdict.UNDECIDED}
