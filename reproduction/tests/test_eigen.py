"""The chapter on the eigen initializer: its forecasts, its measurements, and how verdicts follow from numbers."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from unitcircle.experiments.comparison import Comparison, Group, Interval, Row, Standing
from unitcircle.experiments.studies import Experiment, Study
from unitcircle.experiments.tasks import Mnist, Task
from unitcircle.experiments.training import train
from unitcircle.initializers import BlockRotation, Eigen, Orthogonal
from unitcircle_reproduction import Context, Verdict, _kept_records
from unitcircle_reproduction._correlation import Correlation
from unitcircle_reproduction.eigen import TEXT
from unitcircle_reproduction.eigen import _angles as angles
from unitcircle_reproduction.eigen import _dose as doses
from unitcircle_reproduction.eigen import _driven as driven
from unitcircle_reproduction.eigen import _regimes as regimes
from unitcircle_reproduction.eigen import _rivals as rivals
from unitcircle_reproduction.eigen import _structure as structures
from unitcircle_reproduction.eigen import _studies as studies
from unitcircle_reproduction.eigen import _text as chapter
from unitcircle_reproduction.eigen import _trained as trained
from unitcircle_reproduction.eigen import _trained_figures as figures
from unitcircle_reproduction.eigen._nets import trained_nets
from unitcircle_reproduction.eigen._regimes import ACTIVATIONS, Behaviour

EPS = np.finfo(float).eps
EPS32 = float(np.finfo(np.float32).eps)


# ------------------------------------------------------------------ motion without input


@pytest.mark.parametrize(
    ("W", "activation", "behaviour"),
    [
        ([[0.9, 0.0], [0.0, 0.5]], "linear", Behaviour.DECAYS),
        ([[0.0, -0.9], [0.9, 0.0]], "linear", Behaviour.SPIRALS),
        ([[-0.9, 0.0], [0.0, 0.5]], "tanh", Behaviour.SPIRALS),
        ([[0.0, -1.2], [1.2, 0.0]], "linear", Behaviour.GROWS),
        ([[0.0, -1.2], [1.2, 0.0]], "tanh", Behaviour.OSCILLATES),
        ([[1.5, 0.0], [0.0, 0.5]], "tanh", Behaviour.SETTLES),
        ([[1.5, 0.0], [0.0, 0.5]], "sigmoid", Behaviour.SETTLES),
    ],
)
def test_forecast_and_motion_agree_where_the_answer_is_known(W, activation, behaviour):
    W = np.array(W)
    assert regimes.forecast(W, activation) is behaviour
    states = regimes.trajectory(W, ACTIVATIONS[activation], np.array([0.3, 0.2]))
    assert regimes.observe(states) is behaviour


def test_a_relu_kills_a_rotation_that_the_eigenvalues_call_growing():
    W = np.array([[0.0, -1.2], [1.2, 0.0]])
    assert regimes.forecast(W, "ReLU") is Behaviour.GROWS
    states = regimes.trajectory(W, ACTIVATIONS["ReLU"], np.array([0.3, 0.2]))
    # (x, y) -> 1.2 (max(-y, 0), max(x, 0)): two steps and a positive start is at the origin.
    assert (states[3] == 0).all()
    assert regimes.observe(states) in {Behaviour.DECAYS, Behaviour.SPIRALS}


def test_equal_moduli_are_all_asked():
    # One eigenvalue of this weight is real and positive, and of the same modulus as the others.
    W = np.diag([1.1, 0.0, 0.0]) + np.array([[0, 0, 0], [0, 0, -1.1], [0, 1.1, 0]])
    assert regimes.forecast(W, "tanh") is Behaviour.OSCILLATES


@pytest.mark.parametrize(
    ("right", "verdict"),
    [
        ({"tanh": [True, True], "ReLU": [True]}, Verdict.HOLDS),
        ({"tanh": [True, True], "ReLU": [False]}, Verdict.CONDITIONALLY),
        ({"tanh": [True, False], "ReLU": [False]}, Verdict.FAILS),
    ],
)
def test_the_forecast_is_judged_by_activation(right, verdict):
    found, condition = regimes.judge_forecast(right)
    assert found is verdict
    assert ("ReLU in 0 of 1 cases" in condition) == (verdict is not Verdict.HOLDS)
    assert ("forecast and cases are ours" in condition) == (verdict is not Verdict.HOLDS)


# ------------------------------------------------------------------ driven nets


@pytest.mark.parametrize("modulus", [0.8, 0.95])
def test_at_a_tiny_input_the_exponent_is_the_logarithm_of_the_modulus(modulus):
    W = Orthogonal(gain=modulus).sample(16, rng=0)
    scale = 1e-4
    found = driven.drive(W, scale=scale, steps=200, sequences=3, seed=0)
    # A multiple of an orthogonal weight has all exponents at log m, less what the slope 1 − h² takes. The mean of h²
    # is scale²/(1 − m²) in a linear network; four times that allows for one draw of the input weights.
    square = 4 * scale**2 / (1 - modulus**2)
    assert found.leading == pytest.approx(math.log(modulus), abs=square)
    assert found.gain == pytest.approx(1.0, abs=square)
    assert found.saturation == 0


def test_the_module_is_the_recurrence_that_is_written():
    rng = np.random.default_rng(1)
    W, U, x = rng.standard_normal((5, 5)), rng.standard_normal((5, 3)), rng.standard_normal((4, 1, 3))
    import torch

    net, h = driven.tanh_net(W, U), np.zeros(5)
    for inputs in x:
        h = np.tanh(W @ h + U @ inputs[0])
    out = net(torch.from_numpy(x))[0][-1, 0].detach().numpy()
    assert out == pytest.approx(h, abs=64 * EPS)


def test_structures_of_one_modulus_have_one_spectral_radius():
    n = 64
    for name, init in driven.structured(1.1).items():
        radius = np.abs(np.linalg.eigvals(init.sample(n, rng=3))).max()
        # Normal, or made normal by LAPACK's balancing: exact to n·eps. The chain's eigenvalues are m cos(kπ/(n + 1)).
        expected = 1.1 * (math.cos(math.pi / (n + 1)) if name == "non-normal chain" else 1.0)
        assert radius == pytest.approx(expected, rel=64 * n * EPS), name


# ------------------------------------------------------------------ angles


def test_participation_counts_the_units_of_an_eigenvector():
    # Eigenvectors are as exact as n·eps over the gap of the eigenvalues, 2π/n for the shift.
    n = 32
    # A cyclic shift has Fourier modes: on all units. Blocks of two live on two.
    assert angles.participation(np.roll(np.eye(n), 1, axis=0)) == pytest.approx(n, rel=64 * n * EPS)
    assert angles.participation(BlockRotation().sample(n, rng=0)) == pytest.approx(2.0, rel=64 * n * EPS)


def test_gap_ratios_of_known_laws():
    n = 400
    # The ratio of two independent exponential gaps has mean 2 log 2 − 1; standard error about 0.28 / √200.
    rng = np.random.default_rng(0)
    found = np.mean([angles.gap_ratio(BlockRotation().sample(n, rng=rng)) for _ in range(4)])
    assert found == pytest.approx(2 * math.log(2) - 1, abs=4 * 0.28 / math.sqrt(4 * n / 2))
    assert angles.gap_ratio(np.roll(np.eye(64), 1, axis=0)) == pytest.approx(1.0, rel=64 * 64 * EPS)


def test_uniform_angles_localise_and_haar_angles_do_not():
    local = angles.participation(Eigen(angles="uniform").sample(128, rng=0))
    spread = angles.participation(Eigen(angles="haar").sample(128, rng=0))
    assert local < 8
    assert spread > 40


# ------------------------------------------------------------------ verdicts


def _row(label, verdict=Standing.UNDECIDED, scores=None, steps=None):
    # Not alike: what is not told apart here is open.
    scores = scores or ((0.5, 0.6) if verdict is Standing.REFERENCE else (0.2, 0.95))
    steps = steps or ((10.0, 20.0) if verdict is Standing.REFERENCE else (5.0, 80.0))
    seeds = tuple(range(len(scores)))
    none = Interval(math.nan, math.nan)
    numbers = {"mean": float(np.mean(scores)), "median": 0.0, "worst": min(scores), "deviation": 0.0}
    return Row(
        label, 1e-3, False, seeds, scores, steps, 0, 0, 0, interval=none, solved=0, success=none,
        median_steps=float(np.median(steps)), steps_interval=none, verdict=verdict, **numbers,
    )  # fmt: skip


def _group(*rows, cell="tanh"):
    factors = {"task": "digits", "cell": cell}
    return Group("digits", f"{cell}(size=8)", 1.0, factors, "accuracy", True, 0.1, 0.9, "score", rows)


def _comparison(group):
    labels = tuple(row.label for row in group.rows)
    runs = sum(len(row.seeds) for row in group.rows)
    return Comparison("s", "", labels, studies.EIGEN, 0.95, runs, runs, 0, 0, (group,))


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([Standing.WORSE, Standing.WORSE], Verdict.HOLDS),
        ([Standing.WORSE, Standing.UNDECIDED], Verdict.CONDITIONALLY),
        ([Standing.WORSE, Standing.BETTER], Verdict.CONDITIONALLY),
        ([Standing.UNDECIDED, Standing.UNDECIDED], Verdict.TOO_FEW),
        ([Standing.BETTER, Standing.UNDECIDED], Verdict.FAILS),
    ],
)
def test_outperforming_is_being_better_than_each_rival(verdicts, expected):
    rows = [_row(name, verdict) for name, verdict in zip(("Xavier", "Kaiming"), verdicts, strict=True)]
    # What is no rival of the source's does not count.
    group = _group(_row(studies.EIGEN, Standing.REFERENCE), _row("Haar", Standing.BETTER), *rows)
    assert rivals.outperforms("c", "C", "It outperforms.", _comparison(group)).verdict is expected


def test_the_identity_is_a_rival_as_irnn_only():
    # In a tanh-RNN it is the identity, which the source does not name.
    for label, expected in (("IRNN", Verdict.HOLDS), ("identity", Verdict.TOO_FEW)):
        group = _group(_row(studies.EIGEN, Standing.REFERENCE), _row(label, Standing.WORSE))
        assert rivals.outperforms("c", "C", "It outperforms.", _comparison(group)).verdict is expected


MODULI = {f"eigen {value}": f"eigen(modulus={value}, angles=uniform)" for value in (".8", ".95", "1.1")} | {
    "eigen .95, Haar angles": "eigen(modulus=0.95, angles=haar)",
    "Haar .95": "orthogonal(gain=0.95)",
}
W, B, E = Standing.WORSE, Standing.BETTER, Standing.UNDECIDED
JUDGED = [
    ((W, W), Verdict.HOLDS),
    ((W, E), Verdict.CONDITIONALLY),
    ((W, B), Verdict.CONDITIONALLY),
    ((E, E), Verdict.TOO_FEW),
    ((B, E), Verdict.FAILS),
]


@pytest.mark.parametrize(("verdicts", "expected"), JUDGED)
@pytest.mark.parametrize(
    ("judge", "labels"),
    [
        (partial(structures.modulus, MODULI), ("eigen .8", "eigen 1.1")),
        (structures.structure, ("Haar .95", "blocks .95")),
    ],
)
def test_the_modulus_and_the_chain_are_judged_against_every_other(judge, labels, verdicts, expected):
    # What is no other modulus, or no other structure, does not count.
    rows = [_row(label, verdict) for label, verdict in zip(labels, verdicts, strict=True)]
    claim = judge(_group(_row(studies.EIGEN, Standing.REFERENCE), _row("Xavier", B), *rows))
    assert claim.verdict is expected
    assert bool(claim.condition) == (expected is not Verdict.HOLDS)
    assert [row["contender"] for row in claim.table] == [studies.EIGEN, *labels]


def test_the_wait_is_judged_by_the_row_of_xavier():
    for verdict, expected in ((W, Verdict.HOLDS), (B, Verdict.FAILS), (E, Verdict.TOO_FEW)):
        rows = _row(studies.EIGEN, Standing.REFERENCE), _row("Xavier", verdict), _row("eigen 1.1", B)
        assert structures.long_wait(_group(*rows)).verdict is expected


def test_enough_seeds_for_the_correction_of_a_group(tmp_path):
    study = studies.structure(Context(tmp_path))
    assert 2 / 2**study.seeds * (len(study.labels) - 1) < 0.05


def test_kinds_of_tasks_are_apart_only_where_their_ranges_are():
    def row(kind, radius, share):
        return {"answers": kind, "ρ after": radius, "share of |λ| > 1": share}

    overlap = [row("numbers", 1.2, 0.1), row("numbers", 1.6, 0.3), row("classes", 1.4, 0.2), row("classes", 1.9, 0.2)]
    apart = [row("numbers", 1.2, 0.1), row("numbers", 1.3, 0.3), row("classes", 1.4, 0.2), row("classes", 1.9, 0.2)]
    assert trained.apart(overlap)[0] is Verdict.TOO_FEW
    assert trained.apart(apart)[0] is Verdict.CONDITIONALLY
    assert trained.apart(apart[:2])[0] is Verdict.TOO_FEW


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [((3, 3, 3), Verdict.HOLDS), ((3, 3, 0), Verdict.CONDITIONALLY), ((3, 1, 0), Verdict.FAILS)],
)
def test_the_surface_is_judged_by_tasks(counts, verdict):
    assert trained.on_surface(*counts) is verdict


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((0.9, 0.75, 0.95), Verdict.HOLDS),
        ((0.5, 0.1, 0.8), Verdict.CONDITIONALLY),
        ((-0.9, -0.95, -0.75), Verdict.FAILS),
        ((0.1, -0.3, 0.4), Verdict.FAILS),
        ((0.1, -0.3, 0.9), Verdict.TOO_FEW),
        ((0.9, math.nan, math.nan), Verdict.TOO_FEW),
    ],
)
def test_distance_predicts_where_further_out_is_better(numbers, verdict):
    assert structures.further_out(Correlation(*numbers, 10, 10)) is verdict


def test_a_task_without_its_data_is_said_not_run(tmp_path):
    claim = rivals.unavailable("mnist", "MNIST", "It outperforms.", f"mnist(folder='{tmp_path}')")
    assert claim is not None
    assert claim.verdict is Verdict.TOO_FEW
    assert "Not run" in claim.measured
    assert rivals.unavailable("t", "T", "S", "tomita(grammar=4)") is None


def test_what_is_not_run_here_says_so(tmp_path, monkeypatch):
    for measure in (chapter._pixels, chapter._translation):
        (said,) = measure(Context(tmp_path))
        assert (said.verdict, "needs --full and the data" in said.condition) == (Verdict.TOO_FEW, True)
    monkeypatch.setattr(Task, "parse", lambda _: Mnist(folder=str(tmp_path / "nowhere")))
    made = studies.pixels(Context(tmp_path, full=True))
    said = chapter._with_data(Context(tmp_path, full=True), "pixel-mnist", "T", "the others", made)
    assert (said.verdict, said.condition) == (Verdict.TOO_FEW, "not run: the data are not here")


def test_claims_that_need_data_are_about_the_rivals_they_name(tmp_path, monkeypatch):
    context = Context(tmp_path, full=True)
    for there, device in ((True, "cuda"), (False, None)):
        monkeypatch.setattr(studies.torch.cuda, "is_available", lambda there=there: there)
        for study in [*studies.pixels(context), *studies.translation(context)]:
            assert {"Xavier", "Kaiming"} <= set(study.initializers)
            assert {experiment.options.get("device") for experiment in study.experiments} == {device}
    rectified = next(study for study in studies.pixels(context) if "relu" in study.name)
    assert {"IRNN", "np-RNN"} <= set(rectified.initializers)
    for made in (studies.pixels, studies.translation):
        cells = {cell for study in made(context) for experiment in study.experiments for cell in experiment.cells}
        assert {"tanh", "gru", "lstm"} <= cells


def test_a_claim_over_several_studies_counts_every_row():
    eigen = _row(studies.EIGEN)
    groups = [
        _group(eigen, _row("Xavier", Standing.WORSE)),
        _group(eigen, _row("Xavier", Standing.BETTER), _row("Kaiming", Standing.WORSE), cell="gru"),
    ]
    claim = rivals.outperforms("c", "C", "It outperforms.", *map(_comparison, groups))
    assert claim.verdict is Verdict.CONDITIONALLY
    assert claim.condition.startswith("of 3 comparisons, so in 2 (Xavier, digits, tanh(size=8); Kaiming, digits, gru")
    assert len(claim.table) == sum(len(group.rows) for group in groups)
    assert len(claim.data["comparisons"]) == 2


def test_a_score_that_a_library_counts_is_told_in_its_words_and_cannot_be_solved():
    plain = _group(_row(studies.EIGEN), _row("Xavier", Standing.WORSE))
    group = replace(plain, unit="BLEU", threshold=math.nan, signature="nrefs:1|version:2")
    claim = rivals.outperforms("c", "C", "It outperforms.", _comparison(group), note="Briefly.")
    assert claim.measured.endswith(" BLEU: nrefs:1|version:2. Briefly.")
    assert {(row["solved"], row["steps to it"]) for row in claim.table} == {("", "")}


# ------------------------------------------------------------------ studies


@pytest.mark.parametrize("full", [False, True])
def test_studies_hold_the_rivals_against_the_eigen_initializer(full, tmp_path):
    context = Context(tmp_path, full=full)
    made = [
        f(context) for f in (studies.plain, studies.rectified, studies.gated, studies.structure, studies.regression)
    ]
    assert len({study.name for study in made}) == len(made)
    for study in made:
        assert study.reference == studies.EIGEN
        assert "modulus=0.95" in study.initializers[studies.EIGEN]
        if full:
            assert study.seeds == 10
            assert "eigen(modulus=0.95, angles=haar)" in study.initializers.values()
            assert all(len(experiment.learning_rates) > 1 for experiment in study.experiments)
    grammars = [experiment.task for experiment in made[0].experiments]
    assert grammars[0] == "tomita(grammar=4)"
    assert len(grammars) == (7 if full else 1)
    for study in [*studies.pixels(context), *studies.translation(context)]:
        assert study.reference == studies.EIGEN


def _trained_here(context, study):
    """Do the runs of a study in this process: workers take longer to start than the runs take."""
    for experiment in study.experiments:
        for setting in experiment.settings():
            rate = experiment.learning_rates[0]
            for record in train([run for label in study.labels for run in study.reported_runs(setting, label, rate)]):
                context.store(study).write(record)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Train a study of seconds, and return its context, study and comparison."""
    context = Context(tmp_path_factory.mktemp("tiny"), workers=1)
    inits = {
        studies.EIGEN: "eigen(modulus=0.95)",
        "Xavier": "xavier_normal",
        "Haar": "orthogonal",
        "small": "orthogonal(gain=0.1)",
    }
    options = {"steps": 4, "evaluate_every": 2}
    tasks = [Experiment(task, sizes=(8,), learning_rates=(1e-2,), options=options) for task in TINY]
    study = Study(
        "tiny",
        initializers=inits,
        experiments=tuple(tasks),
        reference=studies.EIGEN,
        seeds=2,
        twin=True,
    )
    _trained_here(context, study)
    return context, study, context.study(study)


