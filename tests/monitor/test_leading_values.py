"""Warm-started ρ and σ₁ against LAPACK, along weights that change as training changes them."""

import numpy as np
import pytest

from unitcircle.monitor._leading_values import CHECKS, FIRST, LeadingValues

STEPS = 6
N = 320
EPS = np.finfo(float).eps


def _start(kind, rng):
    W = rng.standard_normal((N, N)) / N**0.5
    if kind == "orthogonal":
        return np.linalg.qr(W)[0]
    if kind == "symmetric":
        return (W + W.T) / 2
    return W


def _path(kind, rng):
    """Random changes, and one direction that grows as training grows it, until it is an outlier."""
    W = _start(kind, rng)
    u, v = rng.standard_normal((2, N)) / N**0.5
    for k in range(STEPS):
        yield (W + 0.4 * k * np.outer(u, v + u)).astype(np.float32)
        W = W + 0.03 * rng.standard_normal((N, N)) / N**0.5


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal", "symmetric"])
@pytest.mark.parametrize("seed", range(3))
def test_radius_and_norm_are_within_one_percent_all_along(kind, seed):
    leading = LeadingValues(np.random.default_rng(seed))
    for W in _path(kind, np.random.default_rng(100 + seed)):
        assert leading.radius(W) == pytest.approx(np.abs(np.linalg.eigvals(W)).max(), rel=0.01)
        assert leading.norm(W) == pytest.approx(np.linalg.norm(W, 2), rel=0.01)


def test_an_outlier_that_comes_from_elsewhere_is_seen():
    # Block diagonal: the space of the first search holds nothing of the second block but the noise of the start.
    rng = np.random.default_rng(0)
    W = np.zeros((N, N), np.float32)
    W[: N // 2, : N // 2] = np.diag(np.linspace(0.1, 1.0, N // 2))
    leading = LeadingValues(rng)
    assert leading.radius(W) == pytest.approx(1.0, rel=0.01)
    W[-1, -1] = 1.5
    assert leading.radius(W) == pytest.approx(1.5, rel=0.01)


def test_a_second_search_takes_fewer_products():
    class Counted(np.ndarray):
        count = 0

        def __matmul__(self, other):
            Counted.count += np.ndim(other) == 1
            return np.asarray(self) @ other

    rng = np.random.default_rng(0)
    u = rng.standard_normal(N) / N**0.5
    W = (rng.standard_normal((N, N)) / N**0.5 + 2 * np.outer(u, u)).astype(np.float32).view(Counted)
    leading = LeadingValues(rng)
    leading.radius(W)
    Counted.count = 0
    leading.radius(W)
    assert 0 < Counted.count <= CHECKS[0] < FIRST


@pytest.mark.parametrize("W", [np.zeros((5, 5)), np.eye(4), np.diag([2.0, 0, 0]), np.eye(6, k=1), [[-3.0]]])
def test_degenerate_weights(W):
    W = np.asarray(W)
    leading = LeadingValues(np.random.default_rng(0))
    for _ in range(3):
        # A nilpotent block of size k answers a rounding error eps with eigenvalues eps^(1/k).
        tolerance = (len(W) * EPS) ** (1 / len(W))
        assert leading.radius(W) == pytest.approx(np.abs(np.linalg.eigvals(W)).max(), abs=tolerance)
        assert leading.norm(W) == pytest.approx(np.linalg.norm(W, 2), rel=16 * len(W) * EPS, abs=EPS)


def test_a_complex_weight():
    rng = np.random.default_rng(0)
    W = (rng.standard_normal((200, 200)) + 1j * rng.standard_normal((200, 200))) / 20
    leading = LeadingValues(rng)
    for _ in range(2):
        assert leading.radius(W) == pytest.approx(np.abs(np.linalg.eigvals(W)).max(), rel=0.01)
        assert leading.norm(W) == pytest.approx(np.linalg.norm(W, 2), rel=0.01)


def test_transient_growth_is_zero_for_a_normal_weight_and_known_for_a_jordan_block():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    assert LeadingValues(rng).transient(1.2 * Q, 1.2, 16) == pytest.approx(0.0, abs=16 * 40 * EPS)
    W = np.array([[0.9, 10.0], [0.0, 0.8]])
    norms = [np.linalg.norm(np.linalg.matrix_power(W, t), 2) for t in range(17)]
    found = LeadingValues(rng).transient(W, 0.9, 16)
    # A lower bound, with the one vector that is best for t = 1.
    assert 0.95 * np.log(max(norms)) <= found <= np.log(max(norms)) + 16 * 2 * EPS  # sixteen products


def test_starts_are_saved_and_loaded():
    W = np.random.default_rng(1).standard_normal((200, 200))
    one = LeadingValues(np.random.default_rng(0))
    one.radius(W)
    one.norm(W)
    other = LeadingValues(np.random.default_rng(5))
    other.load_state_dict(one.state_dict())
    for name, vector in other.state_dict().items():
        assert (vector == one.state_dict()[name]).all()
    # Another number of units begins anew.
    assert other.radius(np.diag([3.0, 1.0])) == pytest.approx(3.0, rel=4 * EPS)
