"""The reproduction of the question on powers: labels, instrument, verdicts."""

import numpy as np
import pytest
from tests import cases

from unitcircle.report import style
from unitcircle.spectra import Asymptotics, jordan_chevalley
from unitcircle_reproduction import Context, Verdict
from unitcircle_reproduction.powers import TEXT
from unitcircle_reproduction.powers import _matrices as matrices
from unitcircle_reproduction.powers import _proof as proof
from unitcircle_reproduction.powers import _text as powers

EPS = np.finfo(float).eps


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    context = Context(tmp_path_factory.mktemp("powers"), workers=1)
    return {claim.name: claim for claim in TEXT.claims(context)}


def test_every_claim_is_there_with_its_verdict(claims):
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "vanish": Verdict.HOLDS,
        "bounded": Verdict.HOLDS,
        "converge": Verdict.HOLDS,
        "stretching": Verdict.HOLDS,
        "nilpotent": Verdict.HOLDS,
        "scalar": Verdict.CONDITIONALLY,
        "direction": Verdict.FAILS,
        "parts": Verdict.HOLDS,
        "ranks": Verdict.HOLDS,
    }


@pytest.mark.parametrize("labelled", matrices.LABELLED, ids=lambda labelled: labelled.name)
def test_labels_are_the_eigenvalues_of_their_matrices(labelled):
    values = sorted(abs(np.linalg.eigvals(labelled.matrix)))
    moduli = sorted(abs(value) for value, size in labelled.blocks for _ in range(size))
    # A Jordan block of size k splits by the k-th root of rounding.
    largest = max(size for _, size in labelled.blocks)
    assert values == pytest.approx(moduli, abs=(16 * len(values) * EPS) ** (1 / largest))


@pytest.mark.parametrize(
    "case", [case for case in cases.CASES if case.single and not case.is_complex and case.n <= 32], ids=lambda c: c.name
)
def test_powers_alone_tell_the_asymptotics_of_the_labelled_table(case):
    assert matrices.see(case.matrix).behaviour is case.verdict


def test_the_table_has_every_kind():
    found = {matrices.by_structure(labelled.blocks) for labelled in matrices.LABELLED}
    assert found == set(Asymptotics) - {Asymptotics.UNDECIDED}


def test_a_wrong_label_turns_the_verdict(claims):
    seen = matrices.see(np.eye(2))
    wrong = matrices.Labelled("wrong", np.eye(2), ((0.5, 1), (0.5, 1)))
    right = matrices.Labelled("right", np.eye(2), ((1, 1), (1, 1)))
    several = [(right, seen)] * 3
    judge = powers._proposition
    assert judge("x", "", "", {Asymptotics.VANISHES}, (several, several)).verdict is Verdict.HOLDS
    assert judge("x", "", "", {Asymptotics.VANISHES}, ([(wrong, seen)], several)).verdict is Verdict.FAILS


@pytest.mark.parametrize("labelled", matrices.LABELLED, ids=lambda labelled: labelled.name)
def test_the_rank_condition_says_what_the_jordan_form_says(labelled):
    converges = matrices.by_structure(labelled.blocks) in {Asymptotics.VANISHES, Asymptotics.CONVERGES}
    assert proof.rank_condition(labelled.matrix, jordan_chevalley(labelled.matrix)) == converges


def test_a_defective_eigenvalue_of_1_fails_the_rank_condition_alone():
    defective, projection = matrices.jordan(1, 2), np.diag([1.0, 0.5])
    assert not proof.rank_condition(defective, jordan_chevalley(defective))
    assert proof.rank_condition(projection, jordan_chevalley(projection))


def test_the_binomial_sum_of_a_jordan_block_is_written_down():
    # J₂(λ)ᵗ = [[λᵗ, t λᵗ⁻¹], [0, λᵗ]]
    total, largest = proof.binomial(jordan_chevalley(matrices.jordan(0.5, 2)), 3)
    assert total.tolist() == [[0.125, 0.75], [0.0, 0.125]]
    assert largest == pytest.approx(0.75, abs=8 * EPS)


def test_exponent_of_a_binomial():
    # ‖J₂(1)ᵗ‖₂ = (t + √(t² + 4))/2
    t = 2**10
    expected = np.log2((2 * t + np.hypot(2 * t, 2)) / (t + np.hypot(t, 2)))
    assert powers.exponent(matrices.jordan(1.0, 2), t) == pytest.approx(expected, abs=64 * EPS)


def test_transient_growth_of_the_shear(claims):
    row = next(row for row in claims["scalar"].table if row["matrix"].startswith("shear"))
    A = np.array([[0.9, 10.0], [0.0, 0.8]])
    norms = [np.linalg.norm(np.linalg.matrix_power(A, t), 2) for t in range(100)]
    assert row["sup ‖Aᵗ‖"] == pytest.approx(max(norms), rel=16 * 100 * EPS)
    assert row["at t"] == int(np.argmax(norms))
    assert row["last t with ‖Aᵗ‖ > 1"] == max(t for t in range(100) if norms[t] > 1)
    assert row["Kreiss K"] <= max(norms) <= row["e·n·K"]


def test_every_figure_draws_with_labels(claims):
    with style():
        for claim in claims.values():
            for draw in claim.figures.values():
                assert all(ax.get_xlabel() for ax in draw().axes)