TINY = ("tomita(grammar=4)", "adding(length=5)")


def test_spectra_and_states_of_trained_nets_are_read_from_records(tiny):
    context, study, comparison = tiny
    nets = trained_nets(context, [(study, comparison)])
    # Two tasks, four initializers, two seeds; the A/A row is left out.
    assert len(nets) == 2 * 4 * 2
    for net in nets:
        assert net.start.shape == net.end.shape == (8,)
        assert net.classes == net.task.startswith("tomita")
        if net.label == studies.EIGEN:
            # Eight units in float32; a normal weight's eigenvalues are as exact as its entries.
            assert net.start == pytest.approx(0.95, rel=8 * 8 * EPS32)
    claim = trained.spectra(nets)
    row = next(row for row in claim.table if row["start"] == "Haar" and row["answers"] == "numbers")
    assert row["ρ before"] == pytest.approx(1.0, rel=8 * 8 * EPS32)
    assert row["ρ after"] == pytest.approx(
        np.mean([n.end[0] for n in nets if (n.task, n.label) == (row["task"], "Haar")])
    )
    moved = trained.surface(context, nets)
    assert moved.table[0]["change"] == pytest.approx(
        moved.table[0]["distance after"] - moved.table[0]["distance before"]
    )
    for found in (claim, moved):
        for draw in found.figures.values():
            assert draw().axes


