"""The methods that the text on orthogonal initialization points to: statements, verdicts, tiny runs of each."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from unitcircle.experiments.comparison import Standing, compare
from unitcircle.experiments.studies import Experiment
from unitcircle.experiments.tasks import CharacterLanguageModel
from unitcircle.experiments.training import Run
from unitcircle_reproduction import Context, Verdict
from unitcircle_reproduction._contenders import Contender, claim_on, contenders, judge_groups
from unitcircle_reproduction._context import FURTHER
from unitcircle_reproduction._judgement import Evidence, follows, number, significant
from unitcircle_reproduction._statement import Statement
from unitcircle_reproduction.eigen import _bracketed as bracketed
from unitcircle_reproduction.orthogonal import _clipping as clipping
from unitcircle_reproduction.orthogonal import _depth as depth
from unitcircle_reproduction.orthogonal import _gating as gating
from unitcircle_reproduction.orthogonal import _memory as memory
from unitcircle_reproduction.orthogonal import _stabilizer as stabilizer

EPS32 = float(np.finfo(np.float32).eps)
TINY = {"steps": 4, "evaluate_every": 2, "batch_size": 4, "measure_at": ()}


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ((1, 1), Verdict.HOLDS),
        ((1, 0), Verdict.CONDITIONALLY),
        ((1, -1), Verdict.CONDITIONALLY),
        ((0, -1), Verdict.FAILS),
        ((0, 0), Verdict.TOO_FEW),
        ((), Verdict.TOO_FEW),
    ],
)
def test_what_follows_from_comparisons(signs, expected):
    found, condition = follows([Evidence(str(k), sign) for k, sign in enumerate(signs)])
    assert found is expected
    assert bool(condition) is (expected is not Verdict.HOLDS)


def test_a_condition_names_every_comparison():
    found = [Evidence("a", 1), Evidence("b", -1), Evidence("c", 0), Evidence("d", -1)]
    assert follows(found)[1] == "of 4 comparisons, so in 1 (a); the contrary in 2 (b; d); not told apart in 1 (c)"


def test_comparisons_are_corrected_for_their_number():
    # Holm: 0.012 < 0.05 / 4, then 0.016 < 0.05 / 3, then 0.03 > 0.05 / 2 stops.
    assert significant([1, -1, 1, 1], [0.012, 0.016, 0.03, 0.04]) == [1, -1, 0, 0]
    assert significant([1, 1], [math.nan, 0.01]) == [0, 1]


def test_numbers_are_short():
    assert (number(0.123456), number(math.inf), number(1234567.0)) == ("0.123", "∞", "1.23e+06")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """One contender learns a linear map, the other has a rate at which it cannot."""
    context = Context(tmp_path_factory.mktemp("contest"))
    members = (
        Contender("learns", "stack(depth=1)", options={"optimizer": "sgd"}),
        Contender("stays", "stack(depth=1)", options={"optimizer": "sgd", "clip": 1e-9}),
        Contender("Adam", "stack(depth=2)", "orthogonal", {"optimizer": "adam"}),
    )
    options = TINY | {"steps": 30, "evaluate_every": 10, "batch_size": 32}
    experiment = Experiment("deep_linear_map(size=8, answers=2)", sizes=(8,), learning_rates=(0.3,), options=options)
    return context, members, experiment, contenders(context, "made-up", members, experiment)


def test_contenders_of_several_cells_are_paired_by_seed(learned):
    *_, group = learned
    assert [row.label for row in group.rows] == ["learns", "stays", "Adam"]
    assert {row.seeds for row in group.rows} == {tuple(range(8))}
    reference, other = judge_groups({"": group}, "stays", ["learns"])[""].rows
    assert (reference.label, reference.verdict) == ("stays", Standing.REFERENCE)
    mean = np.mean(np.subtract(other.scores, reference.scores))
    assert other.difference == pytest.approx(mean)
    assert other.verdict is Standing.BETTER
    assert other.p == 2 / 2**8


@pytest.mark.parametrize(
    ("reference", "other", "are", "follows"),
    [
        ("stays", "learns", Standing.BETTER, Verdict.HOLDS),
        ("learns", "stays", Standing.WORSE, Verdict.HOLDS),
        ("learns", "stays", Standing.BETTER, Verdict.FAILS),
    ],
)
def test_a_statement_is_judged_by_its_groups(learned, reference, other, are, follows):
    *_, group = learned
    claim = claim_on(Statement("a", "A", "said", reference, (other,), are), {"linear map": group}, "Remark.")
    assert claim.verdict is follows
    assert claim.measured.endswith("Remark.")
    assert [row["contender"] for row in claim.table] == [reference, other]
    (draw,) = claim.figures.values()
    FigureCanvasAgg(draw()).draw()


def test_contenders_that_are_trained_are_not_trained_again(learned, monkeypatch):
    context, members, experiment, group = learned
    monkeypatch.setattr("unitcircle.experiments.training._train._Stack.train", None)
    again = contenders(context, "made-up", members, experiment)
    assert [row.scores for row in again.rows] == [row.scores for row in group.rows]


def test_comparisons_of_several_groups_are_one_family(learned):
    *_, group = learned
    (alone,) = judge_groups({"one": group}, "stays", ["learns"]).values()
    both = judge_groups({"one": group, "two": group}, "stays", ["learns"])
    assert alone.rows[1].p_holm == alone.rows[1].p == 2 / 2**8
    # Holm counts both comparisons, and counts them once.
    assert [held.rows[1].p_holm for held in both.values()] == [2 * 2 / 2**8] * 2


def test_a_full_run_asks_the_study_engine_for_the_real_protocols(tmp_path, monkeypatch):
    asked = []

    def nothing_done_yet(context, study, *, here):
        asked.append(study)
        return compare(study, lambda run: None)

    monkeypatch.setattr(Context, "study", nothing_done_yet)
    context = Context(tmp_path, full=True)
    assert [claim.verdict for claim in clipping.claims(context)] == [Verdict.TOO_FEW] * 2
    asked.clear()
    found = [depth.claim(context), *memory.claims(context)]
    tasks = {(experiment.task, study.seeds) for study in asked for experiment in study.experiments}
    lengths = {(f"copying(delay={k})", 10) for k in (20, 50, 100, 200)}
    lengths |= {(f"adding(length={k})", 10) for k in (50, 100, 200)}
    assert tasks == lengths | {("deep_linear_map", 10)}
    assert len({study.name for study in asked}) == len(asked)
    # Where nothing is known nothing is said to hold.
    assert [claim.verdict for claim in found] == [Verdict.TOO_FEW] * 4


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "zero"),
        (19, "nineteen"),
        (20, "twenty"),
        (42, "forty-two"),
        (100, "one hundred"),
        (999_999, "nine hundred ninety-nine thousand nine hundred ninety-nine"),
    ],
)
def test_numbers_are_spelled(n, words):
    assert stabilizer._in_words(n) == words


def test_the_text_is_the_same_for_one_seed_and_long_enough():
    assert stabilizer.number_words(500, 3) == stabilizer.number_words(500, 3) != stabilizer.number_words(500, 4)
    assert len(stabilizer.number_words(500, 3)) >= 500


def test_runs_read_beyond_their_horizon_and_the_stabilizer_stills_the_norm(tmp_path):
    text = tmp_path / "numbers.txt"
    text.write_text(stabilizer.number_words(20_000, 0))
    task = str(CharacterLanguageModel(str(text), 10))
    runs = [Run(task, "tanh(size=16)", "orthogonal", steps=60, seed=seed, learning_rate=1e-2) for seed in range(2)]
    plain = stabilizer.beyond(runs, longest=100)
    assert plain.bits.shape == plain.norms.shape == (2, 100)
    assert plain.horizon == 10
    assert (plain.bits[:, -50:].mean(1) < np.log2(30)).all()
    strong = [Run(**(run.to_dict() | {"measure_at": (), "norm_stabilizer": 1000.0})) for run in runs]
    assert np.abs(np.diff(stabilizer.beyond(strong, longest=100).norms)).mean() < np.abs(np.diff(plain.norms)).mean()
    alone = stabilizer.beyond(runs[:1], longest=100)
    # Float32 through 60 steps of training and 100 of reading.
    np.testing.assert_allclose(alone.bits[0], plain.bits[0], rtol=60 * 100 * EPS32)


def test_an_overflow_counts_as_guessing(tmp_path):
    text = tmp_path / "numbers.txt"
    text.write_text(stabilizer.number_words(20_000, 0))
    task = CharacterLanguageModel(str(text), 10)
    run = Run(str(task), "relu(size=16)", "orthogonal(gain=4)", steps=1)
    found = stabilizer.beyond([run], longest=400)
    assert found.norms[0, -1] == np.inf
    assert found.drift[0] == np.inf
    assert found.bits[0, -1] == pytest.approx(np.log2(task.outputs), rel=8 * EPS32)


def test_the_stabilizer_is_judged_by_ranks():
    low, high = np.arange(7.0), np.array([10.0, 11, 12, 13, 14, 15, np.inf])
    assert stabilizer._smaller(high, low) == (1, 2 / 2**7)
    assert stabilizer._smaller(low, high) == (-1, 2 / 2**7)
    assert stabilizer._smaller(low, low) == (0, 1.0)


@pytest.mark.parametrize(("seeds", "signs"), [(10, [1, 0, -1, 0]), (7, [0, 0, 0, 0])])
def test_all_comparisons_of_the_stabilizer_are_one_family(seeds, signs):
    """Four of them: with seven pairs even 2/128 is not below 0.05 / 4, with ten pairs 2/1024 is."""
    noise = np.random.default_rng(0).uniform(0, 0.1, seeds)

    def lengths(drift, loss):
        norms = np.exp(np.stack([np.zeros(seeds), drift + noise], 1))
        return stabilizer.Lengths(1, np.stack([np.zeros(seeds), loss + noise], 1), norms)

    found = stabilizer._evidence({"net": [lengths(2.0, 2.0), lengths(1.0, 2.0), lengths(3.0, 2.0)]})
    assert [evidence.sign for evidence in found] == signs
    assert found[2].name == "drift of the net, β = 50"


def _growth(**changed):
    flat = {str(start): 1.0 for start in depth.PROTOCOLS} | {str(start): 5.0 for start in depth.GAUSSIAN.values()}
    return {start: (flat | changed).get(str(start), 1.0) for start in depth.STARTS}


def test_every_protocol_of_the_deep_networks_counts():
    assert follows(depth.evidence_of(_growth()))[0] is Verdict.HOLDS
    first = str(depth.Start("orthogonal", "gaussian", 1.0))
    assert first == "orthogonal inside, gaussian ends, clipped at 1"
    verdict, condition = follows(depth.evidence_of(_growth(**{first: 2.1})))
    assert verdict is Verdict.CONDITIONALLY
    assert f"the contrary in 1 ({first})" in condition
    # Where Gaussian layers are as fast at every depth, nothing is shown by the orthogonal ones.
    flat = {str(start): 1.5 for start in depth.GAUSSIAN.values()}
    assert follows(depth.evidence_of(_growth(**flat)))[0] is Verdict.FAILS
    missing = {str(start): math.nan for start in depth.STARTS}
    assert follows(depth.evidence_of(_growth(**missing)))[0] is Verdict.TOO_FEW


def test_a_stabilizer_whose_network_has_not_learned_is_not_told():
    def lengths(within, drift):
        norms = np.stack([np.ones(8), np.full(8, math.exp(drift))], 1)
        return stabilizer.Lengths(1, np.stack([np.full(8, within), np.full(8, 2.0)], 1), norms)

    for within, sign in ((0.9, 1), (2.2, 0)):
        found = stabilizer._evidence({"net": [lengths(0.9, 3.0), lengths(within, 0.1), lengths(0.9, 0.1)]})
        assert [each.sign for each in found if each.name.startswith("drift")] == [sign, 1]
    assert stabilizer._row("net", 1.0, lengths(2.2, 0.1))["learned"] == "no"


def test_rates_of_contenders_are_extended_while_one_is_at_an_edge(learned, tmp_path):
    _, members, experiment, _ = learned
    grid = replace(experiment, learning_rates=(0.001, 0.003), further_rates=1)
    # An option that is an initializer is no name of a folder.
    member = replace(members[0], options={**members[0].options, "input": "gaussian(std=0.5)"})
    group = contenders(Context(tmp_path), "bracketed", [member], grid)
    (row,) = group.rows
    # The least rates of this grid are far too small, so that the largest is extended, and no more than once.
    assert sorted(row.tuning) == [0.001, 0.003, 0.0099]
    assert row.learning_rate == 0.0099
    assert len(row.seeds) == 8


def test_a_contender_of_which_the_source_says_nothing_stands_beside_the_claim(learned):
    (title, groups), statement = _far_apart(learned)
    claim, more = (claim_on(statement, {title: groups}, "Remark.", beside=beside) for beside in ((), ("c",)))
    assert (more.verdict, more.condition, more.measured) == (claim.verdict, claim.condition, claim.measured)
    assert [row["contender"] for row in more.table] == ["a", "b", "c"]
    assert more.table[:2] == claim.table
    # By itself: not corrected for the comparison of the claim.
    assert more.table[2]["p (Holm)"] == more.table[1]["p (Holm)"] == number(2 / 2**8)


def _far_apart(learned):
    *_, group = learned
    noise = np.random.default_rng(3).normal(0, 1e-4, 8)
    rows = [
        replace(group.rows[0], label=label, scores=tuple(mean + noise * (k + 1)), seeds=tuple(range(8)))
        for k, (label, mean) in enumerate((("a", 0.1), ("b", 0.2), ("c", 0.3)))
    ]
    return ("task", replace(group, rows=tuple(rows))), Statement("s", "S", "said", "a", ("b",), Standing.WORSE)


def test_an_orthogonal_start_is_judged_by_what_it_adds(learned):
    *_, group = learned
    noise = np.random.default_rng(2).normal(0, 1e-4, 10)
    scores = {gating.label(cell, "Xavier", clip): 0.1 + noise for cell in gating.CELLS for clip in gating.CLIPS}

    def claim(gains):
        for (cell, clip), gain in gains.items():
            scores[gating.label(cell, "Haar", clip)] = 0.1 - gain - noise
        rows = [
            replace(group.rows[0], label=name, scores=tuple(values), seeds=tuple(range(10)))
            for name, values in scores.items()
        ]
        return gating.pairing(replace(group, rows=tuple(rows)))

    more = {("tanh", gating.CLIPPED): 0.02, ("tanh", gating.FREE): 0.01}
    more |= {("gru", gating.CLIPPED): 0.04, ("gru", gating.FREE): 0.01, ("lstm", gating.CLIPPED): 0.05}
    assert claim(more).verdict is Verdict.HOLDS
    assert claim(dict.fromkeys(more, 0.02)).verdict is Verdict.CONDITIONALLY
    assert claim(dict.fromkeys(more, -0.02)).verdict is Verdict.FAILS


def test_every_recipe_is_a_contender_with_the_inputs_of_all_and_its_own(tmp_path, monkeypatch):
    found = {}

    def contest(_, __, members, experiment):
        found[members[0].cell] = members
        assert experiment.further_rates == FURTHER
        assert experiment.rank_by == "steps"

    monkeypatch.setattr(bracketed, "contenders", contest)
    monkeypatch.setattr(bracketed, "claim_on", lambda statement, groups, note, **_: (statement, groups, note))
    claims = list(bracketed.claims(Context(tmp_path, full=True)))
    assert list(found) == ["tanh", "gru", "lstm", "relu"]
    assert {m.label: m.options.get("input", "") for m in found["relu"]}[
        bracketed.IRNN + bracketed.OWN
    ] == "gaussian(std=0.001)"
    for statement, groups, _ in claims:
        labels = {member.label for cell in (title.rpartition(" ")[2] for title in groups) for member in found[cell]}
        assert {statement.reference, *statement.others} <= labels
