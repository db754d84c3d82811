"""What is measured of a weight, against its definition."""

import numpy as np
import pytest

import unitcircle as uc
from unitcircle.diagnosis import Place
from unitcircle.monitor import METRICS
from unitcircle.monitor._measurement import BlockMonitor
from unitcircle.monitor._weights import WeightBlock
from unitcircle.spectra import tangent_share

N = 48
ROUNDING = 100 * N * np.finfo(float).eps
"""Of sums over a row or column, times a condition number: eigenvalues of Gaussian weights have some tens."""


def _monitor(groups=METRICS):
    return BlockMonitor(groups, np.random.default_rng(0))


def _block(W, gradient=float("nan")):
    return WeightBlock(Place("W"), W, gradient=gradient)


def _haar(rng):
    return np.linalg.qr(rng.standard_normal((N, N)))[0]


def _rotation(rng, size):
    A = rng.standard_normal((N, N))
    A = size * (A - A.T) / np.linalg.norm(A - A.T)
    return np.linalg.solve(np.eye(N) - A, np.eye(N) + A)  # Cayley: orthogonal, tangent to first order


@pytest.mark.parametrize("exact", [True, False])
def test_every_number_against_its_definition(exact):
    rng = np.random.default_rng(0)
    first, before, now = (rng.standard_normal((N, N)) for _ in range(3))
    monitor = _monitor()
    monitor.measure(_block(first), exact=exact)
    monitor.keep(_block(before))
    found, eigenvalues = monitor.measure(_block(now, gradient=2.5), exact=exact)
    spectrum = uc.spectrum(now)
    assert found["radius"] == pytest.approx(float(spectrum.radius), rel=ROUNDING if exact else 0.01)
    assert found["norm"] == pytest.approx(float(spectrum.norm), rel=ROUNDING if exact else 0.01)
    assert found["orthogonality"] == pytest.approx(np.linalg.norm(now.T @ now - np.eye(N)) / N**0.5, rel=ROUNDING)
    assert found["drift"] == pytest.approx(np.linalg.norm(now - first) / np.linalg.norm(first), rel=ROUNDING)
    # The first weight is not orthogonal, and its polar factor costs about as much as its eigenvalues.
    assert ("tangent" in found) == exact
    assert found["update"] == pytest.approx(np.linalg.norm(now - before) / np.linalg.norm(before), rel=ROUNDING)
    assert found["gradient"] == 2.5
    if exact:
        # Q is W₀ (W₀ᵀW₀)^(-1/2), and the tangent space at Q is {Δ: QᵀΔ skew}: Δ's projection on it is (Δ − Q Δᵀ Q)/2.
        values, V = np.linalg.eigh(first.T @ first)
        Q, moved = first @ V @ np.diag(values**-0.5) @ V.T, now - first
        projected = (moved - Q @ moved.T @ Q) / 2
        # The Gram matrix above squares the condition number.
        polar_error = np.linalg.cond(first) ** 2 * N * np.finfo(float).eps
        assert found["tangent"] == pytest.approx(np.sum(projected**2) / np.sum(moved**2), rel=polar_error)
        assert np.sort_complex(eigenvalues) == pytest.approx(np.sort_complex(np.linalg.eigvals(now)), rel=ROUNDING)
        assert found["departure"] == pytest.approx(float(spectrum.departure_from_normality), rel=ROUNDING)
    else:
        assert eigenvalues is None
        assert "departure" not in found


def test_a_rotation_is_all_tangent_and_keeps_orthogonality():
    rng = np.random.default_rng(1)
    Q, monitor, size = _haar(rng), _monitor(), 1e-3
    monitor.measure(_block(Q), exact=False)
    found, _ = monitor.measure(_block(Q @ _rotation(rng, size)), exact=False)
    # The rotation is I + 2A + 2A² + ...: what is normal is a share ‖A²‖²/‖A‖² of it.
    assert found["tangent"] == pytest.approx(1.0, abs=size**2)
    assert found["orthogonality"] < N * 16 * np.finfo(float).eps
    assert found["drift"] > 1e-4


def test_a_stretch_is_all_normal():
    rng = np.random.default_rng(1)
    Q, monitor = _haar(rng), _monitor()
    monitor.measure(_block(Q), exact=False)
    size = 1e-3
    S = rng.standard_normal((N, N)) * size
    found, _ = monitor.measure(_block(Q @ (np.eye(N) + S + S.T)), exact=False)
    assert found["tangent"] == pytest.approx(0.0, abs=(N * np.finfo(float).eps / size) ** 2)  # a share of squares


@pytest.mark.parametrize("gain", [1.0, 0.7])
def test_an_orthogonal_weight_is_its_own_polar_factor_whatever_its_gain(gain):
    rng = np.random.default_rng(3)
    Q, change = _haar(rng), rng.standard_normal((N, N))
    seldom, exact = _monitor(), _monitor()
    for W in (gain * Q, gain * Q + change):
        found, expected = (monitor.measure(_block(W), exact=k) for monitor, k in ((seldom, False), (exact, True)))
    assert found[0]["tangent"] == pytest.approx(expected[0]["tangent"], rel=ROUNDING)
    assert expected[0]["tangent"] == pytest.approx(float(tangent_share(change, Q)), rel=ROUNDING)


