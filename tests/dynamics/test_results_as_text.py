"""A result is printed as the sentence that it amounts to, not as its arrays."""

import numpy as np

from unitcircle.dynamics import HiddenStates, JacobianSpectrum, StepEigenvalues
from unitcircle.spectra import Pseudospectrum

CORNERS = np.array([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])


def test_each_is_one_line_with_its_numbers():
    states = HiddenStates(CORNERS, np.array([1.0]), 0.95)
    assert str(states) == (
        "hidden states of 2 units, 1 steps, 4 sequences: 50% saturated, effective dimension 2 at the end"
    )
    along = StepEigenvalues(np.array([[[0.5 + 0j, 0.1]], [[-2.0, 0]], [[1j, 0]]]), np.arange(3), {})
    assert str(along) == "spectral radius of the Jacobian at 3 steps: median 1, 0.5 to 2"
    jacobian = JacobianSpectrum(np.log([[2.0, 2.0]]), np.log([4.0]), 7)
    assert str(jacobian) == "Jacobian of 7 steps: log σ₁ at most 0.6931 nats, 2 of 2 directions transmitted"
    near = Pseudospectrum(np.array([0.5, 2.0]), np.array([0.25, 1.0]), 1e-15)
    assert str(near) == "smallest singular values of zI − W at 2 points: 0.25 to 1, each ± 1e-15"