def test_claims_of_a_comparison_have_its_rows_and_figures(tiny):
    context, study, comparison = tiny
    claim = rivals.outperforms("c", "T", "S", comparison)
    assert len(claim.table) == 2 * 5
    assert all(draw().axes for draw in claim.figures.values())
    found = structures.discrimination(context, [(study, comparison)])
    assert all(-1 <= row["Spearman"] <= 1 for row in found.table)
    # Four initializers are too few for an interval.
    assert found.verdict is Verdict.TOO_FEW


def test_the_chapter_yields_every_claim_in_order(tiny, monkeypatch):
    context, study, _ = tiny
    structure = replace(
        study,
        name="tiny-structure",
        initializers={**study.initializers, "eigen 1.1": "eigen(modulus=1.1)", "Haar .95": "orthogonal(gain=0.95)"},
        experiments=study.experiments[:1],
    )
    _trained_here(context, structure)
    for name, own in (
        ("plain", study),
        ("rectified", study),
        ("gated", study),
        ("regression", study),
        ("structure", structure),
    ):
        monkeypatch.setattr(studies, name, lambda _, own=own: own)
    small = driven.Driven(0.0, 0.0, 0.0, 1.0, 0.1, 0.0, 2.0)
    monkeypatch.setattr(driven, "drive", lambda *_, **__: small)
    monkeypatch.setattr(trained, "drive", lambda *_, **__: small)
    # The committed records, of the seeds from 80 on: to train them takes a minute.
    committed = partial(_kept_records.arrays_of, _kept_records.committed())
    monkeypatch.setattr(_kept_records, "contest", lambda task, *_: committed(task, doses.LAWS, 80))
    found = list(TEXT.claims(context))
    assert [claim.name for claim in found] == [
        "regimes", "surface", "spectra", "tomita", "rectified", "gated", "wait", "pixel-mnist", "multi30k", "modulus",
        "structure", "dose", "rotations", "memory-length", "beyond-one", "angles", "exponents", "regime",
        "discrimination",
    ]  # fmt: skip
    by_name = {claim.name: claim for claim in found}
    assert by_name["angles"].verdict is Verdict.UNDECIDED
    assert by_name["exponents"].verdict is Verdict.HOLDS
    assert by_name["multi30k"].verdict is Verdict.TOO_FEW
    assert all(claim.condition for claim in found if claim.verdict is Verdict.CONDITIONALLY)