def test_the_polar_factor_is_computed_once_and_saved():
    rng = np.random.default_rng(4)
    first, now = rng.standard_normal((2, N, N))
    monitor = _monitor()
    monitor.measure(_block(first), exact=True)
    share = monitor.measure(_block(now), exact=False)[0]["tangent"]
    assert set(monitor.state_dict()) >= {"reference", "polar"}
    resumed = _monitor()
    resumed.load_state_dict(monitor.state_dict())
    assert resumed.measure(_block(now), exact=False)[0]["tangent"] == share
    orthogonal = _monitor()
    orthogonal.measure(_block(_haar(rng)), exact=True)
    assert "polar" not in orthogonal.state_dict()
    resumed.load_state_dict(orthogonal.state_dict())
    assert "tangent" in resumed.measure(_block(now), exact=False)[0]


@pytest.mark.parametrize("skew", [0.0, 0.5, 2.0])
def test_the_first_order_law_of_deviation_and_drift(skew):
    # ‖WᵀW − I‖_F/√n ≈ 2 √(1 − τ) · drift
    rng = np.random.default_rng(2)
    Q, monitor = _haar(rng), _monitor()
    monitor.measure(_block(Q), exact=False)
    A = rng.standard_normal((N, N))
    change = 1e-5 * ((A + A.T) + skew * (A - A.T))
    found, _ = monitor.measure(_block(Q + Q @ change), exact=False)
    expected = 2 * (1 - found["tangent"]) ** 0.5 * found["drift"]
    # The second order is ΔᵀΔ.
    assert found["orthogonality"] == pytest.approx(expected, rel=np.linalg.norm(change, 2))


def test_a_weight_that_began_as_zero_has_no_relative_movement():
    monitor = _monitor()
    monitor.measure(_block(np.zeros((N, N))), exact=True)
    found, _ = monitor.measure(_block(np.eye(N)), exact=True)
    assert np.isnan(found["drift"])
    assert "tangent" not in found


def test_the_copy_from_before_the_step_is_released():
    W, monitor = np.eye(4), _monitor()
    monitor.keep(_block(W))
    assert "update" in monitor.measure(_block(W), exact=True)[0]
    assert "update" not in monitor.measure(_block(W), exact=True)[0]


def test_a_weight_that_is_not_finite_is_a_result():
    W = np.eye(4)
    W[0, 0] = np.inf
    found, eigenvalues = _monitor().measure(_block(W, gradient=1.0), exact=True)
    assert np.isnan([found["radius"], found["norm"]]).all()
    assert found["gradient"] == 1.0
    assert eigenvalues is None


def test_eigenvalues_come_ever_more_seldom_and_the_numbers_do_not():
    monitor, frames = _monitor({"radius"}), []
    for k in range(70):
        if k == 30:  # a resumed run goes on with the same film
            state = monitor.state_dict()
            monitor = _monitor({"radius"})
            monitor.load_state_dict(state)
        found, eigenvalues = monitor.measure(_block(np.eye(2)), exact=True)
        assert set(found) == {"radius", "departure"}
        frames += [k] if eigenvalues is not None else []
    assert frames == [*range(16), *range(16, 32, 2), *range(32, 64, 4), 64]


def test_only_what_is_asked_is_measured():
    found, _ = _monitor({"radius"}).measure(_block(np.eye(4)), exact=False)
    assert set(found) == {"radius"}
    found, _ = _monitor({"drift"}).measure(_block(np.eye(4), gradient=1.0), exact=True)
    assert set(found) == {"drift"}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", [1, -1])
def test_a_weight_about_to_leave_the_range_is_measured(dtype, side, exact):
    """Training goes on: Σ of squares is beyond the largest number, or 0, and ρ is not."""
    rng = np.random.default_rng(4)
    plain = rng.standard_normal((6, 6)).astype(dtype)
    scale = 2.0 ** (side * (np.finfo(dtype).maxexp - 40))
    rounding = 100 * len(plain) * float(np.finfo(dtype).eps)
    numbers = [
        BlockMonitor(METRICS, np.random.default_rng(0)).measure(_block(W), exact=exact)[0]
        for W in (plain, plain * dtype(scale))
    ]
    for name in ("radius", "norm", *(["departure"] if exact else [])):
        assert numbers[1][name] == pytest.approx(numbers[0][name] * scale, rel=rounding, abs=0.0)


def test_the_largest_numbers_of_all_are_measured():
    for W in (np.full((4, 4), np.finfo(float).max), np.array([[1e300, 1e-300], [1e-300, 1e300]])):
        monitor = BlockMonitor(METRICS, np.random.default_rng(0))
        for _ in range(2):
            numbers, _ = monitor.measure(_block(W), exact=True)
        assert numbers["radius"] >= 1e300
