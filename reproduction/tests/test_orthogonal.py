"""The text on orthogonal initialization: numbers against other ways to them, verdicts against made-up results."""

import io
import math

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from unitcircle.initializers import Orthogonal
from unitcircle_reproduction import Chapter, Claim, Context, Text, Verdict, write_report
from unitcircle_reproduction.orthogonal import _drive as drive
from unitcircle_reproduction.orthogonal import _fibonacci, _powers
from unitcircle_reproduction.orthogonal import _moduli as moduli
from unitcircle_reproduction.orthogonal import _rotation as rotation

EPS = np.finfo(float).eps


def test_all_methods_give_fibonacci_numbers():
    before, now = 0, 1
    for n in range(71):
        assert _fibonacci.by_products(n) == (before, n)
        assert _fibonacci.by_squaring(n)[0] == before
        assert round(_fibonacci.by_eigenvalues(n)[0]) == before
        before, now = now, before + now


def test_squaring_takes_as_many_products_as_the_bits_of_n_say():
    for n in (1, 2, 7, 64, 1000):
        assert _fibonacci.by_squaring(n)[1] == n.bit_length() + n.bit_count()


def test_products_of_floats_are_exact_up_to_2_to_the_53():
    # F_78 < 2^53 < F_79, and the latter is odd.
    assert _fibonacci.first_wrong(lambda n: _fibonacci.by_products(n, float)) == 79


def test_the_second_eigenvalue_contributes_what_the_first_leaves():
    golden = (1 + math.sqrt(5)) / 2
    assert _fibonacci.share_of_smaller(10) == pytest.approx(golden**10 / math.sqrt(5) / 55 - 1, abs=16 * EPS)


def test_the_claims_of_fibonacci_numbers():
    methods, ratio, beginning = _fibonacci.claims()
    assert methods.verdict is Verdict.CONDITIONALLY
    assert methods.condition
    assert methods.data["first_wrong"]["products"] == methods.data["first_wrong"]["squaring"] == 79
    assert ratio.verdict is Verdict.HOLDS
    assert ratio.table[3]["F_n"] == 55
    assert beginning.verdict is Verdict.HOLDS
    assert "i = 8, where it is 611 for 610" in beginning.measured


def test_eigenvalues_of_modulus_1_do_not_keep_a_norm(tmp_path):
    claims = {claim.name: claim for claim in moduli.claims(Context(tmp_path, workers=1))}
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "constant-norm": Verdict.FAILS,
        "real-eigenvalues": Verdict.HOLDS,
        "converse": Verdict.HOLDS,
        "orthogonal-powers": Verdict.HOLDS,
    }
    # ‖J₂(1)ᵗ‖₂ = (t + √(t² + 4))/2
    assert claims["constant-norm"].data["jordan"] == pytest.approx((64 + math.hypot(64, 2)) / 2, abs=64 * 64 * EPS)


def test_powers_that_are_not_those_of_an_orthogonal_matrix_are_seen(monkeypatch):
    monkeypatch.setattr(moduli, "SIZES", (3,))
    almost = Orthogonal(gain=1 + 1e-12)
    monkeypatch.setattr(moduli, "Orthogonal", lambda: almost)
    assert moduli._orthogonal_powers(np.random.default_rng(0), 2).verdict is Verdict.FAILS


def test_norms_alone_give_the_gram_matrix():
    W = np.random.default_rng(0).standard_normal((6, 6))
    assert moduli.gram_by_norms(W) == pytest.approx(W.T @ W, abs=64 * 6 * EPS)


def test_rotations_turn_and_keep_lengths():
    claim = rotation.claim()
    assert claim.verdict is Verdict.HOLDS
    np.testing.assert_allclose(rotation.rotation(np.pi / 2, 2.0), [[0, -2], [2, 0]], atol=4 * EPS)