def test_chaos_is_told_as_a_condition(monkeypatch, tmp_path):
    chaotic = driven.Driven(0.2, 0.01, 0.0, 1.0, 0.1, 0.0, 2.0)
    monkeypatch.setattr(driven, "drive", lambda *_, **__: chaotic)
    claim = driven.exponents(Context(tmp_path))
    assert claim.verdict is Verdict.CONDITIONALLY
    assert claim.data["stable_share"] == 0


def test_what_was_not_run_caps_a_quick_verdict(tmp_path):
    for verdict, quick, full in (
        (Standing.WORSE, Verdict.CONDITIONALLY, Verdict.HOLDS),
        (Standing.UNDECIDED, Verdict.TOO_FEW, Verdict.TOO_FEW),
        (Standing.BETTER, Verdict.FAILS, Verdict.FAILS),
    ):
        group = _group(_row(studies.EIGEN, Standing.REFERENCE), _row("Xavier", verdict), cell="gru")
        arguments = ("gated", "T", "It improves LSTM and GRU.", _comparison(group))
        short = chapter._outperforms(Context(tmp_path), *arguments, note="Note.")
        assert short.verdict is quick
        assert "only GRUs" in short.condition
        assert "Note. Not run in the quick reproduction: LSTM" in short.measured
        long = chapter._outperforms(Context(tmp_path, full=True), *arguments, note="Note.")
        assert long.verdict is full
        assert "LSTM" not in long.measured + long.condition


