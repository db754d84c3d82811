"""The reproduction of Rapp's notes: its numbers against the notes' 60-digit values, and how it judges."""

from dataclasses import replace

import numpy as np
import pytest

from unitcircle.report import style
from unitcircle_reproduction import Context, Verdict
from unitcircle_reproduction.radius import TEXT
from unitcircle_reproduction.radius import _text as radius


def digits(text, factor=1):
    """Return the number that is printed so, to half a unit of its last digit; both times a factor."""
    return pytest.approx(float(text) * factor, abs=0.5 * 10.0 ** -len(text.partition(".")[2]) * factor)


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    # The sizes above 200 cost seconds and are the ensembles' own tests.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "pick", lambda _, quick, __: quick[:7] if isinstance(quick, tuple) else quick)
        context = Context(tmp_path_factory.mktemp("radius"), workers=1)
        return {claim.name: claim for claim in TEXT.claims(context)}


def test_every_claim_is_there_with_its_verdict(claims):
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "histogram": Verdict.HOLDS,
        "poisson": Verdict.FAILS,
        "slope": Verdict.CONDITIONALLY,
        "naming": Verdict.FAILS,
        "size": Verdict.HOLDS,
        "normalization": Verdict.CONDITIONALLY,
    }


def test_the_exact_numbers_are_those_of_60_digit_arithmetic(claims):
    assert claims["slope"].data["exact_slope"] == digits("3.363222")
    assert claims["histogram"].data["exact_mean"] == digits("3.363222", 2)
    by_size = {row["n"]: row for row in claims["normalization"].table}
    assert by_size[2]["E[ρ]/√n"] == digits("0.93225")
    assert by_size[20]["E[ρ]/√n"] == digits("1.06798")
    assert by_size[100]["E[ρ]/√n"] == digits("1.05069")
    # P(ρ > √n) = 1 − F(√n)
    assert 1 - by_size[10]["P(> 1)"] == digits("0.3799809407")
    assert claims["normalization"].data["worst_n"] == 20


def test_what_is_sampled_agrees_with_what_is_exact(claims):
    # Fixed seeds. Half widths are 1.96 standard errors, so 2.6 of them are 5: one false alarm in two million.
    data = claims["slope"].data
    assert abs(data["slope"] - data["exact_slope"]) < 2.6 * data["half_width"]
    for row in claims["size"].table:
        if np.isfinite(row["sampled"]):
            assert abs(row["sampled"] - row["E[ρ]/std, exact"]) < 2.6 * row["± (95 %)"]
    # Standard deviation and mean have six printed digits.
    printed = 2 * 5e-7 / 0.518126 + 5e-7 / 3.363222
    assert claims["poisson"].data["dispersion"] == pytest.approx(2 * 0.518126**2 / 3.363222, rel=printed)


def test_poisson_is_far_and_the_exact_law_is_near(claims):
    distance = {row["law"]: row["distance"] for row in claims["poisson"].table}
    assert distance["poisson"] > 0.3
    assert distance["exact"] < 0.0163  # critical at 1 % for 10,000 draws


def test_about():
    assert radius.about(3.1, 3.0) is Verdict.HOLDS
    assert radius.about(3.3632, 3.0) is Verdict.CONDITIONALLY
    assert radius.about(3.6, 3.0) is Verdict.FAILS


def test_normalization_is_judged_by_every_size():
    good = radius.Normalized(n=10_000, low=1.0, mean=1.01, high=1.02, near=1.0, above=1.0, sampled=(np.nan, np.nan))
    spread = replace(good, near=0.3)
    assert radius.normalization_verdict([good]) is Verdict.HOLDS
    assert radius.normalization_verdict([good, spread]) is Verdict.CONDITIONALLY
    assert radius.normalization_verdict([spread, replace(spread, mean=0.5)]) is Verdict.FAILS


def test_every_figure_draws_with_labels(claims):
    with style():
        for claim in claims.values():
            assert claim.figures
            for draw in claim.figures.values():
                assert all(ax.get_xlabel() for ax in draw().axes)
