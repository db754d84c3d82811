"""Three models: one with findings, one without, one that cannot be read."""

import numpy as np
import pytest

from unitcircle.initializers import parse


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A working directory with bad.npz (a zeroed gate), good.npz and broken.npz."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    n = 8
    gates = [np.asarray(parse("orthogonal")(rng.standard_normal((n, n)))) for _ in range(4)]
    bias = np.concatenate([np.zeros(n), np.linspace(2, 5, n), np.zeros(2 * n)])
    good = {
        "lstm.weight_hh_l0": np.vstack(gates),
        "lstm.weight_ih_l0": rng.standard_normal((4 * n, 3)) / 3,
        "lstm.bias_ih_l0": bias,
        "lstm.bias_hh_l0": np.zeros(4 * n),
    }
    np.savez("good.npz", **good)
    np.savez("bad.npz", **good | {"lstm.weight_hh_l0": np.vstack([*gates[:3], np.zeros((n, n))])})
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not an archive")
    return tmp_path