def test_what_a_quick_claim_says_of_itself_is_so(tmp_path):
    made = {"tomita": studies.plain, "rectified": studies.rectified, "gated": studies.gated}
    assert set(chapter.QUICK) == set(made)
    for name, study in made.items():
        run, missing = chapter.QUICK[name]
        quick, full = study(Context(tmp_path)), study(Context(tmp_path, full=True))
        (experiment,) = quick.experiments
        assert experiment.task == "tomita(grammar=4)"
        assert "grammar 4" in run
        assert len(full.experiments) == 7
        assert "the other six grammars" in missing
        assert ("LSTM" in missing) == ("lstm" not in experiment.cells and "lstm" in full.experiments[0].cells)
        for label in ("Xavier", "Kaiming"):
            assert (label in missing) == (label not in quick.initializers and label in full.initializers)


def test_a_start_has_one_look_in_every_panel():
    starts = [f"start {k}" for k in range(9)]
    rows = [
        {
            "task": f"{task}, tanh(size=8)",
            "specification": task,
            "cell": "tanh",
            "start": start,
            "distance": k / 9,
            "result": 1.0,
            "unit": "accuracy",
        }
        for task, shown in (("adding(length=5)", starts), ("digits(n=1)", starts[::-2]))
        for k, start in enumerate(shown)
    ]
    figure = figures.distances(rows)
    first, second = (
        {line.get_xdata()[0]: (line.get_color(), line.get_marker()) for line in ax.lines} for ax in figure.axes
    )
    assert len(set(first.values())) == len(starts)
    for k, start in enumerate(starts[::-2]):
        assert second[k / 9] == first[starts.index(start) / 9]
    for ax in figure.axes:
        low, high = ax.get_xlim()
        assert sum(low <= tick <= high for tick in ax.get_xticks()) <= 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == starts