def test_norms_of_powers_are_at_least_those_of_the_radius():
    logs, radii = _powers.fates(2, 0)
    assert len(logs) == len(radii) == 2 * len(_powers.GAINS)
    # The radius enters 64 times; it is exact to n·eps times the condition of an eigenvalue, which is below 64 here.
    assert (logs >= 64 * (np.log(radii) - 64 * _powers.UNITS * EPS)).all()


def test_the_powers_are_drawn_and_move(tmp_path):
    claim = _powers.claim(Context(tmp_path))
    assert claim.verdict in {Verdict.HOLDS, Verdict.CONDITIONALLY}
    assert [row["ρ"] for row in claim.table[2:]] == pytest.approx([1, 1, 0.95], abs=64 * EPS)
    (moving,) = claim.animations.values()
    image = Image.open(io.BytesIO(moving()))
    assert image.format == "GIF"
    assert image.n_frames == 65


@pytest.mark.parametrize("name", drive.ACTIVATIONS)
def test_norms_over_time_are_those_of_automatic_differentiation(name):
    rng = np.random.default_rng(0)
    n, T = 5, 7
    W, inputs = rng.standard_normal((2, n, n)) / 2, rng.standard_normal((2, T, n))
    biases, start = rng.standard_normal((2, n)), rng.standard_normal((2, n))
    found = drive.unroll(W, name, inputs, biases, start)
    phi = {"linear": lambda z: z, "tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[name]
    for d in range(2):
        weight, drives = torch.from_numpy(W[d]), torch.from_numpy(inputs[d] + biases[d])

        def last(h, steps, weight=weight, drives=drives):
            for x in drives[T - steps :]:
                h = phi(weight @ h + x)
            return h

        states = [torch.from_numpy(start[d])]
        for x in drives:
            states.append(phi(weight @ states[-1] + x))
        norms = [float(h.norm()) / n**0.5 for h in states]
        np.testing.assert_allclose(np.exp(found.state[d]), norms, rtol=64 * n * EPS)
        for lag in range(T + 1):
            J = torch.autograd.functional.jacobian(lambda h, lag=lag: last(h, lag), states[T - lag])
            assert np.exp(found.gradient[d, lag]) == pytest.approx(float(J.norm()) / n**0.5, rel=64 * n * EPS)


def test_a_dead_state_has_the_norm_zero():
    found = drive.unroll(-np.eye(2)[None], "relu", np.zeros((1, 3, 2)), np.zeros((1, 2)), np.ones((1, 2)))
    assert found.state[0, -1] == found.gradient[0, -1] == -np.inf


def test_fates_are_told_by_a_factor():
    assert [drive.fate(math.log(x)) for x in (0.09, 0.11, 9.0, 11.0)] == ["vanishes", "keeps", "keeps", "explodes"]


def test_activations_complicate_the_story_and_a_linear_network_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(drive, "UNITS", 16)
    claim = drive.claim(Context(tmp_path))
    assert claim.data["agree"]["linear"] == claim.data["settings"] == 15
    assert sum(claim.data["agree"].values()) < 60
    assert claim.verdict is Verdict.HOLDS


@pytest.mark.filterwarnings("ignore:.*constrained_layout not applied.*:UserWarning")
def test_every_figure_can_be_drawn_and_the_animation_is_on_the_page(tmp_path):
    def moving():
        return b"GIF89a"

    claims = [*_fibonacci.claims(), rotation.claim()]
    for claim in claims:
        for draw in claim.figures.values():
            figure = draw()
            FigureCanvasAgg(figure).draw()
            assert figure.axes
    still = Claim("a", "A", "s", "m", Verdict.HOLDS, animations={"It moves": moving})
    page = write_report([Chapter(Text("x", "X", "r", {}), [still], 0.0)], tmp_path, names=["text"], full=False, seed=0)
    assert "data:image/gif;base64,R0lGODlh" in page.read_text(encoding="utf-8")
    assert (tmp_path / "figures" / "x-a-1.gif").read_bytes() == b"GIF89a"