def test_differences_are_drawn_with_their_intervals():
    numbers = ((_row("eigen .8", Standing.WORSE), -0.1, -0.2, -0.05), (_row("Haar"), 0.02, -0.03, 0.07))
    rows = [replace(row, difference=d, difference_interval=Interval(low, high)) for row, d, low, high in numbers]
    group = _group(_row(studies.EIGEN, Standing.REFERENCE), *rows)
    (ax,) = figures.differences(group, studies.EIGEN).axes
    drawn = [line.get_xdata() for line in ax.lines]
    assert [list(x) for x in drawn] == [[0, 0], [-0.2, -0.05], [-0.1], [-0.03, 0.07], [0.02]]
    assert [text.get_text() for text in ax.texts] == ["worse", "cannot tell"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["eigen .8", "Haar"]
    assert ax.get_xlabel() == "test accuracy minus that of eigen .95"


def test_moduli_and_structures_are_drawn_by_what_they_are():
    labels = ("eigen .8", studies.EIGEN, "eigen 1.1", "Haar .95", "Xavier", "eigen .95, Haar angles")
    moduli = structures.moduli(MODULI)
    assert moduli == {"eigen .8": 0.8, "eigen .95": 0.95, "eigen 1.1": 1.1}
    left, right = figures.structures(_group(*map(_row, labels)), moduli, studies.STRUCTURES).axes
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["0.8", "0.95", "1.1"]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["eigen\n.95", "Haar\n.95", "Xavier"]
